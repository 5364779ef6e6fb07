"""Mean average precision of each task over its clips."""

from __future__ import annotations

from typing import Any

import polars as pl

from sumlctl.evaluation.protocols import per_class as classes
from sumlctl.evaluation.protocols.context import Context
from sumlctl.evaluation.protocols.measures import Measure, mean_ap
from sumlctl.evaluation.protocols.scored import read


def score(predictions: pl.DataFrame, context: Context | None = None) -> list[dict[str, Any]]:
    """Mean over the classes with positives of average precision, over all predicted clips.

    Args:
        predictions: clip_id, task, scores, target, n_views.
        context: the clips of the split, to check that all are there.

    Returns:
        task, subset, metric, k (none), value and n_clips of each task.
    """
    return [measure.row() for measure in measures(predictions, context)]


def measures(predictions: pl.DataFrame, context: Context | None = None) -> list[Measure]:
    """The means of `score` before they are computed."""
    return [
        mean_ap(task.task, task.scores, task.multi_hot(), task.video, task.videos, len(task))
        for task in read(predictions, context).values()
    ]


def per_class(predictions: pl.DataFrame, context: Context | None = None) -> list[dict[str, Any]]:
    """Average precision of each class over the clips: task, class, positives and value."""
    return [
        row
        for task in read(predictions, context).values()
        for row in classes.average_precisions(task.task, task.scores, task.multi_hot())
    ]
