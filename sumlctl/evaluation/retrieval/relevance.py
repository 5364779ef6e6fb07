"""How relevant clips are to a query: by their labels, or by what is said about them.

`verb`, `noun` and `action` are 1 for a class in common, `both` for a verb and a noun in common.
`iou` is the mean of the intersections over unions of verbs and nouns, the relevance of
EPIC-KITCHENS-100's multi-instance retrieval (Damen et al., IJCV 2022; Wray et al., CVPR 2021).
`narration` is 1 for narrations whose cosine exceeds a threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np
import polars as pl

from sumlctl.learning.tasks import Vocabularies

COLUMNS = {"verb": "verbs", "noun": "nouns", "action": "actions"}
KINDS = (*COLUMNS, "both", "iou", "narration")


class Labels:
    """Labels of one kind on both sides of a search.

    Classes of one dataset are the same if their ids are, those of different datasets if they have
    a word in common, as in mining.

    Args:
        column: `verbs`, `nouns` or `actions`.
        queries: `dataset` and label columns of the queries.
        base: the same of the items that are searched.
        vocabularies: dataset -> label kind -> class id -> words, of both sides.
    """

    def __init__(
        self, column: str, queries: pl.DataFrame, base: pl.DataFrame, vocabularies: Vocabularies
    ) -> None:
        numbers: dict[tuple[str, int], int] = {}
        listed = [_listed(rows, column, numbers) for rows in (queries, base)]
        self._queries, self._base = (_hot(classes, len(numbers)) for classes in listed)
        self._same = _same(list(numbers), column, vocabularies).astype(np.float32)
        # [C, M]: whether an item has a class that is the same as c.
        self._in_base = (self._same @ self._base.T > 0).astype(np.float32)

    @property
    def known(self) -> bool:
        """Whether both sides have any label."""
        return bool(self._queries.any() and self._base.any())

    def shared(self, part: slice) -> np.ndarray:
        """Whether queries and items have a class in common: bool [n, M].

        Args:
            part: which queries.
        """
        return self._queries[part] @ self._in_base > 0

    def overlap(self, part: slice) -> np.ndarray:
        """Intersection over union of the classes of queries and items: float64 [n, M].

        Nothing and nothing overlap by 0.

        Args:
            part: which queries.
        """
        queries = self._queries[part]
        forth = queries @ self._in_base
        back = (queries @ self._same > 0).astype(np.float32) @ self._base.T
        common = np.minimum(forth, back).astype(np.float64)
        every = queries.sum(axis=1)[:, None] + self._base.sum(axis=1) - common
        return common / np.maximum(every, 1)


def _listed(
    rows: pl.DataFrame, column: str, numbers: dict[tuple[str, int], int]
) -> list[list[int]]:
    """Each row's classes, numbered over all datasets in the order in which they come up."""
    return [
        [numbers.setdefault((dataset, i), len(numbers)) for i in ids or ()]
        for dataset, ids in rows.select("dataset", column).iter_rows()
    ]


def _hot(classes: Sequence[Sequence[int]], count: int) -> np.ndarray:
    hot = np.zeros((len(classes), count), np.float32)
    for row, own in zip(hot, classes, strict=True):
        row[list(own)] = 1
    return hot


def _same(
    classes: Sequence[tuple[str, int]], column: str, vocabularies: Vocabularies
) -> np.ndarray:
    meant: dict[str, list[int]] = {}
    for place, (dataset, number) in enumerate(classes):
        forms = vocabularies.get(dataset, {}).get(column, ())
        for word in forms[number] if number < len(forms) else ():
            meant.setdefault(word, []).append(place)
    same = np.eye(len(classes), dtype=bool)
    for places in meant.values():
        for i, j in permutations(places, 2):
            same[i, j] |= classes[i][0] != classes[j][0]
    return same


class Relevance:
    """The relevance of every item of a base to every query, of each kind that can be told.

    Args:
        queries: `dataset` and label columns of the queries [N].
        base: the same of the items [M].
        vocabularies: of the datasets on both sides.
        narrations: unit vectors of what is said on both sides, [N, d] and [M, d], if known.
        threshold: cosine that similar narrations exceed.
    """

    def __init__(
        self,
        queries: pl.DataFrame,
        base: pl.DataFrame,
        vocabularies: Vocabularies,
        narrations: tuple[np.ndarray, np.ndarray] | None,
        threshold: float,
    ) -> None:
        every = {k: Labels(column, queries, base, vocabularies) for k, column in COLUMNS.items()}
        self._labels = {kind: labels for kind, labels in every.items() if labels.known}
        self._narrations, self._threshold = narrations, threshold
        both = ["both", "iou"] if {"verb", "noun"} <= self._labels.keys() else []
        self.kinds = [*self._labels, *both, *(["narration"] if narrations else [])]

    def gains(self, kind: str, part: slice) -> np.ndarray:
        """How relevant every item is: float64 from 0 to 1 [n, M].

        Args:
            kind: one of `kinds`.
            part: which queries.
        """
        if kind == "narration":
            assert self._narrations is not None
            queries, base = self._narrations
            return (queries[part] @ base.T > self._threshold).astype(np.float64)
        if kind == "iou":
            return (self._labels["verb"].overlap(part) + self._labels["noun"].overlap(part)) / 2
        if kind == "both":
            found = self._labels["verb"].shared(part) & self._labels["noun"].shared(part)
        else:
            found = self._labels[kind].shared(part)
        return found.astype(np.float64)
