"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sumlctl.workspace import Workspace

# Before any library reads it: tests never look for a network.
os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real annotations and videos; their licences keep them out of the repository."""
    default = Path(__file__).parents[2] / "shared"
    data = Path(os.environ.get("SUMLCTL_SHARED", default)) / "data"
    if not data.is_dir():
        pytest.skip(f"REAL DATA ABSENT: {data} is not there; set SUMLCTL_SHARED")
    return data


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")
