"""Top-1 and top-5 accuracy of each task (the paper's Tables 1, 3 and 4)."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from sumlctl.evaluation.metrics import target_ranks
from sumlctl.evaluation.protocols import per_class as classes
from sumlctl.evaluation.protocols.context import Context
from sumlctl.evaluation.protocols.measures import Measure, accuracies
from sumlctl.evaluation.protocols.scored import Scored, read


def score(predictions: pl.DataFrame, context: Context | None = None) -> list[dict[str, Any]]:
    """Accuracies over the clips that have a class; the first of several counts.

    Args:
        predictions: clip_id, task, scores, target, n_views.
        context: the clips of the split, to check that all are there.

    Returns:
        task, subset, metric, k, value and n_clips of each accuracy.
    """
    return [measure.row() for measure in measures(predictions, context)]


def measures(predictions: pl.DataFrame, context: Context | None = None) -> list[Measure]:
    """The accuracies of `score` before they are computed."""
    return [m for task, ranks in _ranked(predictions, context) for m in accuracies(task, ranks)]


def per_class(predictions: pl.DataFrame, context: Context | None = None) -> list[dict[str, Any]]:
    """Top-1 recall of each class: task, class, positives and value."""
    return [
        row for task, ranks in _ranked(predictions, context) for row in classes.recalls(task, ranks)
    ]


def _ranked(predictions: pl.DataFrame, context: Context | None) -> list[tuple[Scored, np.ndarray]]:
    tasks = [task.labelled() for task in read(predictions, context).values()]
    return [(task, target_ranks(task.scores, task.target)) for task in tasks]
