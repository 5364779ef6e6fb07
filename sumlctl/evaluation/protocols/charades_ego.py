"""Charades-Ego as Ego-Exo scores it (the paper's Table 2): mAP over videos.

Follows github.com/facebookresearch/Ego-Exo, `slowfast/utils/meters.py` (`TestMeter` with
`ENSEMBLE_METHOD: max`, then `get_map`): a video's scores are the largest sigmoids of its views, its
labels those of the whole video, and the average precisions of scikit-learn are averaged over the
classes with a positive. A video without labels is a negative of every class; `charades_ego_nan`
is the other protocol in use, where it is not.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from sumlctl.evaluation.protocols.charades import each_class, means, videos
from sumlctl.evaluation.protocols.context import Context
from sumlctl.evaluation.protocols.measures import Measure

_NAME = "charades_ego"
# A model sees the whole video: nobody tells it where the actions are.
WHOLE_VIDEOS = True


def score(predictions: pl.DataFrame, context: Context | None = None) -> list[dict[str, Any]]:
    """Mean over the classes with positives of average precision, over videos.

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
    return means(videos(predictions, context, _NAME))


def per_class(predictions: pl.DataFrame, context: Context | None = None) -> list[dict[str, Any]]:
    """Average precision of each class over the videos: task, class, positives and value."""
    return each_class(videos(predictions, context, _NAME))
