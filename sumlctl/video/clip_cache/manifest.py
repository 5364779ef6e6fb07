"""What a store holds: `segments.parquet`, one row per file, and which files hold a clip."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from sumlctl import tables
from sumlctl.errors import SumlError
from sumlctl.video.clip_cache.stored import Segment
from sumlctl.workspace import inside

Row = dict[str, Any]


def read(path: Path) -> list[Row]:
    """The manifest's rows; none where there is no store.

    Raises:
        SumlError: the manifest is damaged.
    """
    rows = tables.read(path, "segments").to_pylist() if path.is_file() else []
    if bad := [row for row in rows if row["tick_num"] < 1 or row["tick_den"] < 1]:
        raise SumlError(
            path,
            "no time base",
            got=f"{bad[0]['tick_num']}/{bad[0]['tick_den']} s",
            expected="a fraction of a second",
            fix="Delete it and make it again with `sumlctl decode`.",
        )
    return rows


def write(
    path: Path, rows: Iterable[Row], inputs: Mapping[str, str], config: Mapping[str, Any]
) -> None:
    """Writes the manifest, in the order of videos and time.

    Raises:
        SumlError: the file system refused.
    """
    import pyarrow as pa

    ordered = sorted(rows, key=lambda row: (row["video_id"], row["start_s"]))
    table = pa.Table.from_pylist(ordered, schema=tables.schema("segments"))
    tables.write(table, path, "segments", inputs=inputs, config=config)


def is_there(file: Path, row: Row) -> bool:
    """Whether the file of a row is as it was made, by its size."""
    try:
        return file.stat().st_size == row["size_bytes"]
    except (OSError, ValueError):
        return False


def corrected(video: Row) -> str:
    """Return what of a video earlier versions stored otherwise, for the settings of its files.

    They left mirrored pictures as they are, and of several video streams took the largest.

    Args:
        video: `mirrored` and `stream` of its row in the videos table.
    """
    mirrored = "mirrored" if video["mirrored"] else ""
    stream = "" if video["stream"] is None else f"stream={video['stream']}"
    return f"{mirrored} {stream}".strip()


class Contents:
    """The files of one store that may be read.

    Args:
        path: of the manifest, which the files lie beside.
        videos: video id -> size and modification time of the video as it was indexed.
        offsets_s: video id -> seconds from the video's own start to its first frame, where these
            differ.
        corrections: video id -> what of it earlier versions stored otherwise, see `corrected`.

    Attributes:
        stale: videos that have changed since they were stored, or were stored otherwise.
        missing: files that are not there, or not as they were made.
        short_side: video id -> pixels, of the files that may be read.
    """

    def __init__(
        self,
        path: Path,
        videos: Mapping[str, tuple[int, int]],
        *,
        offsets_s: Mapping[str, float] | None = None,
        corrections: Mapping[str, str] | None = None,
    ) -> None:
        self.stale: set[str] = set()
        self.missing: list[Path] = []
        self.short_side: dict[str, int] = {}
        self._segments: dict[str, list[Segment]] = {}
        self._offsets_s = offsets_s or {}
        for row in read(path):
            name = row["video_id"]
            if name not in videos:
                continue
            file = inside(path.parent, row["file"], path)
            as_indexed = videos[name] == (row["video_size_bytes"], row["video_mtime_ns"])
            correction = (corrections or {}).get(name, "")
            if not as_indexed or not row["settings"].endswith(correction):
                self.stale.add(name)
            elif not is_there(file, row):
                self.missing.append(file)
            else:
                self._segments.setdefault(name, []).append(self._segment(row, file))
                self.short_side[name] = min(row["width"], row["height"])

    def __bool__(self) -> bool:
        return bool(self._segments)

    def holding(self, video_id: str, start_s: float, stop_s: float) -> tuple[Segment, ...]:
        """The adjoining files that hold a video between two times, in order; none if they don't."""
        of_video = self._segments.get(video_id, [])
        offset_s = self._offsets_s.get(video_id, 0.0)
        start_s, stop_s = max(start_s - offset_s, 0.0), stop_s - offset_s
        first = bisect_right(of_video, start_s, key=lambda segment: segment.start_s) - 1
        found: list[Segment] = []
        for segment in of_video[max(first, 0) :]:
            if segment.start_s > (found[-1].stop_s if found else start_s):
                return ()
            found.append(segment)
            if segment.stop_s >= stop_s:
                return tuple(found)
        return ()

    def _segment(self, row: Row, path: Path) -> Segment:
        tick = Fraction(row["tick_num"], row["tick_den"])
        ends = row["first_tick"], row["last_tick"]
        offset_s = self._offsets_s.get(row["video_id"], 0.0)
        return Segment(path, row["start_s"], row["stop_s"], *ends, tick, offset_s)
