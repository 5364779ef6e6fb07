"""Protocols: which clips and classes count."""

from __future__ import annotations

import polars as pl
import pytest

from sumlctl import components


def predictions(task: str, scores: list[list[float]], target: list[list[int]]) -> pl.DataFrame:
    n = len(scores)
    return pl.DataFrame(
        {
            "clip_id": [f"d/{i}" for i in range(n)],
            "task": [task] * n,
            "scores": scores,
            "target": target,
            "n_views": [1] * n,
        },
        schema_overrides={"scores": pl.List(pl.Float32), "target": pl.List(pl.Int32)},
    )


def test_top_k_scores_each_task_over_its_labelled_clips():
    score = components.load("protocols", "top-k")
    seven = [[0.4, 0.3, 0.2, 0.1, 0.0, -0.1, -0.2]]
    both = pl.concat(
        [
            predictions("verb", [[0.9, 0.1], [0.9, 0.1], [0.5, 0.6]], [[0], [1], []]),
            predictions("noun", seven * 3, [[1, 6], [6], [0]]),
        ]
    )
    rows = {(r["task"], r["k"]): (r["value"], r["n_clips"]) for r in score(both)}
    assert rows["verb", 1] == (0.5, 2)
    assert rows["verb", 5] == (1.0, 2)
    assert rows["noun", 1] == (pytest.approx(1 / 3), 3)
    assert rows["noun", 5] == (pytest.approx(2 / 3), 3)


def test_multi_label_is_the_mean_over_classes_with_positives():
    score = components.load("protocols", "multi-label")
    scores = [[0.9, 0.1, 0.5], [0.8, 0.9, 0.4], [0.1, 0.2, 0.3]]
    (row,) = score(predictions("action", scores, [[0], [], [0, 1]]))
    # Class 0: hits at ranks 1 and 3, (1 + 2/3) / 2. Class 1: hit at rank 2, 1/2. Class 2: none.
    assert row["value"] == pytest.approx(((1 + 2 / 3) / 2 + 1 / 2) / 2)
    assert (row["metric"], row["k"], row["n_clips"]) == ("mAP", None, 3)
