"""Compares what a store is to hold with what it holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from sumlctl import tables
from sumlctl.errors import SumlError
from sumlctl.jobs.units import Unit, fingerprint
from sumlctl.video import probe, quarantine
from sumlctl.video.clip_cache import manifest, spans
from sumlctl.video.clip_cache.encode import EncodeSettings
from sumlctl.video.clip_cache.make import Job
from sumlctl.video.clip_cache.spans import Span
from sumlctl.workspace import Workspace, inside

Stamp = tuple[int, int]


@dataclass(frozen=True)
class Wanted:
    """What a store is to hold.

    Args:
        settings: size and quality of its files.
        margin_s: seconds before and after each clip.
        whole: whether it holds whole videos, not only their clips.
    """

    settings: EncodeSettings
    margin_s: float
    whole: bool


class ToMake(NamedTuple):
    """A file to make.

    Args:
        video_id: the video.
        frames: how many it will hold, about.
        stamp: size and modification time of the video when it was indexed.
        job: how to make it.
    """

    video_id: str
    frames: int
    stamp: Stamp
    job: Job

    @property
    def unit(self) -> Unit:
        """The file as a unit of work."""
        job = self.job
        facts = self.video_id, *job.span, str(job.settings), *self.stamp
        return Unit(job.target.name, job, fingerprint(*facts), (job.target,))


class Clip(NamedTuple):
    """An annotated stretch of a video, seconds."""

    video_id: str
    start_s: float
    stop_s: float


@dataclass(frozen=True)
class Plan:
    """What a store lacks.

    Args:
        dataset: its name.
        path: of the manifest, which the files lie beside.
        inputs: the tables that it follows from, name in the workspace -> sha256.
        todo: files to make.
        kept: rows of the manifest that stay.
        superseded: number of its rows whose files nobody will read any more.
        clips: the clips that have a video; each ends with it at the latest.
        offsets_s: video id -> seconds from the video's own start, from which clips count, to its
            first frame, from which files of the store count.
        stamps: video id -> size and modification time of the video when it was indexed.
        corrections: video id -> what of it earlier versions stored otherwise.
        changed: videos that are gone, or no longer as they were indexed; of these nothing is made,
            and what there is of them stays.
        folders: videos that are folders of pictures, which need no store.
    """

    dataset: str
    path: Path
    inputs: dict[str, str]
    todo: list[ToMake]
    kept: list[manifest.Row]
    superseded: int
    clips: list[Clip]
    offsets_s: dict[str, float]
    stamps: dict[str, Stamp]
    corrections: dict[str, str]
    changed: list[str]
    folders: list[str]


def plan(dataset: str, workspace: Workspace, wanted: Wanted) -> Plan:
    """Finds out which files of a dataset's store are still to be made.

    A file stays while its stretch, the settings and its video are the same, and where its video
    is gone, so that it could not be made again.

    Raises:
        SumlError: a table is missing or damaged, or no video is there.
    """
    root, videos = _videos(dataset, workspace)
    files = {name: inside(root, row["path"], dataset) for name, row in videos.items()}
    folders = [name for name, file in files.items() if file.is_dir()]
    videos = {name: row for name, row in videos.items() if name not in folders}
    stamps = {name: (row["size_bytes"], row["mtime_ns"]) for name, row in videos.items()}
    clips = _clips(dataset, workspace, {name: row["duration_s"] for name, row in videos.items()})
    offsets_s = {name: row["start_s"] or 0.0 for name, row in videos.items()}
    corrections = {name: manifest.corrected(row) for name, row in videos.items()}
    path = workspace.segments(dataset)
    known = {_key(row): row for row in manifest.read(path)}
    todo, kept = [], []
    for name, span in _spans(videos, clips, offsets_s, wanted):
        settings = replace(wanted.settings, corrected=corrections[name])
        old = known.get((name, span.start_s, span.stop_s, str(settings), *stamps[name]))
        if old is not None and manifest.is_there(inside(path.parent, old["file"], path), old):
            kept.append(known.pop(_key(old)))
        else:
            target = path.parent / f"{_file_name(name)}.{span.start_ms:08d}.mp4"
            job = Job(files[name].absolute(), span, settings, target.absolute())
            frames = round((span.stop_s - span.start_s) * videos[name]["fps"])
            todo.append(ToMake(name, frames, stamps[name], job))
    changed = {file.video_id for file in todo if _stamp(file.job.source) != file.stamp}
    todo = [file for file in todo if file.video_id not in changed]
    of_no_video = changed | {row["video_id"] for row in known.values()} - videos.keys()
    kept += [row for row in known.values() if row["video_id"] in of_no_video]
    superseded = sum(row["video_id"] not in of_no_video for row in known.values())
    read = (workspace.table(dataset, kind) for kind in ("videos", "clips"))
    inputs = {workspace.relative(table): quarantine.digest(table) for table in read}
    of_videos = offsets_s, stamps, corrections
    left = sorted(changed), folders
    return Plan(dataset, path, inputs, todo, kept, superseded, clips, *of_videos, *left)


def _videos(dataset: str, workspace: Workspace) -> tuple[Path, dict[str, dict[str, Any]]]:
    """The folder of the videos, and their rows by id; only those that can be read."""
    table = tables.read(workspace.table(dataset, "videos"), "videos")
    root = workspace.videos_root(dataset, tables.metadata(table, "videos_root"))
    rows = {row["video_id"]: row for row in table.to_pylist() if row["status"] == "ok"}
    if not rows or not root.is_dir():
        raise SumlError(
            root,
            "no video is there",
            got=f"{len(rows):,} readable ones in the videos table of {dataset}",
            expected="videos to decode",
            fix=f"Put them back, or run `sumlctl index {dataset} --videos DIR` again.",
        )
    return root, rows


def _clips(dataset: str, workspace: Workspace, durations: Mapping[str, float]) -> list[Clip]:
    columns = ("video_id", "start_s", "stop_s", "status")
    table = tables.read(workspace.table(dataset, "clips"), "clips", columns)
    return [
        Clip(row["video_id"], row["start_s"], min(row["stop_s"], durations[row["video_id"]]))
        for row in table.to_pylist()
        if row["status"] in tables.DECODABLE and row["video_id"] in durations
    ]


def _spans(
    videos: Mapping[str, dict[str, Any]],
    clips: Sequence[Clip],
    offsets_s: Mapping[str, float],
    wanted: Wanted,
) -> Iterator[tuple[str, Span]]:
    of_video: dict[str, list[tuple[float, float]]] = {name: [] for name in videos}
    for clip in clips:
        offset_s = offsets_s[clip.video_id]
        stretch = max(clip.start_s - offset_s, 0.0), max(clip.stop_s - offset_s, 0.0)
        of_video[clip.video_id].append(stretch)
    for name, row in videos.items():
        duration_s = row["duration_s"] - offsets_s[name]
        if wanted.whole:
            found = spans.whole(duration_s)
        else:
            found = spans.around(of_video[name], wanted.margin_s, duration_s)
        yield from ((name, span) for span in found)


def _key(row: manifest.Row) -> tuple[Any, ...]:
    stamp = row["video_size_bytes"], row["video_mtime_ns"]
    return row["video_id"], row["start_s"], row["stop_s"], row["settings"], *stamp


def _file_name(video_id: str) -> str:
    """As readable as it can be; percent signs are escaped so that no two ids share a name."""
    return video_id.replace("%", "%25").replace("/", "%2F")


def _stamp(path: Path) -> tuple[int | None, int] | None:
    try:
        return probe.stamp(path)
    except OSError:
        return None
