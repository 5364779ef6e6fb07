"""One world for all tests of the page that only look at it."""

from __future__ import annotations

import pytest

from sumlctl.workspace import Workspace
from tests.unit.report import told_world


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return told_world.build(tmp_path_factory.mktemp("told") / "workspace")


@pytest.fixture
def own_world(tmp_path) -> Workspace:
    """The same to do damage to."""
    return told_world.build(tmp_path / "workspace")
