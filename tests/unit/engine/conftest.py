"""Engines to test: processes here, and a Ray cluster of two nodes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sumlctl.engine.executors import Executor, Local


@pytest.fixture(scope="session")
def ray_cluster():
    """The address of a cluster of two nodes on this machine, with a processor each."""
    pytest.importorskip("ray", reason="the engine `ray` is not installed")
    with pytest.MonkeyPatch.context() as patch:
        root = str(Path(__file__).parents[3])
        patch.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        from ray.cluster_utils import Cluster

        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        nodes.add_node(num_cpus=1)
        yield nodes.address
        nodes.shutdown()


@pytest.fixture(scope="module", params=["local", "ray"])
def executor(request) -> Executor:
    if request.param == "local":
        yield Local(2)
        return
    from sumlctl.engine.ray import cluster

    with cluster(request.getfixturevalue("ray_cluster")) as found:
        yield found
