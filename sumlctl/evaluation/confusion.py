"""Which classes a run takes for which others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from sumlctl.errors import unknown_name
from sumlctl.evaluation.metrics import decisions
from sumlctl.evaluation.protocols.context import Context
from sumlctl.evaluation.protocols.scored import read


def confused(
    predictions: pl.DataFrame,
    task: str,
    context: Context | None = None,
    names: Sequence[str] = (),
    top: int = 20,
) -> pl.DataFrame:
    """The pairs of a clip's class and the class it is taken for that occur most often.

    Only for tasks with one class per clip. A clip whose class ties for the highest score is taken
    for the other class, as in the accuracy.

    Args:
        predictions: columns of the predictions table.
        task: which of its tasks.
        context: the clips of the split, to check that all are there.
        names: class names in the order of their ids.
        top: how many pairs.

    Returns:
        true and predicted (class ids), true_name and predicted_name (if names are given), count
        (clips), share (of the true class's clips); the largest count first, then the largest
        share, then the smallest ids.

    Raises:
        SumlError: no such task, or predictions that do not fit the context.
    """
    context = context or Context()
    tasks = read(predictions, context)
    if task not in tasks:
        raise unknown_name(context.source, "task", task, tasks)
    scored = tasks[task].labelled()
    target = scored.target
    pairs = pl.DataFrame({"true": target, "predicted": decisions(scored.scores, target)})
    found = (
        pairs.with_columns(support=pl.len().over("true"))
        .filter(pl.col("true") != pl.col("predicted"))
        .group_by("true", "predicted")
        .agg(count=pl.len().cast(pl.Int64), support=pl.col("support").first())
        .with_columns(share=pl.col("count") / pl.col("support"))
        .sort(
            "count",
            "share",
            "true",
            "predicted",
            descending=[True, True, False, False],
        )
        .head(top)
    )
    if not names:
        return found.select("true", "predicted", "count", "share")
    words = np.array(names, dtype=object)
    return found.select(
        "true",
        "predicted",
        pl.Series("true_name", words[found["true"].to_numpy()].tolist(), pl.String),
        pl.Series("predicted_name", words[found["predicted"].to_numpy()].tolist(), pl.String),
        "count",
        "share",
    )
