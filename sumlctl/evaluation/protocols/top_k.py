"""Top-1 and top-5 accuracy of each task (the paper's Tables 1, 3 and 4)."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from sumlctl.evaluation.metrics import topk_accuracy

_KS = (1, 5)


def score(predictions: pl.DataFrame) -> list[dict[str, Any]]:
    """Accuracies over the clips that have a class; the first of several counts.

    Args:
        predictions: clip_id, task, scores, target, n_views.

    Returns:
        task, subset, metric, k, value and n_clips of each accuracy.
    """
    rows = []
    labelled = predictions.filter(pl.col("target").list.len() > 0)
    for (task,), group in labelled.group_by("task", maintain_order=True):
        scores = np.stack(group.get_column("scores").to_list())
        target = group.get_column("target").list.first().to_numpy()
        shared = {"task": task, "subset": "all", "metric": "accuracy", "n_clips": len(target)}
        rows += [{**shared, "k": k, "value": topk_accuracy(scores, target, k)} for k in _KS]
    return rows
