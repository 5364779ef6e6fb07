"""How good a ranking is: recall, average precision, nDCG, in the mean over the order of ties.

Items with equal scores have no order, so each number is its expectation over all orders of theirs
(McSherry and Najork, ECIR 2008). Equal scores for everything thus give the chance level, and an
encoder that maps all clips to one point earns no more than that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Measure = tuple[str, int | None]  # a name and, for recall, k


class Ranking:
    """One query's items by score, best first, those with equal scores in one group.

    Gains say how relevant each item is, from 0 to 1; an item is relevant if its gain is 1.

    Args:
        scores: of the items [M], higher is better.
    """

    def __init__(self, scores: np.ndarray) -> None:
        self._order = np.argsort(-scores)
        ranked = scores[self._order]
        new = np.append(True, ranked[1:] != ranked[:-1])
        self._first = np.flatnonzero(new)
        self._group = np.cumsum(new) - 1
        self._size = np.diff(np.append(self._first, len(scores)))

    def recall(self, gains: np.ndarray, k: int) -> float:
        """Probability that a relevant item is among the first `k`.

        Args:
            gains: of the items [M].
            k: at least 1.

        Returns:
            The probability; NaN if no item is relevant.
        """
        relevant = self._sums(gains == 1)
        if not relevant.any():
            return float("nan")
        group = int(np.flatnonzero(relevant)[0])
        places = min(k - self._first[group], self._size[group])
        if places <= 0:
            return 0.0
        drawn = np.arange(places)
        others = self._size[group] - relevant[group]
        return 1.0 - float(np.prod(np.maximum(others - drawn, 0) / (self._size[group] - drawn)))

    def average_precision(self, gains: np.ndarray, graded: bool = False) -> float:
        """Mean over the relevant items of the precision at their places.

        Args:
            gains: of the items [M].
            graded: whether precision counts the gains of all items, as the released evaluation of
                EPIC-KITCHENS-100's retrieval challenge does, or relevant items alone.

        Returns:
            The mean; NaN if no item is relevant.
        """
        relevant = self._sums(gains == 1)
        total = relevant.sum()
        if not total:
            return float("nan")
        counted = self._sums(gains) if graded else relevant
        before = np.append(0.0, np.cumsum(counted)[:-1])
        group = self._group
        size, place = self._size[group], np.arange(1, len(gains) + 1)
        behind = place - 1 - self._first[group]
        # Of a group's other items, each is as likely as any other to stand in front.
        share = behind / np.maximum(size - 1, 1)
        in_front = before[group] + 1 + share * (counted[group] - 1)
        return float(np.sum(relevant[group] / size * in_front / place) / total)

    def ndcg(self, gains: np.ndarray) -> float:
        """Discounted gain over the best possible, both up to the number of items with any gain.

        The measure of EPIC-KITCHENS-100's multi-instance retrieval (Damen et al., IJCV 2022): the
        gain of place i is divided by log2(i + 1).

        Args:
            gains: of the items [M].

        Returns:
            The ratio; NaN if no item has any gain.
        """
        ideal = -np.sort(-gains)
        last = int(np.count_nonzero(gains))
        if not last:
            return float("nan")
        expected = (self._sums(gains) / self._size)[self._group[:last]]
        discounts = 1 / np.log2(np.arange(2, last + 2))
        return float(expected @ discounts / (ideal[:last] @ discounts))

    def _sums(self, values: np.ndarray) -> np.ndarray:
        """Sums over each group of ties, float64."""
        return np.add.reduceat(values[self._order].astype(np.float64), self._first)


class Tally:
    """The measures of many queries over one base, and those of random rankings.

    Args:
        items: of the base, M.
        ks: of `recall`.
        graded: whether gains between 0 and 1 occur; without, `graded_mAP` would be `mAP`.
    """

    def __init__(self, items: int, ks: Sequence[int], graded: bool) -> None:
        self._ks, self._graded = ks, graded
        self._random = Ranking(np.zeros(items))
        self._by_chance: dict[tuple[bytes, bytes], dict[Measure, float]] = {}
        names: list[Measure] = [*(("recall", k) for k in ks), ("mAP", None)]
        names += [("graded_mAP", None)] if graded else []
        self._found: dict[Measure, list[tuple[float, float]]]
        self._found = {name: [] for name in (*names, ("nDCG", None))}

    def add(self, ranking: Ranking, gains: np.ndarray) -> None:
        """Counts one query.

        Args:
            ranking: the query's.
            gains: of the items [M].
        """
        # To chance it only matters how often each gain occurs.
        values, counts = np.unique(gains[gains > 0], return_counts=True)
        key = values.tobytes(), counts.tobytes()
        if key not in self._by_chance:
            self._by_chance[key] = self._measures(self._random, gains)
        for name, value in self._measures(ranking, gains).items():
            if not math.isnan(value):
                self._found[name].append((value, self._by_chance[key][name]))

    def _measures(self, ranking: Ranking, gains: np.ndarray) -> dict[Measure, float]:
        ways: dict[str, Callable[[], float]] = {
            "mAP": lambda: ranking.average_precision(gains),
            "graded_mAP": lambda: ranking.average_precision(gains, graded=True),
            "nDCG": lambda: ranking.ndcg(gains),
        }
        return {
            (name, k): ways[name]() if k is None else ranking.recall(gains, k)
            for name, k in self._found
        }

    def rows(self) -> list[dict[str, Any]]:
        """metric, k, value, chance and n_clips: means over the queries with something to find."""
        rows = []
        for (metric, k), pairs in self._found.items():
            if not pairs:
                continue
            value, chance = np.mean(pairs, axis=0).tolist()
            counted = {"value": value, "chance": chance, "n_clips": len(pairs)}
            rows.append({"metric": metric, "k": k} | counted)
        return rows
