"""Nearest neighbours by cosine, the same for any batch size, row order, thread count or device.

`exact` proves its answers, `blocks` cuts a search too large for one machine into units of work,
`ivf` leaves out most of the base and says what that may have cost. Only this package imports faiss.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from sumlctl.mining.search.exact import Certified, certified, check, faiss_gpus

__all__ = ["Certified", "certified", "faiss_gpus", "nearest"]


def nearest(
    queries: np.ndarray, base: np.ndarray, k: int, device: str = "auto", index: str = "exact"
) -> tuple[np.ndarray, np.ndarray]:
    """The k rows of `base` most similar to each query (Eq. 1).

    Args:
        queries: unit vectors [n, d], float32.
        base: unit vectors [m, d], float32.
        k: how many, at most m.
        device: `auto` (a GPU if there is one), `cpu` or `cuda`.
        index: `exact`, or `ivf` for most of them sooner.

    Returns:
        similarity [n, k] in float64 and row [n, k], ordered by similarity rounded to 1e-6, ties
        by row.

    Raises:
        SumlError: shapes that do not fit, or an unknown index or device.
    """
    check(queries.shape, base.shape, k, device, index)
    if index == "exact":
        found = certified(queries, base, k, device)
        return found.similarity, found.row
    from sumlctl.jobs.executors import Local
    from sumlctl.mining.search.blocks import Blocks, Vectors
    from sumlctl.mining.search.ivf import Aim, search

    with tempfile.TemporaryDirectory() as folder:
        ours = Vectors.save(Path(folder) / "queries.npy", queries)
        theirs = Vectors.save(Path(folder) / "base.npy", base)
        found, _ = search(Blocks(Path(folder), Local(1), device), ours, theirs, k, Aim())
    return found.similarity, found.row
