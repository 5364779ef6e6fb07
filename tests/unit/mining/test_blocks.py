"""Search in blocks and shards: the bits of a brute force in float64, whatever the cut; resuming."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumlctl.errors import SumlError
from sumlctl.jobs.executors import Local
from sumlctl.mining.search import blocks as module
from sumlctl.mining.search.blocks import Blocks, Vectors, block_rows, shard_rows


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def brute_force(queries: np.ndarray, base: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Every cosine in float64, one pair at a time; sorted by (rounded cosine, row)."""
    a, b = queries.astype(np.float64), base.astype(np.float64)
    cosine = np.empty((len(a), len(b)))
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            cosine[i, j] = (x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum())
    cosine = np.clip(cosine, -1, 1)
    order = [sorted(range(len(b)), key=lambda j: (-round(row[j], 6), j))[:k] for row in cosine]
    return np.take_along_axis(cosine, np.array(order), 1), np.array(order)


def save(folder: Path, queries: np.ndarray, base: np.ndarray) -> tuple[Vectors, Vectors]:
    return Vectors.save(folder / "q.npy", queries), Vectors.save(folder / "b.npy", base)


def tied(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Twenty queries and sixty rows of few different vectors, some of them nearly so."""
    rng = np.random.default_rng(seed)
    centres = rng.integers(-2, 3, size=(9, 6)) + 0.5
    base = unit(centres[rng.integers(0, 9, 60)] + rng.choice([0, 1e-7], (60, 6)))
    return unit(centres[rng.integers(0, 9, 20)]), base


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(5, 70), st.integers(7, 25))
def test_any_cut_gives_the_bits_of_brute_force(
    tmp_path_factory: pytest.TempPathFactory, seed: int, k: int, shard: int, block: int
) -> None:
    queries, base = tied(seed)
    folder = tmp_path_factory.mktemp("cut")
    cut = Blocks(folder, Local(1), "cpu", None, shard * 6 * 4, block)
    found = cut.nearest(*save(folder, queries, base), k)
    similarity, row = brute_force(queries, base, k)
    assert np.array_equal(found.row, row)
    assert np.array_equal(found.similarity, similarity)


def test_what_was_searched_before_a_kill_is_not_searched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries, base = tied(5)
    vectors = save(tmp_path, queries, base)
    cut = Blocks(tmp_path / "work", Local(1), "cpu", "facts", 24 * 20, 7)  # 3 shards, 3 blocks
    calls = []

    def dies(pair: module._Pair) -> dict[str, int]:
        calls.append(pair)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return search(pair)

    search = module._search
    monkeypatch.setattr(module, "_search", dies)
    with pytest.raises(KeyboardInterrupt):
        cut.nearest(*vectors, 2)
    receipts = sorted((tmp_path / "work").glob("*.json"))
    before = {path: path.stat().st_mtime_ns for path in receipts}
    assert len(before) == 4
    found = cut.nearest(*vectors, 2)
    assert len(calls) == 5 + 5
    assert {path: path.stat().st_mtime_ns for path in receipts} == before
    assert np.array_equal(found.row, brute_force(queries, base, 2)[1])


def test_other_facts_are_other_work(tmp_path: Path) -> None:
    queries, base = tied(6)
    Blocks(tmp_path, Local(1), "cpu", "before").nearest(*save(tmp_path, queries, base), 1)
    vectors = save(tmp_path, queries, -base)
    found = Blocks(tmp_path, Local(1), "cpu", "after").nearest(*vectors, 1)
    assert np.array_equal(found.row, brute_force(queries, -base, 1)[1])


def test_a_unit_that_fails_says_why(tmp_path: Path) -> None:
    queries, base = tied(7)
    vectors = save(tmp_path, queries, base)
    Path(vectors[1].path).write_bytes(b"no vectors")
    with pytest.raises(SumlError, match=r"block exact\.0000\.0000 could not be searched"):
        Blocks(tmp_path, Local(1), "cpu").nearest(*vectors, 1)


def test_cuts_by_hand() -> None:
    assert shard_rows(384) * 384 * 4 <= 2**32 < (shard_rows(384) + 1) * 384 * 4
    assert block_rows(1000) == 16_384
    assert block_rows(10**8) == 97_657  # a 1,024th
    parts = Vectors("x.npy", 2, 10, 3).cut(3)
    assert [(part.start, part.stop) for part in parts] == [(2, 5), (5, 8), (8, 10)]
