"""Exact nearest neighbours and their proof."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from sumlctl.console import warn
from sumlctl.errors import SumlError

INDEXES = ("exact", "ivf")
DECIMALS = 6  # similarities that agree to 1e-6 are ties
SPARE = 8  # candidates beyond k that the first search asks for
BLOCK = 8192  # queries per search
_UNIT_ROUNDOFF = 2.0**-24
_WIDEST = 2048  # candidates per query; faiss' limit on a GPU
_CELLS = 2**22  # candidates of all queries that are looked at together
_PAIRS = 2**14  # pairs of vectors that are multiplied in float64 together

Scores = tuple[np.ndarray, np.ndarray]


class Certified(NamedTuple):
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


class Pool(Protocol):
    """The rows that each of some queries is compared with."""

    queries: np.ndarray
    vectors: np.ndarray
    block: int  # queries that are searched together

    def search(self, which: np.ndarray, width: int) -> Scores:
        """Float32 inner products [n, width] and places in `vectors`, best first.

        What is left over where a query has fewer rows has the score -inf.

        Args:
            which: rows of `queries` [n].
            width: how many candidates for each.
        """
        ...

    def places(self, query: int) -> np.ndarray:
        """All that one query is compared with: places in `vectors`."""
        ...

    def rows(self, places: np.ndarray) -> np.ndarray:
        """What `vectors` at these places are called; ties go to the lower one."""
        ...


class Whole:
    """Every query is compared with every row of the base.

    Args:
        queries: unit vectors [n, d].
        base: unit vectors [m, d].
        scores: of queries and a width, as `flat` gives it.
    """

    def __init__(
        self,
        queries: np.ndarray,
        base: np.ndarray,
        scores: Callable[[np.ndarray, int], Scores],
    ) -> None:
        self.queries, self.vectors, self._scores = queries, base, scores
        self.block = BLOCK

    def search(self, which: np.ndarray, width: int) -> Scores:
        return self._scores(self.queries[which], width)

    def places(self, query: int) -> np.ndarray:
        return np.arange(len(self.vectors))

    def rows(self, places: np.ndarray) -> np.ndarray:
        return places


def certified(queries: np.ndarray, base: np.ndarray, k: int, device: str = "auto") -> Certified:
    """The k rows of `base` most similar to each query, with the proof.

    Args:
        queries: unit vectors [n, d], float32.
        base: unit vectors [m, d], float32.
        k: how many, at most m.
        device: `auto` (a GPU if there is one), `cpu` or `cuda`.

    Raises:
        SumlError: shapes that do not fit, or an unknown device.
    """
    check(queries.shape, base.shape, k, device)
    queries, base = (np.ascontiguousarray(x, np.float32) for x in (queries, base))
    return prove(Whole(queries, base, flat(base, device)), k)


def prove(pool: Pool, k: int) -> Certified:
    """The k best rows of the pool for each query: cosines rounded to 1e-6, ties by row.

    faiss sorts by float32 inner products, which err by at most gamma_d = d u / (1 - d u) for unit
    vectors (Higham, Accuracy and Stability of Numerical Algorithms, Sec. 3.1; any order of
    summation). So a row that faiss left out has a cosine of at most its last candidate's float32
    score plus gamma_d. Candidates are scored again in float64; where the k-th of them, rounded,
    is above that ceiling, no other row can belong to the answer. Where it is not, more candidates
    are fetched, and in the end every row that can win by its float32 score.

    Args:
        pool: queries [n] and at least k rows for each.
        k: how many.
    """
    n = len(pool.queries)
    found = Certified(np.empty((n, k)), np.empty((n, k), np.int64), np.ones(n, bool), 0)
    todo, width, widened = np.arange(n), k + SPARE, 0
    while todo.size and width <= max(_WIDEST, k + SPARE):
        left = []
        step = max(1, min(pool.block, _CELLS // width))
        for start in range(0, len(todo), step):
            which = todo[start : start + step]
            scores, places = pool.search(which, width)
            best, rows, proven = _rescore(pool, which, scores, places, k)
            found.similarity[which[proven]], found.row[which[proven]] = best[proven], rows[proven]
            left.append(which[~proven])
        todo = np.concatenate(left)
        found.at_once[todo] = False
        widened += bool(todo.size)
        width *= 4
    for query in todo:
        found.similarity[query], found.row[query] = _among_all(pool, int(query), k)
    return found._replace(widened=widened)


def check(
    queries: tuple[int, ...], base: tuple[int, ...], k: int, device: str, index: str = "exact"
) -> None:
    """Refuses what cannot be searched, and tells when a GPU is asked for in vain.

    Args:
        queries, base: shapes.
        k, device, index: as of `nearest`.

    Raises:
        SumlError: shapes that do not fit, k out of range, an unknown device or index.
    """
    if len(queries) != 2 or len(base) != 2 or queries[1] != base[1]:
        got, expected = f"{queries} and {base}", "[n, d] and [m, d]"
        raise _fault("vectors do not fit", got, expected, "Embed both sides with one encoder.")
    if not 1 <= k <= base[0]:
        fix = "Lower --top-k or give a larger pool."
        raise _fault("top-k is out of range", str(k), f"1 to {base[0]}", fix)
    if device not in {"auto", "cpu"} and not device.startswith("cuda"):
        raise _fault("unknown device", repr(device), "auto, cpu or cuda", "Correct --device.")
    if index not in INDEXES:
        raise _fault("unknown index", repr(index), " or ".join(INDEXES), "Correct --index.")
    if device.startswith("cuda") and not faiss_gpus():
        warn("no GPU that faiss can use: searching on the CPU")


def _fault(what: str, got: str, expected: str, fix: str) -> SumlError:
    return SumlError("nearest-neighbour search", what, got=got, expected=expected, fix=fix)


def error_bound(dimension: int) -> float:
    """gamma_d, and as much again for vectors that are unit only to float32."""
    return 2 * dimension * _UNIT_ROUNDOFF / (1 - dimension * _UNIT_ROUNDOFF)


def _rescore(
    pool: Pool, which: np.ndarray, scores: np.ndarray, places: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Float64 cosines of the candidates that can still win.

    Returns:
        The best k similarities and rows of each query, and whether no row outside the candidates
        can belong to them.
    """
    slack = error_bound(pool.queries.shape[1])
    can_win = scores >= scores[:, k - 1 : k] - 2 * slack - 10.0**-DECIMALS
    query, column = np.nonzero(can_win)
    exact = np.full(scores.shape, -np.inf)
    exact[query, column] = _cosines(pool, which[query], places[query, column])
    error = np.abs(exact[query, column] - scores[query, column]).max(initial=0.0)
    if error > slack:
        fix = "Use --device cpu."
        raise _fault("scores are not float32 exact", f"{error:.1e} off", f"<= {slack:.1e}", fix)
    rows = pool.rows(places)
    order = np.lexsort((rows, -exact.round(DECIMALS)), axis=1)[:, :k]
    best, rows = np.take_along_axis(exact, order, 1), np.take_along_axis(rows, order, 1)
    ceiling = (scores[:, -1].astype(np.float64) + slack).round(DECIMALS)
    return best, rows, ceiling < best[:, -1].round(DECIMALS)


def _among_all(pool: Pool, query: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The answer for one query from the float32 scores of all its rows, however many tie."""
    slack = error_bound(pool.queries.shape[1])
    places = pool.places(query)
    parts = [places[start : start + BLOCK] for start in range(0, len(places), BLOCK)]
    scores = np.concatenate([pool.vectors[part] @ pool.queries[query] for part in parts])
    least = np.partition(scores, -k)[-k] - 2 * slack - 10.0**-DECIMALS
    places = places[scores >= least]
    exact = _cosines(pool, np.full(len(places), query), places)
    rows = pool.rows(places)
    order = np.lexsort((rows, -exact.round(DECIMALS)))[:k]
    return exact[order], rows[order]


def _cosines(pool: Pool, queries: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Eq. 1 for pairs of a query and a place in the pool."""
    parts = [slice(start, start + _PAIRS) for start in range(0, len(places), _PAIRS)]
    found = [cosine(pool.queries[queries[part]], pool.vectors[places[part]]) for part in parts]
    return np.concatenate(found) if found else np.empty(0)


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Eq. 1 for rows of a and b in float64; the sum of each row does not depend on the others."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    norms = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return np.clip((a * b).sum(axis=1) / norms, -1.0, 1.0)


def flat(base: np.ndarray, device: str) -> Callable[[np.ndarray, int], Scores]:
    """A function (queries, width) -> (inner products, rows), best first.

    Args:
        base: unit vectors [m, d], float32; a GPU has a copy of them.
        device: `auto` (a GPU if there is one), `cpu` or `cuda`.
    """
    import faiss

    on_gpu = None
    if device != "cpu" and faiss_gpus() > 0:
        on_gpu = faiss.GpuIndexFlatIP(faiss.StandardGpuResources(), base.shape[1])
        on_gpu.add(base)

    def search(queries: np.ndarray, width: int) -> Scores:
        if on_gpu is not None and width <= _WIDEST:
            scores, rows = on_gpu.search(queries, width)
        else:
            scores, rows = faiss.knn(queries, base, width, metric=faiss.METRIC_INNER_PRODUCT)
        scores[rows < 0] = -np.inf
        return scores, np.maximum(rows, 0)

    return search


def faiss_gpus() -> int:
    """GPUs that faiss can search on; 0 for a build without GPU support."""
    import faiss

    return faiss.get_num_gpus() if hasattr(faiss, "StandardGpuResources") else 0
