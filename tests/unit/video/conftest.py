"""Fixtures that make numbered videos in a test's own folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.video import numbered


@pytest.fixture
def numbers() -> Callable[[np.ndarray], list[int]]:
    return numbered.read_off


@pytest.fixture
def make_video(tmp_path: Path) -> Callable[..., Path]:
    """As `numbered.write`, by the file's name."""

    def make(name: str, *args: Any, **options: Any) -> Path:
        return numbered.write(tmp_path / name, *args, **options)

    return make


@pytest.fixture
def moov_first() -> Callable[[Path], None]:
    return numbered.put_index_first


@pytest.fixture
def damage() -> Callable[[Path, int], None]:
    return numbered.damage
