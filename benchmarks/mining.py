"""How mining's search grows, beside plain faiss and `semantic_search` with the same top-1.

Vectors lie near a subspace of 24 dimensions, around one centre for twenty rows of the base, since
narrations repeat each other. Every search runs in a process of its own that is given two files:
its time counts from there to the answers, its peak memory is what it adds to that of the imported
libraries, pages of the files included that ours only maps and the system may take back. Ours is
what `mine-pairs` does, with checkpoints.
`SUMLCTL_MINING=1000x1000,10000x1000000` chooses the sizes.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import report
from sumlctl.mining import cost as plan

_SIZES = "1000x1000,10000x10000,100000x100000,10000x1000000"
_SHOWN = ("T4", "RTX 4090", "A100", "H100")
_WORTH = 10
_DIMENSION, _SUBSPACE = 384, 24
_SAME = 2e-6  # similarities that another float32 sum may take for equal


def main() -> None:
    given = os.environ.get("SUMLCTL_MINING", _SIZES).split(",")
    sizes = [tuple(map(int, size.split("x"))) for size in given]
    rows = [row for size in sizes for row in _rows(*size)]
    report("mining", "top-1 of narrations, d = 384 (times faiss: less is faster)", rows)
    speed = plan.measure(_DIMENSION)
    for index in ("exact", "ivf"):
        name, title = f"mining_plan_{index}", f"{index}, planned from what was measured here"
        report(name, title, list(_planned(speed, index)))


def _rows(n: int, m: int) -> Iterator[dict[str, Any]]:
    """One row for each search; ivf only where there are queries enough to make lists for."""
    searches = [faiss_flat, semantic_search, exact, *([ivf] if _WORTH * n >= m else [])]
    with tempfile.TemporaryDirectory() as folder:
        _save(folder, n, m)
        found = {search.__name__: _alone(search, folder) for search in searches}
    truth = found["exact"]
    for name, one in found.items():
        other = one["row"] != truth["row"]
        gap = np.abs(one["similarity"] - truth["similarity"])[other].max(initial=0)
        assert name == "ivf" or gap < _SAME, f"{name} finds others: {gap}"
        told = one["told"]._asdict() if one["told"] else {}
        yield {
            "queries": n,
            "base": m,
            "search": name,
            "seconds": one["seconds"],
            "times faiss": one["seconds"] / found["faiss_flat"]["seconds"],
            "MiB": one["mib"],
            "right": 1.0 if gap < _SAME else float(1 - other.mean()),
            **{key: told.get(key) for key in ("lists", "probes", "at_least", "certified")},
        }


def _save(folder: str, n: int, m: int) -> None:
    for seed, (name, rows) in enumerate((("queries", n), ("base", m))):
        np.save(Path(folder) / f"{name}.npy", _vectors(rows, max(1, m // 20), seed))


def _vectors(rows: int, clusters: int, seed: int) -> np.ndarray:
    """Unit vectors around centres that are the same for any seed."""
    common, own = np.random.default_rng(9), np.random.default_rng(seed)
    spread = common.standard_normal((_SUBSPACE, _DIMENSION), np.float32)
    centres = common.standard_normal((clusters, _SUBSPACE), np.float32)
    made = np.empty((rows, _DIMENSION), np.float32)
    for start in range(0, rows, 2**15):
        part = made[start : start + 2**15]
        inner = centres[own.integers(0, clusters, len(part))]
        inner = inner + 0.5 * own.standard_normal(inner.shape, np.float32)
        part[:] = inner @ spread + 0.3 * own.standard_normal(part.shape, np.float32)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return made


def _alone(search: Any, folder: str) -> dict[str, Any]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_timed, (search, folder))


def _timed(search: Any, folder: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as small:
        _save(small, 100, 100)
        search(small)  # imports, and whatever is set up only once
    before = _peak_mib()
    start = time.perf_counter()
    similarity, row, told = search(folder)
    seconds = time.perf_counter() - start
    mib = _peak_mib() - before
    return {"seconds": seconds, "mib": mib, "similarity": similarity, "row": row, "told": told}


def _peak_mib() -> int:
    """Of this process alone; `getrusage` would begin with the peak of the one that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (peak,) = (line.split()[1] for line in status if line.startswith("VmHWM:"))
    return int(peak) // 2**10


def faiss_flat(folder: str) -> tuple[np.ndarray, np.ndarray, Any]:
    import faiss

    queries, base = (np.load(Path(folder) / f"{name}.npy") for name in ("queries", "base"))
    index = faiss.IndexFlatIP(_DIMENSION)
    index.add(base)
    similarity, row = index.search(queries, 1)
    return similarity[:, 0], row[:, 0], None


def semantic_search(folder: str) -> tuple[np.ndarray, np.ndarray, Any]:
    import torch
    from sentence_transformers import util

    queries, base = (
        torch.from_numpy(np.load(Path(folder) / f"{name}.npy")) for name in ("queries", "base")
    )
    found = [hits[0] for hits in util.semantic_search(queries, base, top_k=1)]
    similarity, row = (np.array([hit[key] for hit in found]) for key in ("score", "corpus_id"))
    return similarity, row, None


def exact(folder: str) -> tuple[np.ndarray, np.ndarray, Any]:
    blocks, queries, base = _ours(folder)
    found = blocks.nearest(queries, base, 1)
    return found.similarity[:, 0], found.row[:, 0], None


def ivf(folder: str) -> tuple[np.ndarray, np.ndarray, Any]:
    from sumlctl.mining.search.ivf import Aim, search

    found, told = search(*_ours(folder), 1, Aim())
    return found.similarity[:, 0], found.row[:, 0], told


def _ours(folder: str) -> tuple[Any, Any, Any]:
    from sumlctl.jobs.executors import Local
    from sumlctl.mining.search.blocks import Blocks, Vectors

    sides = [Vectors.of(Path(folder) / f"{name}.npy") for name in ("queries", "base")]
    work = tempfile.mkdtemp(dir=folder)
    return Blocks(Path(work), Local(1), "cpu"), sides[0], sides[1]


def _planned(speed: plan.Speed, index: str) -> Iterator[dict[str, Any]]:
    for n in (10**4, 10**5, 10**6, 10**7, 10**8):
        sizes = plan.Sizes(n, n)
        gpus = [gpu for gpu in plan.GPUS if gpu.name in _SHOWN] if index == "exact" else []
        cost = plan.exact(sizes, speed) if index == "exact" else plan.inverted(sizes, speed)
        on_gpu = {gpu.name: plan.exact(sizes, speed, gpu).seconds for gpu in gpus}
        yield {
            "narrations a side": n,
            "multiply-adds": f"{cost.multiply_adds:.2g}",
            "here": plan.duration(cost.seconds),
            **{f"one {name}": plan.duration(seconds) for name, seconds in on_gpu.items()},
            "memory (GB)": cost.memory / 1e9,
            "disk (GB)": cost.disk / 1e9,
        }
