"""Exact search: against brute force in float64, and against everything that upsets raw faiss."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumlctl.errors import SumlError
from sumlctl.mining.search import certified, nearest


def unit(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, np.float64)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def brute_force(queries: np.ndarray, base: np.ndarray, k: int):
    """Every cosine in float64, sorted by (rounded similarity, row) in plain Python."""
    a, b = queries.astype(np.float64), base.astype(np.float64)
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    cosine = a @ b.T
    order = [sorted(range(len(b)), key=lambda j: (-round(row[j], 6), j))[:k] for row in cosine]
    return np.take_along_axis(cosine, np.array(order), 1), np.array(order)


def test_by_hand() -> None:
    base = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
    similarity, row = nearest(np.array([[0.8, 0.6]], np.float32), base, 3)
    assert row.tolist() == [[2, 0, 1]]
    assert similarity[0] == pytest.approx([0.96, 0.8, 0.6], abs=1e-6)


@pytest.mark.parametrize("k", [1, 3, 50])
def test_random_vectors_against_brute_force(k: int) -> None:
    rng = np.random.default_rng(0)
    queries, base = unit(rng.normal(size=(200, 48))), unit(rng.normal(size=(500, 48)))
    similarity, row = nearest(queries, base, k, device="cpu")
    expected, expected_row = brute_force(queries, base, k)
    assert np.array_equal(row, expected_row)
    assert np.allclose(similarity, expected, atol=1e-12)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(2, 40))
def test_many_ties_and_near_ties_against_brute_force(seed: int, k: int, distinct: int) -> None:
    rng = np.random.default_rng(seed)
    centres = rng.integers(-2, 3, size=(distinct, 6)) + 0.5
    base = unit(centres[rng.integers(0, distinct, 120)] + rng.choice([0, 1e-7], (120, 6)))
    queries = unit(centres[rng.integers(0, distinct, 10)])
    _, row = nearest(queries, base, k, device="cpu")
    assert np.array_equal(row, brute_force(queries, base, k)[1])


def test_answers_do_not_depend_on_batching_or_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    import faiss

    rng = np.random.default_rng(1)
    base = unit(np.repeat(rng.normal(size=(40, 32)), 25, axis=0))
    queries = unit(base[::7] + 1e-3 * rng.normal(size=base[::7].shape))
    whole = nearest(queries, base, 4, device="cpu")
    threads = faiss.omp_get_max_threads()
    monkeypatch.setattr("sumlctl.mining.search.exact.BLOCK", 3)
    faiss.omp_set_num_threads(1)
    try:
        blocks = nearest(queries, base, 4, device="cpu")
    finally:
        faiss.omp_set_num_threads(threads)
    assert np.array_equal(whole[1], blocks[1])
    assert np.array_equal(whole[0], blocks[0])


def test_ties_beyond_the_first_search_widen_it() -> None:
    """A hundred copies of the winner: the first rows must win, whatever faiss returns first."""
    rng = np.random.default_rng(2)
    base = unit(np.concatenate([rng.normal(size=(30, 16)), np.tile(rng.normal(size=16), (100, 1))]))
    found = certified(base[-1:], base, 2, device="cpu")
    assert found.row.tolist() == [[30, 31]]
    assert not found.at_once[0]
    assert found.widened >= 1


def test_well_separated_answers_are_certified_at_once() -> None:
    base = np.eye(64, dtype=np.float32)
    found = certified(base, base, 1, device="cpu")
    assert found.at_once.all()
    assert found.widened == 0
    assert found.row[:, 0].tolist() == list(range(64))


def test_similarity_is_the_cosine_even_if_a_row_is_not_quite_unit() -> None:
    rng = np.random.default_rng(3)
    base = unit(rng.normal(size=(50, 24)))
    similarity, row = nearest(base * np.float32(1 + 1e-7), base, 1, device="cpu")
    assert row[:, 0].tolist() == list(range(50))
    assert similarity.max() <= 1.0
    assert np.allclose(similarity, 1.0, atol=1e-12)


@pytest.mark.parametrize(
    ("queries", "base", "k", "message"),
    [
        ((2, 3), (4, 5), 1, "vectors do not fit"),
        ((2, 3), (4, 3), 5, "top-k is out of range"),
        ((2, 3), (4, 3), 0, "top-k is out of range"),
    ],
)
def test_shapes_that_do_not_fit(queries, base, k, message) -> None:
    with pytest.raises(SumlError, match=message):
        nearest(np.ones(queries, np.float32), np.ones(base, np.float32), k)


def test_unknown_index() -> None:
    vectors = np.eye(3, dtype=np.float32)
    with pytest.raises(SumlError, match="unknown index"):
        nearest(vectors, vectors, 1, index="hnsw")


def test_unknown_device() -> None:
    vectors = np.eye(3, dtype=np.float32)
    with pytest.raises(SumlError, match="unknown device, got 'banana'"):
        nearest(vectors, vectors, 1, device="banana")


@pytest.mark.gpu
def test_gpu_and_cpu_agree() -> None:
    rng = np.random.default_rng(4)
    queries, base = unit(rng.normal(size=(3000, 384))), unit(rng.normal(size=(20000, 384)))
    on_cpu, on_gpu = (nearest(queries, base, 5, device=d) for d in ("cpu", "cuda"))
    assert np.array_equal(on_cpu[1], on_gpu[1])
    assert np.array_equal(on_cpu[0], on_gpu[0])
