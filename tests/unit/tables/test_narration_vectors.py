"""Vectors by text, from memory and by file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sumlctl import tables
from sumlctl.errors import SumlError
from sumlctl.tables.narration_vectors import NarrationVectors
from sumlctl.workspace import Workspace
from tests.builders import write_vectors

TEXTS = ["wave", "", "take cup", "öffne", "take cup"]
EXPECTED = [[-1, 0], [0, 0], [1, 0], [0, 1], [1, 0]]


@pytest.fixture
def narrated(workspace: Workspace) -> NarrationVectors:
    write_vectors(workspace, "ego", {"take cup": (1, 0), "öffne": (0, 1)})
    write_vectors(workspace, "exo", {"wave": (-1, 0), "take cup": (0.6, 0.8)})
    return NarrationVectors(workspace, ["ego", "exo"], "test")


@pytest.mark.parametrize("as_told", [list, pl.Series])
def test_of_and_save_give_the_same(narrated: NarrationVectors, tmp_path: Path, as_told) -> None:
    """The first dataset that has a text counts; an empty text is similar to nothing."""
    texts = as_told(TEXTS)
    assert narrated.of(texts).tolist() == EXPECTED
    narrated.save(texts, tmp_path / "v.npy")
    assert np.load(tmp_path / "v.npy").tolist() == EXPECTED
    assert narrated.known(texts).tolist() == [True, False, True, True, True]


def test_save_goes_through_the_tables_in_batches(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables.io, "_BATCH", 4)
    angles = np.linspace(0, 3, 30)
    vectors = {f"t{i}": (np.cos(a), np.sin(a)) for i, a in enumerate(angles)}
    texts = sorted(vectors)
    write_vectors(workspace, "ego", {t: vectors[t] for t in texts[::2]})
    write_vectors(workspace, "exo", vectors)
    NarrationVectors(workspace, ["ego", "exo"], "test").save(texts, tmp_path / "v.npy")
    expected = [vectors[text] for text in texts]
    assert np.load(tmp_path / "v.npy") == pytest.approx(np.array(expected), abs=1e-7)


def test_a_text_without_a_vector(narrated: NarrationVectors, tmp_path: Path) -> None:
    for use in (narrated.of, lambda texts: narrated.save(texts, tmp_path / "v.npy")):
        with pytest.raises(SumlError, match="2 narrations have no vector, got 'jump'"):
            use(["wave", "jump", "", "run"])
    assert not (tmp_path / "v.npy").exists()
