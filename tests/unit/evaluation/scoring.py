"""Small tables of predictions and clips, and scores with ties."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

_IDS = pl.List(pl.Int32)


def predictions(
    task: str,
    scores: Sequence[Sequence[float]] | np.ndarray,
    target: Sequence[Sequence[int]],
    ids: Sequence[str] = (),
) -> pl.DataFrame:
    """Rows of the predictions table for one task; clips are `d/0`, `d/1` and so on."""
    return pl.DataFrame(
        {
            "clip_id": list(ids) or [f"d/{i}" for i in range(len(target))],
            "task": [task] * len(target),
            "scores": np.asarray(scores, dtype=float).tolist(),
            "target": [[int(c) for c in classes] for classes in target],
            "n_views": [1] * len(target),
        },
        schema_overrides={"scores": pl.List(pl.Float32), "target": _IDS, "n_views": pl.Int16},
    )


def clips(
    video: Sequence[object],
    *,
    participant: Sequence[str] = (),
    verbs: Sequence[Sequence[int]] = (),
    nouns: Sequence[Sequence[int]] = (),
    actions: Sequence[Sequence[int]] = (),
) -> pl.DataFrame:
    """Columns of the clips table that scoring reads, for clips `d/0`, `d/1` and so on."""
    n = len(video)
    labels = {"verbs": verbs, "nouns": nouns, "actions": actions}
    return pl.DataFrame(
        {
            "clip_id": [f"d/{i}" for i in range(n)],
            "video_id": [str(v) for v in video],
            "participant": list(participant) or [""] * n,
            **{k: [[int(c) for c in ids] for ids in v] or [[]] * n for k, v in labels.items()},
        },
        schema_overrides=dict.fromkeys(labels, _IDS),
    )


def tied(random: np.random.Generator, rows: int, classes: int, levels: int) -> np.ndarray:
    """Scores of a few levels, as float32 holds them exactly."""
    return random.integers(0, levels, size=(rows, classes)) / 64


def rank(scores: Sequence[float], own: float) -> int:
    """By definition: how many scores are no worse than one's own."""
    return sum(1 for score in scores if score >= own)


def top(scores: np.ndarray, target: Sequence[int], k: int) -> float:
    """Top-k accuracy, clip by clip."""
    pairs = zip(scores.tolist(), target, strict=True)
    return float(np.mean([rank(row, row[t]) <= k for row, t in pairs]))
