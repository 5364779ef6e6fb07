"""The lists of an inverted file that queries are compared with, and what the others can hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sumlctl.mining.search.blocks import read
from sumlctl.mining.search.exact import Scores, cosine

_CELLS = 2**22  # cosines, or candidates, that are looked at together
_EXACT = 1e-12  # far above the error of a cosine in float64


@dataclass(frozen=True)
class Lists:
    """An inverted file: the base in lists, each around a centre.

    Args:
        vectors: of the base, list after list [m, d].
        rows: what each of them is called in the base [m]; within a list they ascend.
        centres: unit vectors in float64 [l, d].
        edges: where each list starts, and where the last one ends [l + 1].
        nearness: cosine of each centre and the farthest member of its list [l].
    """

    vectors: np.ndarray
    rows: np.ndarray
    centres: np.ndarray
    edges: np.ndarray
    nearness: np.ndarray

    @classmethod
    def load(cls, folder: Path) -> Lists:
        """From the files of a folder; vectors and rows are read as they are needed."""
        vectors, rows = (
            np.load(path, mmap_mode="r", allow_pickle=False) for path in files(folder)[:2]
        )
        small = read(files(folder)[2])
        return cls(vectors.view(np.ndarray), rows.view(np.ndarray), **small)

    @property
    def sizes(self) -> np.ndarray:
        return np.diff(self.edges)


def files(folder: Path) -> tuple[Path, Path, Path]:
    """Of an inverted file: vectors, rows, and the rest."""
    return folder / "lists.vectors.npy", folder / "lists.rows.npy", folder / "lists.npz"


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors in float64, of length 1 to its precision; zeros stay."""
    wide = vectors.astype(np.float64)
    norms = np.sqrt((wide * wide).sum(axis=1, keepdims=True))
    return np.divide(wide, norms, out=wide, where=norms > 0)


class Probed:
    """Each query is compared with the lists whose centres are nearest to it. A `Pool`.

    Args:
        queries: unit vectors [n, d].
        lists: the inverted file.
        probes: lists for each query; more for one that would find fewer than k rows in them.
        k: rows wanted.

    Attributes:
        ceiling: the cosine of each query that no row of another list exceeds [n].
    """

    def __init__(self, queries: np.ndarray, lists: Lists, probes: int, k: int) -> None:
        self.queries, self.vectors, self._lists = queries, lists.vectors, lists
        self.block = 2**15
        step = max(1, _CELLS // len(lists.sizes))
        parts = [queries[i : i + step] for i in range(0, len(queries), step)]
        chosen = zip(*(_choose(part, lists, probes, k) for part in parts), strict=True)
        self._counts, self._chosen, self.ceiling = map(np.concatenate, chosen)
        self._first = self._counts.cumsum() - self._counts

    def search(self, which: np.ndarray, width: int) -> Scores:
        most = int(self._counts[which].max())
        step = max(1, 4 * _CELLS // (most * min(width, int(self._lists.sizes.max()))))
        parts = [self._search(which[i : i + step], width) for i in range(0, len(which), step)]
        scores, places = zip(*parts, strict=True)
        return np.concatenate(scores), np.concatenate(places)

    def _search(self, which: np.ndarray, width: int) -> Scores:
        """List after list, the queries that want it: the vectors are read once, in their order."""
        import faiss

        edges = self._lists.edges
        counts = self._counts[which]
        query = np.repeat(np.arange(len(which)), counts)
        slot = np.arange(len(query)) - np.repeat(counts.cumsum() - counts, counts)
        lists = self._chosen[self._first[which[query]] + slot]
        each = min(width, int(self._lists.sizes.max()))
        scores = np.full((len(which), counts.max(), each), -np.inf, np.float32)
        places = np.zeros(scores.shape, np.int64)
        order = np.argsort(lists, kind="stable")
        for pairs in np.split(order, np.flatnonzero(np.diff(lists[order])) + 1):
            start, stop = edges[lists[pairs[0]]], edges[lists[pairs[0]] + 1]
            vectors, asked = self.vectors[start:stop], self.queries[which[query[pairs]]]
            best = min(each, len(vectors))
            if best:
                found = faiss.knn(asked, vectors, best, metric=faiss.METRIC_INNER_PRODUCT)
                scores[query[pairs], slot[pairs], :best] = found[0]
                places[query[pairs], slot[pairs], :best] = found[1] + start
        return _best(scores.reshape(len(which), -1), places.reshape(len(which), -1), width)

    def places(self, query: int) -> np.ndarray:
        first, edges = self._first[query], self._lists.edges
        chosen = self._chosen[first : first + self._counts[query]]
        return np.concatenate([np.arange(edges[i], edges[i + 1]) for i in chosen])

    def rows(self, places: np.ndarray) -> np.ndarray:
        return self._lists.rows[places]


def _choose(
    queries: np.ndarray, lists: Lists, probes: int, k: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How many lists each query has, which, and the cosine that no row of the others exceeds.

    A member of a list lies within the angle r of its centre; so, by the triangle inequality for
    angles, a query at the angle a has a cosine of at most cos(max(0, a - r)) with it.
    """
    sizes = lists.sizes
    near = np.clip(unit(queries) @ lists.centres.T, -1.0, 1.0)
    last = near.shape[1] - probes
    chosen = near >= np.partition(near, last, axis=1)[:, last, None]
    chosen[chosen @ sizes < k] = True
    cos_r = np.clip(lists.nearness - _EXACT, -1.0, 1.0)
    sin_r = np.sqrt((1 - cos_r) * (1 + cos_r))
    bound = near * cos_r + np.sqrt((1 - near) * (1 + near)) * sin_r
    bound[near >= cos_r] = 1.0
    bound[chosen | (sizes == 0)] = -np.inf
    return chosen.sum(axis=1), np.nonzero(chosen)[1], bound.max(axis=1) + _EXACT


def _best(scores: np.ndarray, places: np.ndarray, width: int) -> Scores:
    """The best of each row, best first, filled up to the width."""
    short = width - scores.shape[1]
    if short > 0:
        scores = np.pad(scores, ((0, 0), (0, short)), constant_values=-np.inf)
        places = np.pad(places, ((0, 0), (0, short)))
    best = np.argpartition(-scores, width - 1, axis=1)[:, :width]
    scores, places = (np.take_along_axis(x, best, 1) for x in (scores, places))
    order = np.argsort(-scores, axis=1, kind="stable")
    return np.take_along_axis(scores, order, 1), np.take_along_axis(places, order, 1)


def ranks(queries: np.ndarray, centres: np.ndarray, lists: np.ndarray) -> np.ndarray:
    """How many lists each query must be compared with to come to all of those given.

    Args:
        queries: unit vectors [n, d].
        centres: unit vectors in float64 [l, d].
        lists: those wanted [n, k].

    Returns:
        counts [n].
    """
    near = unit(queries) @ centres.T
    farthest = np.take_along_axis(near, lists, 1).min(axis=1, keepdims=True)
    return (near >= farthest).sum(axis=1)


def nearness(vectors: np.ndarray, centres: np.ndarray, lists: np.ndarray) -> np.ndarray:
    """Cosines of vectors [n, d] with the centres of the lists [n] that they are in."""
    return cosine(vectors, centres[lists])
