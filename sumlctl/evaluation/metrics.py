"""Metrics: numpy in, float out, fractions from 0 to 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def topk_accuracy(scores: np.ndarray, target: np.ndarray, k: int) -> float:
    """Share of clips whose class is among the `k` with the highest scores.

    A class that ties with the target counts as better, so that constant scores earn nothing.

    Args:
        scores: [N, C], higher is better.
        target: class of each clip [N].
        k: at least 1.

    Returns:
        The share; NaN for no clips.

    Raises:
        ValueError: shapes do not fit, a score is NaN, a target is no class, or k is below 1.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    ranks = target_ranks(scores, target)
    return float(np.mean(ranks <= k)) if ranks.size else float("nan")


def target_ranks(scores: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Rank of each clip's class, 1 for the best; a class that ties with it counts as better.

    Args:
        scores: [N, C], higher is better.
        target: class of each clip [N].

    Returns:
        Ranks int64 [N], from 1 to C.

    Raises:
        ValueError: shapes do not fit, a score is NaN, or a target is no class.
    """
    scores, target = _exclusive(scores, target)
    own = np.take_along_axis(scores, target[:, None], axis=1)
    return (scores >= own).sum(axis=1)


def pair_ranks(
    first: np.ndarray, second: np.ndarray, targets: tuple[np.ndarray, np.ndarray], limit: int
) -> np.ndarray:
    """Rank of each clip's pair of classes among all pairs by the product of their scores.

    Exact without the table of all products: the better pairs of one that ranks within `limit`
    use only the `limit` best classes of either side, and of any other one, at least `limit` + 1
    pairs of the `limit` + 1 best classes are no worse. Products of float32 scores are exact in
    float64, so ties are ties; a pair that ties with the target counts as better.

    Args:
        first: scores of the first class [N, C], not negative.
        second: scores of the second class [N, D], not negative.
        targets: first and second class of each clip, [N] each.
        limit: ranks up to here are told apart.

    Returns:
        Ranks int64 [N], from 1; anything above `limit` stands for all lower ranks.

    Raises:
        ValueError: shapes do not fit, a score is NaN or negative, or a target is no class.
    """
    first, first_target = _exclusive(first, targets[0])
    second, second_target = _exclusive(second, targets[1])
    if len(first) != len(second):
        raise ValueError(f"expected as many rows, got {len(first)} and {len(second)}")
    if min(first.min(initial=0), second.min(initial=0)) < 0:
        raise ValueError("scores that are multiplied must not be negative")
    own = _of(first, first_target) * _of(second, second_target)
    best, other = (_largest(scores, limit + 1).astype(np.float64) for scores in (first, second))
    products = best[:, :, None] * other[:, None, :]
    return (products >= own[:, None, None]).sum(axis=(1, 2))


def decisions(scores: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Class with the highest score; where the target ties with another class, the other one.

    So a decision is right exactly where `target_ranks` is 1.

    Args:
        scores: [N, C], higher is better.
        target: class of each clip [N].

    Returns:
        Classes int64 [N].

    Raises:
        ValueError: shapes do not fit, a score is NaN, or a target is no class.
    """
    scores, target = _exclusive(scores, target)
    if scores.shape[1] == 1:
        return np.zeros(len(scores), dtype=np.int64)
    own = _of(scores, target)
    others = scores.astype(np.result_type(scores, np.float32))
    np.put_along_axis(others, target[:, None], -np.inf, axis=1)
    rival = others.argmax(axis=1)
    return np.where(_of(others, rival) >= own, rival, target)


def mean_class_recall(predicted: np.ndarray, target: np.ndarray, classes: Sequence[int]) -> float:
    """Mean over classes of the share of their clips that are decided rightly.

    Only those of `classes` count that are some clip's class, as in the EPIC-KITCHENS-55 challenge
    (Damen et al., ECCV 2018, Sec. 4.2).

    Args:
        predicted: decided class of each clip [N].
        target: class of each clip [N].
        classes: over which the mean is taken.

    Returns:
        The mean; NaN if no clip has one of the classes.
    """
    hits, support, _ = class_counts(predicted, target, classes)
    return float(mean_over_classes(hits, support, support))


def mean_class_precision(
    predicted: np.ndarray, target: np.ndarray, classes: Sequence[int]
) -> float:
    """Mean over classes of the share of decisions for them that are right; 0 if there is none.

    Clips of all classes are decided upon; only those of `classes` count that are some clip's
    class, as in the EPIC-KITCHENS-55 challenge (Damen et al., ECCV 2018, Sec. 4.2).

    Args:
        predicted: decided class of each clip [N].
        target: class of each clip [N].
        classes: over which the mean is taken.

    Returns:
        The mean; NaN if no clip has one of the classes.
    """
    hits, support, decided = class_counts(predicted, target, classes)
    return float(mean_over_classes(hits, decided, support))


def class_counts(
    predicted: np.ndarray,
    target: np.ndarray,
    classes: Sequence[int],
    group: np.ndarray | None = None,
    groups: int = 1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How often each class is decided rightly, is the class of a clip, and is decided for.

    Args:
        predicted: decided class of each clip [N].
        target: class of each clip [N].
        classes: which classes [K], each once.
        group: a number for each clip [N], to count apart; none counts all together.
        groups: how many numbers there are, G.

    Returns:
        Three counts float64, [K] each, or [G, K] with groups.
    """
    places = {int(c): i for i, c in enumerate(classes)}
    column = [np.array([places.get(int(c), -1) for c in ids], int) for ids in (target, predicted)]
    row = np.zeros(len(target), dtype=np.int64) if group is None else np.asarray(group)
    right = column[0] == column[1]

    def count(places: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        chosen = chosen & (places >= 0)
        table = np.zeros((groups, len(classes)))
        np.add.at(table, (row[chosen], places[chosen]), 1)
        return table[0] if group is None else table

    every = np.ones(len(target), dtype=bool)
    return count(column[0], right), count(column[0], every), count(column[1], every)


def mean_over_classes(hits: np.ndarray, total: np.ndarray, support: np.ndarray) -> np.ndarray:
    """Mean of `hits` / `total` over the classes with support; 0 where the total is 0.

    Args:
        hits: [..., K].
        total: [..., K].
        support: [..., K]; classes where it is 0 do not count.

    Returns:
        Means [...]; NaN where no class has support.
    """
    present = support > 0
    shares = np.divide(hits, total, out=np.zeros_like(hits), where=total > 0)
    return _ratio(np.where(present, shares, 0).sum(axis=-1), present.sum(axis=-1))


def mean_average_precision(scores: np.ndarray, targets: np.ndarray) -> float:
    """Mean over the classes that have positives of average precision.

    Args:
        scores: [N, C], higher is better.
        targets: multi-hot [N, C] of 0 and 1.

    Returns:
        The mean; NaN when no class has a positive.

    Raises:
        ValueError: shapes do not fit, a score is NaN, or a target is neither 0 nor 1.
    """
    each = average_precisions(scores, targets)
    present = each[~np.isnan(each)]
    return float(present.mean()) if present.size else float("nan")


def average_precisions(
    scores: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Average precision of each class.

    It sums the precision at each distinct score, weighted with the recall gained there; rows with
    equal scores are retrieved together.

    Args:
        scores: [N, C], higher is better.
        targets: multi-hot [N, C] of 0 and 1.
        weights: how often each row counts, for B samples at once [B, N].

    Returns:
        Average precisions [C], or [B, C] with weights; NaN where a class has no positive.

    Raises:
        ValueError: shapes do not fit, a score is NaN, or a target is neither 0 nor 1.
    """
    scores, targets = np.asarray(scores), np.asarray(targets)
    _check(scores, targets.shape == scores.shape, "targets [N, C]")
    if not np.isin(targets, (0, 1)).all():
        raise ValueError("targets must be 0 or 1")
    times = np.ones((1, len(scores))) if weights is None else np.asarray(weights, dtype=float)
    found = np.full((len(times), scores.shape[1]), np.nan)
    for c in np.flatnonzero(targets.any(axis=0)):
        found[:, c] = _average_precision(scores[:, c], targets[:, c] > 0, times)
    return found[0] if weights is None else found


def _average_precision(scores: np.ndarray, hits: np.ndarray, weights: np.ndarray) -> np.ndarray:
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last_of_tie = np.append(ranked[1:] != ranked[:-1], True)
    tie = np.cumsum(last_of_tie) - last_of_tie
    # Recall is gained at ties with a positive only, so the rows between two of them are summed.
    ends = np.flatnonzero(last_of_tie)[np.unique(tie[hits[order]])]
    starts = np.append(0, ends[:-1] + 1)
    order = order[: ends[-1] + 1]
    retrieved = np.add.reduceat(weights[:, order], starts, axis=1).cumsum(axis=1)
    gained = np.add.reduceat(weights[:, order] * hits[order], starts, axis=1)
    found = gained.cumsum(axis=1)
    return _ratio((_ratio(found, retrieved, 0.0) * gained).sum(axis=1), found[:, -1])


def _ratio(above: np.ndarray, below: np.ndarray, otherwise: float = np.nan) -> np.ndarray:
    out = np.full(np.shape(above), otherwise)
    return np.divide(above, below, out=out, where=np.asarray(below) > 0)


def _of(scores: np.ndarray, classes: np.ndarray) -> np.ndarray:
    return np.take_along_axis(scores, classes[:, None], axis=1)[:, 0].astype(np.float64)


def _largest(scores: np.ndarray, count: int) -> np.ndarray:
    if count >= scores.shape[1]:
        return scores
    return np.partition(scores, -count, axis=1)[:, -count:]


def _exclusive(scores: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores, target = np.asarray(scores), np.asarray(target)
    _check(scores, target.shape == scores.shape[:1], "target [N]")
    if target.size and (target.min() < 0 or target.max() >= scores.shape[1]):
        raise ValueError(f"targets must be classes 0 to {scores.shape[1] - 1}")
    return scores, target.astype(np.int64)


def _check(scores: np.ndarray, fits: bool, expected: str) -> None:
    if scores.ndim != 2 or not fits:
        raise ValueError(f"expected scores [N, C] and {expected}, got scores {scores.shape}")
    if np.isnan(scores).any():
        raise ValueError("scores must not be NaN")
