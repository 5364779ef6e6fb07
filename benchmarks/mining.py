"""How mining's search grows, beside plain faiss and `semantic_search` with the same top-1.

Vectors lie near a subspace of 24 dimensions, around one centre for twenty rows of the base, since
narrations repeat each other. Every search runs in a process of its own that is given two files:
its time counts from there to the answers, its peak memory is what it adds to that of the imported
libraries. Ours is what `mine-pairs` does, with checkpoints.
`SUMLCTL_MINING=1000x1000,10000x1000000` chooses the sizes.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import report
from sumlctl.mining import plan

_SIZES = "1000x1000,10000x10000,100000x100000,10000x1000000"
_DIMENSION, _SUBSPACE = 384, 24
_SAME = 2e-6  # similarities that another float32 sum may take for equal


def main() -> None:
    given = os.environ.get("SUMLCTL_MINING", _SIZES).split(",")
    sizes = [tuple(map(int, size.split("x"))) for size in given]
    rows = [_row(*size) for size in sizes]
    report("mining", "top-1 of narrations, d = 384, 1 process", rows)
    speed = plan.measure(_DIMENSION)
    report("mining_plan", "planned from what was measured here", list(_planned(speed)))


def _row(n: int, m: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        _save(folder, n, m)
        found = {
            search.__name__: _alone(search, folder)
            for search in (faiss_flat, semantic_search, exact, ivf)
        }
    truth = found["exact"]["row"]
    for name in ("faiss_flat", "semantic_search"):
        other = found[name]["row"] != truth
        gap = np.abs(found[name]["similarity"] - found["exact"]["similarity"])[other]
        assert gap.max(initial=0) < _SAME, f"{name} finds others: {gap.max()}"
    right = float((found["ivf"]["row"] == truth).mean())
    told = found["ivf"]["told"]
    assert right >= told.certified
    seconds = {name: one["seconds"] for name, one in found.items()}
    return {
        "queries": n,
        "base": m,
        **{f"{name} (s)": value for name, value in seconds.items()},
        "exact / faiss": seconds["exact"] / seconds["faiss_flat"],
        "semantic_search / exact": seconds["semantic_search"] / seconds["exact"],
        "exact / ivf": seconds["exact"] / seconds["ivf"],
        **{f"{name} (MiB)": one["mib"] for name, one in found.items()},
        "multiply-adds/s": n * m * _DIMENSION / seconds["exact"],
        "lists": told.lists,
        "probes": told.probes,
        "right": right,
        "audit, at least": told.at_least,
        "certified": told.certified,
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
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    similarity, row, told = search(folder)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    mib = round((peak - before) / 2**10)
    return {"seconds": seconds, "mib": mib, "similarity": similarity, "row": row, "told": told}


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
    from sumlctl.engine.executors import Local
    from sumlctl.mining.search.blocks import Blocks, Vectors

    sides = [Vectors.of(Path(folder) / f"{name}.npy") for name in ("queries", "base")]
    work = tempfile.mkdtemp(dir=folder)
    return Blocks(Path(work), Local(1), "cpu"), sides[0], sides[1]


def _planned(speed: plan.Speed) -> Iterator[dict[str, Any]]:
    gpus = {gpu.name: gpu for gpu in plan.GPUS}
    for n in (10**4, 10**5, 10**6, 10**7, 10**8):
        sizes = plan.Sizes(n, n)
        here, lists = plan.exact(sizes, speed), plan.inverted(sizes, speed)
        on_gpu = {
            f"exact, one {name}": plan.duration(plan.exact(sizes, speed, gpus[name]).seconds)
            for name in ("T4", "RTX 4090", "A100", "H100")
        }
        yield {
            "narrations a side": n,
            "multiply-adds": f"{here.multiply_adds:.2g}",
            "exact, here": plan.duration(here.seconds),
            **on_gpu,
            "exact, memory (GB)": here.memory / 1e9,
            "exact, disk (GB)": here.disk / 1e9,
            "ivf, multiply-adds": f"{lists.multiply_adds:.2g}",
            "ivf, here": plan.duration(lists.seconds),
            "ivf, memory (GB)": lists.memory / 1e9,
            "ivf, disk (GB)": lists.disk / 1e9,
        }
