"""Metrics: numpy in, float out, fractions from 0 to 1."""

from __future__ import annotations

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
    scores, target = np.asarray(scores), np.asarray(target)
    _check(scores, target.shape == scores.shape[:1], "target [N]")
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    if not len(target):
        return float("nan")
    if target.min() < 0 or target.max() >= scores.shape[1]:
        raise ValueError(f"targets must be classes 0 to {scores.shape[1] - 1}")
    own = np.take_along_axis(scores, target[:, None], axis=1)
    return float(np.mean((scores >= own).sum(axis=1) <= k))


def mean_average_precision(scores: np.ndarray, targets: np.ndarray) -> float:
    """Mean over the classes that have positives of average precision.

    Average precision sums the precision at each distinct score, weighted with the recall gained
    there; clips with equal scores are retrieved together.

    Args:
        scores: [N, C], higher is better.
        targets: multi-hot [N, C] of 0 and 1.

    Returns:
        The mean; NaN when no class has a positive.

    Raises:
        ValueError: shapes do not fit, a score is NaN, or a target is neither 0 nor 1.
    """
    scores, targets = np.asarray(scores), np.asarray(targets)
    _check(scores, targets.shape == scores.shape, "targets [N, C]")
    if not np.isin(targets, (0, 1)).all():
        raise ValueError("targets must be 0 or 1")
    present = np.flatnonzero(targets.any(axis=0))
    if not present.size:
        return float("nan")
    return float(np.mean([_average_precision(scores[:, c], targets[:, c]) for c in present]))


def _average_precision(scores: np.ndarray, targets: np.ndarray) -> float:
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    hits = np.cumsum(targets[order] > 0)
    last_of_tie = np.append(ranked[1:] != ranked[:-1], True)
    hits, retrieved = hits[last_of_tie], np.flatnonzero(last_of_tie) + 1
    gained = np.diff(hits, prepend=0) / hits[-1]
    return float(np.sum(hits / retrieved * gained))


def _check(scores: np.ndarray, fits: bool, expected: str) -> None:
    if scores.ndim != 2 or not fits:
        raise ValueError(f"expected scores [N, C] and {expected}, got scores {scores.shape}")
    if np.isnan(scores).any():
        raise ValueError("scores must not be NaN")
