"""The videos of a dataset whose clips are learned from, and what its store holds of them."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import polars as pl

from sumlctl import console, tables
from sumlctl.config import Pipeline
from sumlctl.errors import SumlError
from sumlctl.learning.data.how_read import with_rates, without_doubted
from sumlctl.video import quarantine
from sumlctl.video.clip_cache import manifest
from sumlctl.video.quarantine import Quarantined
from sumlctl.workspace import Workspace, all_inside

_EVEN = 1  # pixel that a store may add or take, so that sides are even


class Videos:
    """The videos of a dataset, and what its store holds of them."""

    def __init__(
        self,
        workspace: Workspace,
        dataset: str,
        quarantined: Quarantined | None,
        pipeline: Pipeline | None = None,
    ) -> None:
        table = tables.read(workspace.table(dataset, "videos"), "videos")
        released = pl.lit(False)
        if quarantined is not None:
            since = quarantine.marked(table).difference(quarantined.get(dataset, ()))
            released = pl.col("video_id").is_in(since)
        self.dataset = dataset
        self._where = f"{dataset} videos.parquet"
        rows = with_rates(workspace, dataset, frame(table), pipeline)
        readable = without_doubted(dataset, rows, pipeline)
        self.rows = rows.with_columns(usable=((pl.col("status") == "ok") | released) & readable)
        self.root = workspace.videos_root(dataset, tables.metadata(table, "videos_root"))
        self._check_rates()
        stamps = self.rows.filter("usable")
        all_inside(self.root, stamps.get_column("path"), self._where)
        columns = stamps.select("video_id", "size_bytes", "mtime_ns").iter_rows()
        indexed = {name: (size, changed) for name, size, changed in columns}
        late = stamps.filter(pl.col("start_s") != 0).select("video_id", "start_s").iter_rows()
        shown = stamps.select("video_id", "mirrored", "stream").iter_rows(named=True)
        corrections = {row["video_id"]: manifest.corrected(row) for row in shown}
        self.store = manifest.Contents(
            workspace.segments(dataset), indexed, offsets_s=dict(late), corrections=corrections
        )

    def say_what_is_read(self, rows: pl.DataFrame) -> None:
        """Says what the store is good for.

        Raises:
            SumlError: a video's path leaves its folder, or clips lie in the videos alone, and the
                folder of these is not there.
        """
        asked = rows.select("video_id", "start_s", "stop_s").iter_rows()
        stored = sum(bool(self.store.holding(*clip)) for clip in asked) if self.store else 0
        if stored < rows.height and not self.root.is_dir():
            raise SumlError(
                self.root,
                "videos folder is missing",
                got="no folder",
                expected=f"the videos of {self.dataset}, where they were indexed",
                fix=f"Put it back, or run `sumlctl index {self.dataset} --videos DIR` again.",
            )
        if stored:
            _say_once(
                f"{self.dataset}: {stored:,} of {rows.height:,} clips are read from the store"
            )
        self._say_what_is_not_used()

    def scaled_down(self, rows: pl.DataFrame) -> int | None:
        """The least short side to which the store has scaled a video of the rows down."""
        asked = pl.col("video_id").is_in(rows.get_column("video_id").unique().implode())
        sizes = self.rows.filter(asked).select("video_id", pl.min_horizontal("width", "height"))
        sides = self.store.short_side
        both = ((sides[name], size) for name, size in sizes.iter_rows() if name in sides)
        return min((side for side, size in both if side + _EVEN < (size or math.inf)), default=None)

    def _check_rates(self) -> None:
        """Insists that every readable video has frames."""
        sound = pl.col("fps").is_finite() & (pl.col("fps") > 0) & pl.col("duration_s").is_finite()
        bad = self.rows.filter(pl.col("usable") & ~sound.fill_null(False))
        if bad.height:
            raise SumlError(
                self._where,
                "a readable video without frames per second or duration",
                got=f"{bad.height:,} such as {bad.item(0, 'video_id')!r}",
                expected="what a probe found",
                fix=f"Delete it and run `sumlctl index {self.dataset}` again.",
            )

    def _say_what_is_not_used(self) -> None:
        if self.rows.filter(pl.col("usable") & pl.col("start_s").is_null()).height:
            again = f"run `sumlctl index {self.dataset}` again"
            what = "was made before times counted from a file's own start, sound included"
            _say_once(f"{self.dataset}: the videos table {what}; {again}")
        again = f"run `sumlctl decode {self.dataset}` again"
        if self.store.stale:
            count = f"{len(self.store.stale):,} videos"
            _say_once(f"{self.dataset}: {count} have changed since they were stored; {again}")
        if self.store.missing:
            count, name = f"{len(self.store.missing):,} files", self.store.missing[0].name
            what = f"of the store are missing or not as they were made, such as {name}"
            _say_once(f"{self.dataset}: {count} {what}; {again}")


@cache
def _say_once(text: str) -> None:
    console.note(text)


def frame(table: Any) -> pl.DataFrame:
    """A checked Arrow table as polars."""
    rows = pl.from_arrow(table)
    assert isinstance(rows, pl.DataFrame)
    return rows
