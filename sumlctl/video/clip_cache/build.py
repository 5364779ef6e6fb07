"""`sumlctl decode`: makes the files of a dataset's store that are not there yet."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from sumlctl import console
from sumlctl.jobs import pool
from sumlctl.jobs.executors import THIS_MACHINE, Executor, Limits
from sumlctl.jobs.units import Failed, Unit, Work
from sumlctl.video.clip_cache import manifest
from sumlctl.video.clip_cache.encode import check_encoder
from sumlctl.video.clip_cache.make import make
from sumlctl.video.clip_cache.plan import Plan, ToMake, Wanted, plan
from sumlctl.workspace import Workspace

_DEADLINE_S = 600.0  # of one file, which holds half a minute


@dataclass(frozen=True)
class Decoded:
    """What a store holds now.

    Args:
        dataset: its name.
        clips: clips that have a video.
        stored: those of them that will be read from the store.
        files: files in the store.
        made: those of them that are new.
        video_s: seconds of video in them.
        frames: frames in them.
        size_bytes: their size.
        psnr_db: mean of the files, against the original scaled alike.
        lowest_psnr_db: of the worst file.
        failed: video id -> why a part of it is not in the store.
        changed: videos that are gone, or no longer as they were indexed.
        folders: videos that are folders of pictures and need no store.
        folder: where the files are.
    """

    dataset: str
    clips: int
    stored: int
    files: int
    made: int
    video_s: float
    frames: int
    size_bytes: int
    psnr_db: float | None
    lowest_psnr_db: float | None
    failed: dict[str, str]
    changed: list[str]
    folders: list[str]
    folder: Path


@dataclass(frozen=True)
class _Store:
    """The manifest while files are being made."""

    plan: Plan
    config: dict[str, object]
    rows: list[manifest.Row] = field(default_factory=list)

    def add(self, file: ToMake, made: dict[str, Any]) -> None:
        job = file.job
        told = {
            "video_id": file.video_id,
            "file": job.target.name,
            "start_s": job.span.start_s,
            "stop_s": job.span.stop_s,
            "settings": str(job.settings),
            "video_size_bytes": file.stamp[0],
            "video_mtime_ns": file.stamp[1],
        }
        self.rows.append(told | made)

    def save(self, keep: Iterable[str] = ()) -> None:
        """Writes the manifest; removes files that nobody tells of, and what killed processes left.

        Args:
            keep: names of files that stay without a row.
        """
        manifest.write(self.plan.path, self.rows, self.plan.inputs, self.config)
        told = {row["file"] for row in self.rows} | {*keep}
        for pattern in ("*.mp4", ".*.tmp"):
            for path in self.plan.path.parent.glob(pattern):
                if path.name not in told:
                    path.unlink(missing_ok=True)


def decode(
    dataset: str,
    workspace: Workspace,
    wanted: Wanted,
    *,
    executor: Executor = THIS_MACHINE,
    only_failed: bool = False,
) -> Decoded:
    """Brings a dataset's store up to date.

    An interrupted run goes on where it stopped. A video that cannot be stored is named in
    `failed`; its clips are read from the original.

    Args:
        dataset: the name of an indexed dataset.
        wanted: what the store is to hold.
        executor: who makes the files.
        only_failed: whether to make only files that an earlier command failed at.

    Raises:
        SumlError: x264 or a table is missing, no video is there, or the disk is full.
    """
    check_encoder()
    found = plan(dataset, workspace, wanted)
    config = asdict(wanted) | {"settings": str(wanted.settings)}
    store = _Store(found, config, found.kept.copy())
    failed: dict[str, str] = {}
    if found.todo or found.superseded:
        store.save(keep=[file.job.target.name for file in found.todo])
        work = Work(workspace.units(f"decode {dataset}"))
        failed = _make(store, work, executor, only_failed)
    return _summary(store, failed)


def _make(store: _Store, work: Work, executor: Executor, only_failed: bool) -> dict[str, str]:
    """Makes all files that are to do; video id -> why one of its files could not be made."""
    failed: dict[str, str] = {}
    todo = {file.unit: file for file in store.plan.todo}
    frames = sum(file.frames for file in store.plan.todo)
    limits = Limits(_DEADLINE_S, pool.DECODING_MB)
    written = done = 0
    finished: list[Unit] = []
    results: Any = work.do(make, [*todo], executor, limits, only_failed=only_failed)
    try:
        with (
            closing(results),
            console.progress(f"decoding {store.plan.dataset}", frames, "frames") as bar,
        ):
            for result in results:
                file = todo[result.unit]
                if isinstance(result, Failed):
                    failed.setdefault(file.video_id, result.failure.reason)
                else:
                    finished.append(result.unit)
                    store.add(file, result.result)
                    written += result.result["size_bytes"]
                    done += file.frames
                bar.advance(file.frames)
                if done:
                    size_gb = written / 1e9
                    bar.tell(f"{size_gb:,.2f} of about {size_gb / done * frames:,.2f} GB")
    finally:
        store.save()
        work.forget(finished)
    return failed


def _summary(store: _Store, failed: dict[str, str]) -> Decoded:
    work, rows = store.plan, store.rows
    contents = manifest.Contents(
        work.path, work.stamps, offsets_s=work.offsets_s, corrections=work.corrections
    )
    psnr_db = [row["psnr_db"] for row in rows]
    return Decoded(
        work.dataset,
        len(work.clips),
        sum(bool(contents.holding(*clip)) for clip in work.clips),
        len(rows),
        len(rows) - len(work.kept),
        sum(row["stop_s"] - row["start_s"] for row in rows),
        sum(row["n_frames"] for row in rows),
        sum(row["size_bytes"] for row in rows),
        fmean(psnr_db) if rows else None,
        min(psnr_db, default=None),
        failed,
        work.changed,
        work.folders,
        work.path.parent,
    )
