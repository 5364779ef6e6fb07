"""Charades-Ego as its authors score it: mAP over videos, those without labels ranked last.

Follows `charades_nanmap` of github.com/gsig/actor-observer (`utils/map.py`): the scores of a video
without labels are minus infinity, and a class without positives is NaN and left out of the mean.
The older `charades_map` there and in gsig/charades-algorithms, which others copied, takes the
plain mean, and is NaN as soon as one class has no positive: with release v0's first-person test
videos, where 154 of 157 classes occur, always. The originals order ties by chance; here, as in
`charades_ego`, equal scores are retrieved together.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from sumlctl.evaluation.protocols.charades import Videos, each_class, means, videos
from sumlctl.evaluation.protocols.context import Context
from sumlctl.evaluation.protocols.measures import Measure

_NAME = "charades_ego_nan"
# A model sees the whole video: nobody tells it where the actions are.
WHOLE_VIDEOS = True


def score(predictions: pl.DataFrame, context: Context | None = None) -> list[dict[str, Any]]:
    """Mean over the classes with positives of average precision, unlabelled videos last.

    Args:
        predictions: multi-label tasks with sigmoid scores.
        context: the clips of the split.

    Returns:
        task, subset, metric, k (none), value and n_clips (clips, not videos) of each task.

    Raises:
        SumlError: predictions that do not fit, or no clips table.
    """
    return [measure.row() for measure in measures(predictions, context)]


def measures(predictions: pl.DataFrame, context: Context | None = None) -> list[Measure]:
    """The means of `score` before they are computed."""
    return means(_unlabelled_last(predictions, context))


def per_class(predictions: pl.DataFrame, context: Context | None = None) -> list[dict[str, Any]]:
    """Average precision of each class over the videos: task, class, positives and value."""
    return each_class(_unlabelled_last(predictions, context))


def _unlabelled_last(predictions: pl.DataFrame, context: Context | None) -> list[Videos]:
    return [_ranked(found) for found in videos(predictions, context, _NAME)]


def _ranked(found: Videos) -> Videos:
    labelled = (found.targets > 0).any(axis=1, keepdims=True)
    return replace(found, scores=np.where(labelled, found.scores, -np.inf))
