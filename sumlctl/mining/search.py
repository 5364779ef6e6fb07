"""Exact nearest neighbours by cosine, the same for any batch size, row order or thread count.

The only module that imports faiss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sumlctl.console import warn
from sumlctl.errors import SumlError

_DECIMALS = 6  # similarities that agree to 1e-6 are ties
_SPARE = 8  # candidates beyond k that the first search asks for
_UNIT_ROUNDOFF = 2.0**-24
_BLOCK = 8192  # queries per search
_GPU_MAX_WIDTH = 2048  # faiss' limit for candidates per query on a GPU


@dataclass(frozen=True)
class Certified:
    """What a search found and how far it is proven.

    Args:
        similarity: cosines [n, k] in float64, best first.
        row: rows of the base [n, k].
        at_once: queries [n] certified by the first search.
        widened: how often the search was widened for the others, which certifies them too.
    """

    similarity: np.ndarray
    row: np.ndarray
    at_once: np.ndarray
    widened: int


def nearest(
    queries: np.ndarray, base: np.ndarray, k: int, device: str = "auto", index: str = "exact"
) -> tuple[np.ndarray, np.ndarray]:
    """The k rows of `base` most similar to each query (Eq. 1).

    Args:
        queries: unit vectors [n, d], float32.
        base: unit vectors [m, d], float32.
        k: how many, at most m.
        device: `auto` (a GPU if there is one), `cpu` or `cuda`.
        index: `exact`.

    Returns:
        similarity [n, k] in float64 and row [n, k], ordered by similarity rounded to 1e-6, ties
        by row.

    Raises:
        SumlError: shapes that do not fit, or an unknown index or device.
    """
    found = certified(queries, base, k, device, index)
    return found.similarity, found.row


def certified(
    queries: np.ndarray, base: np.ndarray, k: int, device: str = "auto", index: str = "exact"
) -> Certified:
    """As `nearest`, with the proof.

    faiss sorts by float32 inner products, which err by at most gamma_d = d u / (1 - d u) for unit
    vectors (Higham, Accuracy and Stability of Numerical Algorithms, Sec. 3.1; any order of
    summation). So a row that faiss left out has a cosine of at most its last candidate's float32
    score plus gamma_d. Candidates are scored again in float64; where the k-th of them, rounded,
    is above that ceiling, no other row can belong to the answer. Where it is not, more candidates
    are fetched.
    """
    _check(queries, base, k, device, index)
    search = _faiss(base, device)
    slack = _error_bound(queries.shape[1])
    similarity = np.empty((len(queries), k))
    row = np.empty((len(queries), k), np.int64)
    at_once = np.ones(len(queries), bool)
    widened = 0
    for start in range(0, len(queries), _BLOCK):
        todo = np.arange(start, min(start + _BLOCK, len(queries)))
        width = min(k + _SPARE, len(base))
        while todo.size:
            scores, candidates = search(queries[todo], width)
            best, rows, ceiling = _rescore(queries[todo], base, scores, candidates, k, slack)
            proven = ceiling < best[:, -1].round(_DECIMALS)
            if width == len(base):
                proven[:] = True
            similarity[todo[proven]], row[todo[proven]] = best[proven], rows[proven]
            at_once[todo[~proven]] = False
            todo = todo[~proven]
            widened += bool(todo.size)
            width = min(width * 4, len(base))
    return Certified(similarity, row, at_once, widened)


def _check(queries: np.ndarray, base: np.ndarray, k: int, device: str, index: str) -> None:
    if queries.ndim != 2 or base.ndim != 2 or queries.shape[1] != base.shape[1]:
        got, expected = f"{queries.shape} and {base.shape}", "[n, d] and [m, d]"
        raise _fault("vectors do not fit", got, expected, "Embed both sides with one encoder.")
    if not 1 <= k <= len(base):
        fix = "Lower --top-k or give a larger pool."
        raise _fault("top-k is out of range", str(k), f"1 to {len(base)}", fix)
    if device not in {"auto", "cpu"} and not device.startswith("cuda"):
        raise _fault("unknown device", repr(device), "auto, cpu or cuda", "Correct --device.")
    if index != "exact":
        raise _fault("unknown index", repr(index), "exact", "Use --index exact.")


def _fault(what: str, got: str, expected: str, fix: str) -> SumlError:
    return SumlError("nearest-neighbour search", what, got=got, expected=expected, fix=fix)


def _error_bound(dimension: int) -> float:
    """gamma_d, and as much again for vectors that are unit only to float32."""
    return 2 * dimension * _UNIT_ROUNDOFF / (1 - dimension * _UNIT_ROUNDOFF)


def _rescore(
    queries: np.ndarray,
    base: np.ndarray,
    scores: np.ndarray,
    candidates: np.ndarray,
    k: int,
    slack: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Float64 cosines of the candidates that can still win.

    Returns:
        The best k similarities and rows of each query, and the rounded cosine that no row outside
        the candidates exceeds.
    """
    can_win = scores >= scores[:, k - 1 : k] - 2 * slack - 10.0**-_DECIMALS
    query, column = np.nonzero(can_win)
    exact = np.full(scores.shape, -np.inf)
    rows = candidates[query, column]
    exact[query, column] = _cosine(queries[query], base[rows])
    error = np.abs(exact[query, column] - scores[query, column]).max(initial=0.0)
    if error > slack:
        fix = "Use --device cpu."
        raise _fault("scores are not float32 exact", f"{error:.1e} off", f"<= {slack:.1e}", fix)
    order = np.lexsort((candidates, -exact.round(_DECIMALS)), axis=1)[:, :k]
    ceiling = (scores[:, -1] + slack).round(_DECIMALS)
    taken = np.take_along_axis
    return taken(exact, order, 1), taken(candidates, order, 1), ceiling


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Eq. 1 for rows of a and b in float64; the sum of each row does not depend on the others."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    norms = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return np.clip((a * b).sum(axis=1) / norms, -1.0, 1.0)


def _faiss(base: np.ndarray, device: str) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """A function (queries, width) -> (inner products, rows), best first."""
    import faiss

    flat = faiss.IndexFlatIP(base.shape[1])
    flat.add(np.ascontiguousarray(base, np.float32))
    use_gpu = device != "cpu" and faiss_gpus() > 0
    if device not in {"auto", "cpu"} and not use_gpu:
        warn("no GPU that faiss can use: searching on the CPU")
    fast = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, flat) if use_gpu else flat

    def search(queries: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
        index = fast if width <= _GPU_MAX_WIDTH else flat
        return index.search(np.ascontiguousarray(queries, np.float32), width)

    return search


def faiss_gpus() -> int:
    """GPUs that faiss can search on; 0 for a build without GPU support."""
    import faiss

    return faiss.get_num_gpus() if hasattr(faiss, "StandardGpuResources") else 0
