"""The clips that can be learned from: rows of the clips table joined with their probed videos."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

import numpy as np
import polars as pl

from sumlctl import console, tables
from sumlctl.config import Pipeline
from sumlctl.errors import SumlError
from sumlctl.learning.data.how_read import say_other_rates
from sumlctl.learning.data.videos import Videos, frame
from sumlctl.video.clip_cache import manifest
from sumlctl.video.clip_cache.stored import Segment
from sumlctl.video.quarantine import Quarantined
from sumlctl.workspace import Workspace

_WHOLE_FRAME = 1e-6  # of a frame; less is rounding


@dataclass(frozen=True)
class Clip:
    """Where to find the frames of one clip.

    Args:
        clip_id: its key.
        path: the video file.
        start_s: first instant, seconds since the video's own start, as players count.
        stop_s: last instant, inside the video.
        fps: the video's frames per second.
        stored: files of the store that hold all of it; none where the video itself is read.
        rate: frames per second that windows are counted in; 0 for those of the video.
        decoder: who decodes it: `auto`, `decord` or `pyav`.
        trusted: whether `index` found that decord reads it rightly.
    """

    clip_id: str
    path: Path
    start_s: float
    stop_s: float
    fps: float
    stored: tuple[Segment, ...] = ()
    rate: float = 0.0
    decoder: str = "auto"
    trusted: bool = False

    def window(self, frames: int, stride: int, position: float) -> np.ndarray:
        """Times of one window, spread over `frames * stride` frames as PySlowFast does.

        Frames are the video's, or those of a constant `rate` (PySlowFast's `TARGET_FPS`), whose
        windows last as long whatever the video's rate.

        A window longer than the clip begins with it and repeats its last frame.

        Args:
            frames: times to return.
            stride: frames from one time to the next.
            position: 0 for the first window of the clip, 1 for its last.

        Returns:
            [frames] in seconds, ascending.
        """
        rate = self.rate or self.fps
        slack = max(self.stop_s - self.start_s - frames * stride / rate, 0.0)
        offsets = np.linspace(0, (frames * stride - 1) / rate, frames)
        return np.minimum(self.start_s + position * slack + offsets, self._last_s)

    def every_frame(self) -> np.ndarray:
        """Times of all frames of the clip, the one on screen at its end included, seconds."""
        count = math.ceil((self._last_s - self.start_s) * self.fps - _WHOLE_FRAME) + 1
        return np.minimum(self.start_s + np.arange(count) / self.fps, self._last_s)

    @property
    def _last_s(self) -> float:
        return max(self.stop_s - 1 / self.fps, self.start_s)


class Clips(Sequence[Clip]):
    """The clips of table rows, each made when it is asked for; a million would fill the memory.

    Args:
        rows: decodable rows with their videos' path and rates, and whether decord reads them.
        stores: dataset -> what its store holds.
        decoder: who decodes them: `auto`, `decord` or `pyav`.
    """

    def __init__(
        self, rows: pl.DataFrame, stores: Mapping[str, manifest.Contents], decoder: str = "auto"
    ) -> None:
        columns = ("clip_id", "path", "start_s", "stop_s", "fps", "dataset", "video_id")
        self._columns = [rows.get_column(name) for name in (*columns, "rate", "trusted")]
        self._stores, self._decoder = stores, decoder

    def __len__(self) -> int:
        return len(self._columns[0])

    @overload
    def __getitem__(self, place: int) -> Clip: ...
    @overload
    def __getitem__(self, place: slice) -> list[Clip]: ...
    def __getitem__(self, place: int | slice) -> Clip | list[Clip]:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        clip_id, path, *times, dataset, video, rate, trusted = (
            column[int(place)] for column in self._columns
        )
        start_s, stop_s, fps = times
        stored = self._stores[dataset].holding(video, start_s, stop_s)
        own = rate, self._decoder, trusted
        return Clip(clip_id, Path(path), start_s, stop_s, fps, stored, *own)


@dataclass(frozen=True)
class ClipSet:
    """Decodable clips of one viewpoint.

    Args:
        clips: where their frames are.
        rows: their rows of the clips table, in the same order.
        annotated: all rows of the viewpoint and split, those without frames included.
        vocabularies: dataset -> label kind -> class id -> words of the class.
        left_out: status -> number of clips that cannot be decoded.
        scaled_down: dataset -> least short side, in pixels, to which its store has scaled down
            videos that clips are read from; none where it has not.
    """

    clips: Sequence[Clip]
    rows: pl.DataFrame
    annotated: pl.DataFrame
    vocabularies: dict[str, dict[str, list[list[str]]]]
    left_out: dict[str, int]
    scaled_down: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.clips)


def load(
    workspace: Workspace,
    datasets: Sequence[str],
    viewpoint: str,
    split: str,
    quarantined: Quarantined | None = None,
    pipeline: Pipeline | None = None,
) -> ClipSet:
    """Reads the clips of one viewpoint and split; those without frames are left out and counted.

    Args:
        workspace: where the tables are.
        datasets: whose clips.
        viewpoint: `fpv` or `tpv`.
        split: of the annotations.
        quarantined: the videos in quarantine that count as unreadable, as they were when a run
            began; None for all that are in quarantine now.
        pipeline: says who decodes, and at which rate windows are counted; None for `auto` and the
            videos' own.

    Raises:
        SumlError: a table or the videos folder is missing or does not fit, or no clip of the split
            can be decoded.
    """
    parts, vocabularies, videos = [], {}, {}
    for dataset in datasets:
        path = workspace.table(dataset, "clips")
        table = tables.read(path, "clips")
        vocabularies[dataset] = tables.metadata(table, "vocabulary") or {}
        rows = frame(table).filter(pl.col("viewpoint") == viewpoint)
        videos[dataset] = Videos(workspace, dataset, quarantined, pipeline)
        parts.append(_with_videos(_of_split(rows, split, viewpoint, path), videos[dataset]))
    annotated = pl.concat(parts)
    decodable = pl.col("status").is_in(tables.DECODABLE)
    left_out = dict(annotated.filter(~decodable).get_column("status").value_counts().iter_rows())
    rows = annotated.filter(decodable)
    if left_out:
        reasons = ", ".join(f"{n:,} {status}" for status, n in sorted(left_out.items()))
        console.warn(f"{'+'.join(datasets)} {viewpoint} {split}: clips left out: {reasons}")
    if rows.is_empty():
        raise SumlError(
            "+".join(datasets),
            f"no {viewpoint} clip of split {split} has a video",
            got=f"{sum(left_out.values()):,} clips without one",
            expected="at least one that decodes",
            fix="Index the dataset again with --videos pointing to its videos.",
        )
    scaled_down = {}
    for dataset, of_dataset in videos.items():
        own = rows.filter(pl.col("dataset") == dataset)
        of_dataset.say_what_is_read(own)
        say_other_rates(f"{dataset} {viewpoint} {split}", own)
        if side := of_dataset.scaled_down(own):
            scaled_down[dataset] = side
    stores = {dataset: of_dataset.store for dataset, of_dataset in videos.items()}
    clips = Clips(rows, stores, pipeline.decoder if pipeline else "auto")
    return ClipSet(clips, rows, annotated, vocabularies, left_out, scaled_down)


def _of_split(rows: pl.DataFrame, split: str, viewpoint: str, path: Path) -> pl.DataFrame:
    found = rows.filter(pl.col("split") == split)
    if found.is_empty():
        splits = ", ".join(rows.get_column("split").unique().sort()) or "none"
        raise SumlError(
            path,
            f"no {viewpoint} clips of split {split}",
            got=f"splits {splits}",
            expected=split,
            fix="Choose one of them: --split, or for training --set data.train_split=NAME.",
        )
    return found


def _with_videos(rows: pl.DataFrame, videos: Videos) -> pl.DataFrame:
    """Adds the video's path and rate; no clip reaches beyond the end of its video."""
    trusted = pl.col("decord").eq_missing("trusted").alias("trusted")
    columns = ("video_id", "fps", "rate", "duration_s", "path", "usable")
    of_video = videos.rows.select(*columns, trusted)
    without = pl.col("status").is_in(tables.DECODABLE) & ~pl.col("usable").fill_null(False)
    return (
        rows.join(of_video, on="video_id", how="left", maintain_order="left")
        .with_columns(
            path=pl.concat_str(pl.lit(f"{videos.root}/"), "path"),
            stop_s=pl.min_horizontal("stop_s", "duration_s"),
            status=pl.when(without).then(pl.lit("no_video")).otherwise("status"),
        )
        .drop("usable")
    )


def read_from(workspace: Workspace, datasets: Sequence[str]) -> list[Path]:
    """The files that say which frames clips have: the tables, and what each store there is holds.

    Where there is no store, the videos themselves are read.

    Raises:
        SumlError: a table is missing.
    """
    found = []
    for dataset in dict.fromkeys(datasets):
        found += [tables.there(workspace.table(dataset, k), k) for k in ("clips", "videos")]
        store = workspace.segments(dataset)
        found += [store] if store.is_file() else []
    return found


def vocabulary(workspace: Workspace, dataset: str) -> dict[str, list[list[str]]]:
    """Label kind -> class id -> words of the class, of a dataset's clips table.

    Raises:
        SumlError: the table is missing or damaged.
    """
    table = tables.read(workspace.table(dataset, "clips"), "clips", ["clip_id"])
    return tables.metadata(table, "vocabulary") or {}


def splits(workspace: Workspace, dataset: str, viewpoint: str) -> set[str]:
    """The splits that a dataset has clips of a viewpoint in.

    Raises:
        SumlError: the clips table is missing or damaged.
    """
    table = tables.read(workspace.table(dataset, "clips"), "clips", ["viewpoint", "split"])
    rows = frame(table).filter(pl.col("viewpoint") == viewpoint)
    return set(rows.get_column("split").unique())
