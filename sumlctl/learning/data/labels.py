"""What a sampled window is labelled with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import polars as pl

from sumlctl.learning.data.clips import ClipSet
from sumlctl.learning.tasks import Task


class Targets(Protocol):
    """Targets of one task, for any window of any clip of a set."""

    def at(self, row: int, times_s: np.ndarray) -> np.ndarray:
        """The target of a window: a class number, or 0, 1, -1 for each class [C].

        Args:
            row: place of the clip in its set.
            times_s: times of the window's frames, ascending.
        """
        ...


def targets(task: Task, clip_set: ClipSet) -> Targets:
    """Exclusive tasks take the clip's class, multi-label ones every label that overlaps a window.

    The second is the training protocol of Charades-Ego, whose actions run side by side.
    """
    if task.exclusive:
        return _OfClips(task.targets(clip_set.rows))
    return _OfWindows(task.targets(clip_set.annotated), clip_set)


class _OfClips:
    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def at(self, row: int, times_s: np.ndarray) -> np.ndarray:
        return self._values[row]


class _OfWindows:
    """Labels of all annotated clips of the video that a window overlaps, decodable or not."""

    def __init__(self, values: np.ndarray, clip_set: ClipSet) -> None:
        self._values = values
        self._starts = clip_set.annotated.get_column("start_s").to_numpy()
        self._stops = clip_set.annotated.get_column("stop_s").to_numpy()
        self._offsets, self._neighbours = _overlapping(clip_set.rows, clip_set.annotated)

    def at(self, row: int, times_s: np.ndarray) -> np.ndarray:
        near = self._neighbours[self._offsets[row] : self._offsets[row + 1]]
        begun = self._starts[near] <= times_s[-1]
        return self._values[near[begun & (self._stops[near] > times_s[0])]].max(axis=0)


def _overlapping(rows: pl.DataFrame, annotated: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """For each row the annotated rows of its video that overlap it.

    Returns:
        offsets [n + 1] and neighbours, such that those of row i are neighbours[o[i]:o[i + 1]].
    """
    video = ["dataset", "video_id"]
    theirs = dict(_by_video(annotated, video))
    firsts, seconds = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for key, (own, starts, stops) in _by_video(rows, video):
        places, other_starts, other_stops = theirs[key]
        meets = (starts[:, None] <= other_stops) & (stops[:, None] >= other_starts)
        mine, found = np.nonzero(meets)
        firsts.append(own[mine])
        seconds.append(places[found])
    first, second = np.concatenate(firsts), np.concatenate(seconds)
    order = np.argsort(first, kind="stable")
    counts = np.bincount(first, minlength=rows.height)
    return np.concatenate([[0], np.cumsum(counts)]), second[order]


def _by_video(
    rows: pl.DataFrame, video: list[str]
) -> Iterator[tuple[tuple[Any, ...], tuple[np.ndarray, ...]]]:
    """Video -> places, starts and stops of its rows."""
    numbered = rows.select(*video, "start_s", "stop_s").with_row_index("place")
    for key, group in numbered.group_by(video, maintain_order=True):
        columns = (group.get_column(c).to_numpy() for c in ("place", "start_s", "stop_s"))
        yield key, tuple(columns)
