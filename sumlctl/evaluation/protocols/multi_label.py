"""Mean average precision of each task (the paper's Table 2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from sumlctl.evaluation.metrics import mean_average_precision


def score(predictions: pl.DataFrame) -> list[dict[str, Any]]:
    """Mean over the classes with positives of average precision, over all predicted clips.

    Args:
        predictions: clip_id, task, scores, target, n_views.

    Returns:
        task, subset, metric, k (none), value and n_clips of each task.
    """
    rows = []
    for (task,), group in predictions.group_by("task", maintain_order=True):
        scores = np.stack(group.get_column("scores").to_list())
        targets = np.zeros(scores.shape, dtype=np.int8)
        for row, classes in zip(targets, group.get_column("target"), strict=True):
            row[classes.to_numpy()] = 1
        value = mean_average_precision(scores, targets)
        shared = {"task": task, "subset": "all", "metric": "mAP", "n_clips": len(scores)}
        rows.append({**shared, "k": None, "value": value})
    return rows
