"""Numbers before they are computed: each as a function of how often every video counts.

Once each gives the number itself; drawn with replacement they give a bootstrap sample of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sumlctl.evaluation import metrics
from sumlctl.evaluation.protocols.scored import Scored

# Weights of the videos [B, V] -> values [B]; NaN where a sample has nothing to measure.
Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Measure:
    """One row of the metrics table.

    Args:
        task: `verb`, `noun`, `action` or `labels`.
        subset: which clips or classes, such as `all` or `tail`.
        metric: `accuracy`, `mAP` and so on.
        k: of a top-k metric.
        n_clips: how many clips it is measured on.
        videos: how many videos the statistic takes weights of, V.
        statistic: weights [B, V] -> values [B].
    """

    task: str
    subset: str
    metric: str
    k: int | None
    n_clips: int
    videos: int
    statistic: Statistic

    @property
    def value(self) -> float:
        """The number itself: every video counts once."""
        return float(self.statistic(np.ones((1, self.videos)))[0])

    def row(self, value: float | None = None, suffix: str = "") -> dict[str, Any]:
        """A row of the metrics table, without `protocol` and `n_views`.

        Args:
            value: another value than the measured one.
            suffix: what the metric's name ends with then.
        """
        return {
            "task": self.task,
            "subset": self.subset,
            "metric": self.metric + suffix,
            "k": self.k,
            "value": self.value if value is None else value,
            "n_clips": self.n_clips,
        }


def accuracies(
    scored: Scored,
    ranks: np.ndarray,
    ks: Sequence[int] = (1, 5),
    subset: str = "all",
    chosen: np.ndarray | None = None,
) -> list[Measure]:
    """Shares of clips whose class ranks within each `k`.

    Args:
        scored: the clips.
        ranks: rank of each clip's class [N].
        ks: at least 1 each.
        subset: which clips count.
        chosen: whether each clip counts [N]; default all.

    Returns:
        A measure for each `k`, or none if no clip counts.
    """
    counted = np.ones(len(scored)) if chosen is None else chosen.astype(float)
    clips = np.bincount(scored.video, weights=counted, minlength=scored.videos)
    n_clips = int(counted.sum())

    def within(k: int) -> Measure:
        right = np.bincount(scored.video, weights=counted * (ranks <= k), minlength=scored.videos)

        def statistic(weights: np.ndarray) -> np.ndarray:
            return _share(weights @ right, weights @ clips)

        return Measure(scored.task, subset, "accuracy", k, n_clips, scored.videos, statistic)

    return [within(k) for k in ks] if n_clips else []


def class_means(
    scored: Scored,
    predicted: np.ndarray,
    target: np.ndarray,
    classes: Sequence[int],
    subset: str,
) -> list[Measure]:
    """Mean class recall and precision over some classes.

    Args:
        scored: the clips.
        predicted: decided class of each [N].
        target: class of each [N].
        classes: over which the means are taken.
        subset: which classes they are.
    """
    hits, support, decided = metrics.class_counts(
        predicted, target, classes, scored.video, scored.videos
    )

    def recall(weights: np.ndarray) -> np.ndarray:
        clips = weights @ support
        return metrics.mean_over_classes(weights @ hits, clips, clips)

    def precision(weights: np.ndarray) -> np.ndarray:
        return metrics.mean_over_classes(weights @ hits, weights @ decided, weights @ support)

    clips = int(support.sum())
    return [
        Measure(scored.task, subset, name, None, clips, scored.videos, statistic)
        for name, statistic in (("mean_class_recall", recall), ("mean_class_precision", precision))
    ]


def mean_ap(
    task: str,
    scores: np.ndarray,
    targets: np.ndarray,
    video: np.ndarray,
    videos: int,
    n_clips: int,
) -> Measure:
    """Mean over the classes that have positives of average precision.

    Args:
        task: its name.
        scores: [N, C].
        targets: multi-hot [N, C].
        video: number of each row's video [N].
        videos: how many there are.
        n_clips: how many clips the rows stand for.
    """

    def statistic(weights: np.ndarray) -> np.ndarray:
        each = metrics.average_precisions(scores, targets, weights[:, video])
        present = ~np.isnan(each)
        return _share(np.where(present, each, 0).sum(axis=1), present.sum(axis=1))

    return Measure(task, "all", "mAP", None, n_clips, videos, statistic)


def _share(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
