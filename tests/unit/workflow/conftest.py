"""Pipelines that have run, made once; each test damages a copy of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sumlctl.cli.app import app
from sumlctl.cli.run import perform
from sumlctl.workflow import recipe
from sumlctl.workspace import Workspace
from tests.unit.workflow import tiny

SWEEP = """
[[matrix]]
loss.name = ["fpv-only", "sum-l"]

[paper]
table = "Table 9"
numbers.sum-l = { "verb accuracy@1" = 10.0, "noun accuracy@1" = 20 }
"""


def _run(folder: Path, more: str) -> Workspace:
    workspace = Workspace(folder)
    tiny.build(workspace, more)
    perform(app, recipe.read("tiny", workspace), workspace)
    return workspace


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """`tiny` has run; not to be written to."""
    return _run(tmp_path_factory.mktemp("ran"), "")


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A sweep over two methods has run; not to be written to."""
    return _run(tmp_path_factory.mktemp("swept"), SWEEP)


@pytest.fixture
def copied(workspace: Workspace) -> Callable[[Workspace], Workspace]:
    """Copies a workspace to where the test's command lines look."""

    def copy(source: Workspace) -> Workspace:
        shutil.copytree(source.root, workspace.root)
        return workspace

    return copy
