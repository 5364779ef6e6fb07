"""One value per class, for the classes that some clip has."""

from __future__ import annotations

from typing import Any

import numpy as np

from sumlctl.evaluation import metrics
from sumlctl.evaluation.protocols.scored import Scored


def recalls(scored: Scored, ranks: np.ndarray) -> list[dict[str, Any]]:
    """Share of each class's clips where it has the highest score of all.

    Args:
        scored: labelled clips of one task.
        ranks: rank of each clip's class [N].

    Returns:
        task, class, positives (clips of the class) and value.
    """
    classes, place = np.unique(scored.target, return_inverse=True)
    positives = np.bincount(place)
    values = np.bincount(place, weights=ranks == 1) / positives
    return _rows(scored.task, classes, positives, values)


def average_precisions(task: str, scores: np.ndarray, targets: np.ndarray) -> list[dict[str, Any]]:
    """Average precision of each class.

    Args:
        task: its name.
        scores: [N, C].
        targets: multi-hot [N, C].

    Returns:
        task, class, positives (rows with the class) and value.
    """
    positives = targets.sum(axis=0, dtype=np.int64)
    classes = np.flatnonzero(positives)
    values = metrics.average_precisions(scores, targets)
    return _rows(task, classes, positives[classes], values[classes])


def _rows(
    task: str, classes: np.ndarray, positives: np.ndarray, values: np.ndarray
) -> list[dict[str, Any]]:
    columns = (classes.tolist(), positives.tolist(), values.tolist())
    return [
        {"task": task, "class": c, "positives": n, "value": value}
        for c, n, value in zip(*columns, strict=True)
    ]
