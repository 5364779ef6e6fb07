"""Inverted files: what they call certain is so, and what the audit says of the rest."""

from __future__ import annotations

from math import comb
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumlctl.jobs.executors import Local
from sumlctl.mining.search import ivf, nearest
from sumlctl.mining.search.audit import at_least, smallest
from sumlctl.mining.search.blocks import Blocks, Vectors
from sumlctl.mining.search.exact import prove
from sumlctl.mining.search.ivf import Aim, search
from sumlctl.mining.search.probed import Lists, Probed, unit

USUAL = Aim()


def clustered(rows: int, seed: int, dimension: int = 8, spread: float = 0.3) -> np.ndarray:
    """Unit vectors around forty centres that do not depend on the seed."""
    centres = np.random.default_rng(0).normal(size=(40, dimension))
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(rows, dimension)) * spread
    return unit(unit(centres)[rng.integers(0, 40, rows)] + noise).astype(np.float32)


def searched(folder: Path, queries: np.ndarray, base: np.ndarray, k: int, aim: Aim = USUAL):
    blocks = Blocks(folder, Local(1), "cpu")
    ours, theirs = (Vectors.save(folder / f"{i}.npy", x) for i, x in enumerate((queries, base)))
    return search(blocks, ours, theirs, k, aim)


def lists_of(base: np.ndarray, centres: np.ndarray) -> Lists:
    """An inverted file in plain numpy: every row with its nearest centre."""
    wide, middle = unit(base), unit(centres)
    lists = (wide @ middle.T).argmax(axis=1)
    order = np.argsort(lists, kind="stable")
    cosine = (wide * middle[lists]).sum(axis=1)
    near = [cosine[lists == i].min(initial=1.0) for i in range(len(centres))]
    edges = np.searchsorted(lists[order], np.arange(len(centres) + 1))
    return Lists(base[order], order, middle, edges, np.array(near))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 4),
    st.integers(1, 12),
    st.sampled_from([1e-8, 1e-3, 0.05, 0.3]),
)
def test_certified_queries_are_exact(seed: int, k: int, probes: int, spread: float) -> None:
    base, queries = (clustered(300, seed + i, 5, spread) for i in (0, 1))
    lists = lists_of(base, clustered(12, seed + 2, 5, spread))
    pool = Probed(queries, lists, probes, k)
    found = prove(pool, k)
    sure = pool.ceiling.round(6) < found.similarity[:, -1].round(6)
    similarity, row = nearest(queries, base, k, device="cpu")
    assert np.array_equal(found.row[sure], row[sure])
    assert np.array_equal(found.similarity[sure], similarity[sure])
    if probes == 12:
        assert sure.all()


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(1, 11))
def test_no_row_of_another_list_is_above_the_ceiling(seed: int, probes: int) -> None:
    base, queries = clustered(200, seed, 4), clustered(50, seed + 1, 4)
    lists = lists_of(base, clustered(12, seed + 2, 4))
    pool = Probed(queries, lists, probes, 1)
    cosine = unit(queries) @ unit(lists.vectors).T
    for i in range(len(queries)):
        cosine[i, pool.places(i)] = -np.inf
    assert (cosine.max(axis=1) <= pool.ceiling).all()


def test_tight_lists_certify_and_the_answers_are_right(tmp_path: Path) -> None:
    base, queries = clustered(4000, 1, spread=0.02), clustered(500, 2, spread=0.02)
    found, told = searched(tmp_path, queries, base, 2)
    _, row = nearest(queries, base, 2, device="cpu")
    right = (found.row == row).all(axis=1)
    assert told.lists == 4000 // 39
    assert told.probes < told.lists
    assert told.audited == 375
    assert right.mean() >= told.recall
    assert told.at_least <= right.mean()
    assert told.certified <= right.mean()


def test_everything_is_certified_where_nothing_is_left_out(tmp_path: Path) -> None:
    base, queries = clustered(60, 1), clustered(30, 2)
    found, told = searched(tmp_path, queries, base, 3)
    similarity, row = nearest(queries, base, 3, device="cpu")
    assert (told.lists, told.probes, told.certified) == (1, 1, 1.0)
    assert np.array_equal(found.row, row)
    assert np.array_equal(found.similarity, similarity)


def test_answers_depend_on_neither_blocks_nor_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import faiss

    base, queries = clustered(3000, 1), clustered(300, 2)
    found, told = searched(tmp_path / "a", queries, base, 2)
    monkeypatch.setattr(ivf, "BLOCK_ROWS", 70)
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(threads + 1)
    try:
        again, told_again = searched(tmp_path / "b", queries, base, 2)
    finally:
        faiss.omp_set_num_threads(threads)
    assert told_again == told
    assert np.array_equal(again.row, found.row)
    assert np.array_equal(again.similarity, found.similarity)


def test_the_seed_and_the_recall_choose(tmp_path: Path) -> None:
    base, queries = clustered(3000, 1, spread=0.6), clustered(800, 2, spread=0.6)
    found, half = searched(tmp_path / "a", queries, base, 1, Aim(recall=0.5))
    most = searched(tmp_path / "b", queries, base, 1, Aim(recall=0.99))[1]
    assert half.probes < most.probes
    assert most.at_least > half.recall
    other, _ = searched(tmp_path / "c", queries, base, 1, Aim(recall=0.5, seed=1))
    assert not np.array_equal(other.row, found.row)


def test_a_query_that_finds_too_few_rows_looks_everywhere() -> None:
    base = np.eye(6, dtype=np.float32)
    lists = lists_of(base, base)
    pool = Probed(base[:1] + np.float32(1e-3), lists, 1, 4)
    assert sorted(pool.rows(pool.places(0))) == [0, 1, 2, 3, 4, 5]


def test_nearest_takes_ivf() -> None:
    base = clustered(500, 3)
    similarity, row = nearest(base[:20], base, 1, device="cpu", index="ivf")
    assert row[:, 0].tolist() == list(range(20))
    assert similarity == pytest.approx(np.ones((20, 1)))


def test_bound_by_hand() -> None:
    assert at_least(0, 10) == 0
    assert at_least(10, 10) == pytest.approx(0.05**0.1)
    assert at_least(3000, 3000) == pytest.approx(0.05 ** (1 / 3000))
    assert at_least(1, 1, confidence=0.5) == pytest.approx(0.5)


@pytest.mark.parametrize(("n", "share"), [(20, 0.9), (60, 0.97), (60, 0.5)])
def test_bound_covers_as_often_as_it_says(n: int, share: float) -> None:
    """Over all counts that can be drawn, weighed by their exact probability."""
    covered = sum(
        comb(n, right) * share**right * (1 - share) ** (n - right)
        for right in range(n + 1)
        if at_least(right, n) <= share
    )
    assert covered >= 0.95


def test_smallest_effort_by_hand() -> None:
    needed = np.array([1] * 900 + [2] * 80 + [5] * 20)
    assert smallest(needed, 0.5) == 1
    assert smallest(needed, 0.95) == 2  # 980 of 1,000: at least 97.1 %
    assert smallest(needed, 0.98) == 5
    assert smallest(needed, 0.9999) == 5  # as good as the sample can tell
