"""Fixtures that every test may use."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sumlctl.cli.app import main
from sumlctl.workspace import Workspace

# Before any library reads them: tests never look for a network, and those that run side by side
# do not fight over cores.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


class Outcome(NamedTuple):
    """What a command line left behind."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real annotations and videos; their licences keep them out of the repository."""
    default = Path(__file__).parents[2] / "shared"
    data = Path(os.environ.get("SUMLCTL_SHARED", default)) / "data"
    if not data.is_dir():
        pytest.skip(f"REAL DATA ABSENT: {data} is not there; set SUMLCTL_SHARED")
    return data


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[str]:
    """The address of a cluster of two nodes on this machine, with a processor each."""
    pytest.importorskip("ray", reason="the engine `ray` is not installed")
    with pytest.MonkeyPatch.context() as patch:
        root = str(Path(__file__).parents[1])
        patch.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        nodes = _two_nodes()
        yield nodes.address
        nodes.shutdown()


def _two_nodes(attempts: int = 3) -> Any:
    from ray.cluster_utils import Cluster

    nodes = Cluster()
    try:
        nodes.add_node(num_cpus=1)
        nodes.add_node(num_cpus=1)
    except Exception:  # a bare one: Ray gives a node 30 s to start, whatever else the machine does
        nodes.shutdown()
        if attempts == 1:
            raise
        return _two_nodes(attempts - 1)
    return nodes


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def sumlctl(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """Runs one command line in this process, in the test's workspace."""

    def run(*words: str) -> Outcome:
        capsys.readouterr()
        monkeypatch.setenv("SUMLCTL_WORKSPACE", str(workspace.root))
        monkeypatch.setattr(sys, "argv", ["sumlctl", *words])
        with pytest.raises(SystemExit) as stopped:
            main()
        code = stopped.value.code or 0
        return Outcome(int(code), *capsys.readouterr())

    return run
