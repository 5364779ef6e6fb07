"""Mining's search on every engine: the same bits, exact or not, and never the same work twice."""

from __future__ import annotations

import numpy as np

from sumlctl.jobs.executors import THIS_MACHINE
from sumlctl.mining.search import nearest
from sumlctl.mining.search.blocks import Blocks, Vectors
from sumlctl.mining.search.ivf import Aim, search


def sides(folder):
    rng = np.random.default_rng(0)
    base = rng.normal(size=(400, 8)).astype(np.float32)
    base[200:300] = base[:100]
    base /= np.linalg.norm(base, axis=1, keepdims=True)
    queries = base[::9]
    return Vectors.save(folder / "q.npy", queries), Vectors.save(folder / "b.npy", base)


def test_shards_give_the_bits_of_one_search(executor, tmp_path):
    queries, base = sides(tmp_path)
    cut = Blocks(tmp_path / "work", executor, "cpu", None, 8 * 4 * 150, 20)  # 3 shards, 3 blocks
    found = cut.nearest(queries, base, 3)
    similarity, row = nearest(queries.load(), base.load(), 3, device="cpu")
    assert np.array_equal(found.row, row)
    assert np.array_equal(found.similarity, similarity)
    receipts = {p: p.stat().st_mtime_ns for p in (tmp_path / "work").glob("*.json")}
    assert len(receipts) == 9
    cut.nearest(queries, base, 3)
    assert {path: path.stat().st_mtime_ns for path in receipts} == receipts


def test_lists_give_the_same_bits_as_here(executor, tmp_path):
    queries, base = sides(tmp_path)
    found, told = search(Blocks(tmp_path / "a", executor, "cpu"), queries, base, 2, Aim())
    expected, told_here = search(
        Blocks(tmp_path / "b", THIS_MACHINE, "cpu"), queries, base, 2, Aim()
    )
    assert told == told_here
    assert np.array_equal(found.row, expected.row)
    assert np.array_equal(found.similarity, expected.similarity)
