"""`sumlctl decode`: makes the files of a dataset's store that are not there yet."""

from __future__ import annotations

import os
import time
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sumlctl import console
from sumlctl.engine import supervise
from sumlctl.errors import from_os_error
from sumlctl.video.store import manifest
from sumlctl.video.store.encode import check_encoder
from sumlctl.video.store.make import Made, NotWritten, make
from sumlctl.video.store.plan import Plan, Unit, Wanted, plan
from sumlctl.workspace import Workspace

_DEADLINE_S = 600.0  # of one file, which holds half a minute
_SAVE_EVERY_S = 30.0


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


@dataclass
class _Store:
    """The manifest while files are being made."""

    work: Plan
    rows: list[manifest.Row]
    config: dict[str, object]
    saved: float = field(default_factory=time.monotonic)

    def add(self, unit: Unit, made: Made) -> None:
        job = unit.job
        row = made._asdict() | {
            "video_id": unit.video_id,
            "file": job.target.name,
            "start_s": job.span.start_s,
            "stop_s": job.span.stop_s,
            "tick_num": made.tick.numerator,
            "tick_den": made.tick.denominator,
            "settings": str(job.settings),
            "video_size_bytes": unit.stamp[0],
            "video_mtime_ns": unit.stamp[1],
        }
        self.rows.append(row)
        if time.monotonic() - self.saved > _SAVE_EVERY_S:
            self.save()

    def save(self) -> None:
        manifest.write(self.work.path, self.rows, self.work.inputs, self.config)
        self.saved = time.monotonic()

    def sweep(self) -> None:
        """Removes files that no row tells of: superseded ones, and what killed processes left."""
        told = {row["file"] for row in self.rows}
        for pattern in ("*.mp4", ".*.tmp"):
            for path in self.work.path.parent.glob(pattern):
                if path.name not in told:
                    path.unlink(missing_ok=True)


def decode(dataset: str, workspace: Workspace, wanted: Wanted, *, jobs: int = 1) -> Decoded:
    """Brings a dataset's store up to date.

    An interrupted run goes on where it stopped. A video that cannot be stored is named in
    `failed`; its clips are read from the original.

    Args:
        dataset: the name of an indexed dataset.
        wanted: what the store is to hold.
        jobs: worker processes.

    Raises:
        SumlError: x264 or a table is missing, no video is there, or the disk is full.
    """
    check_encoder()
    work = plan(dataset, workspace, wanted)
    config = asdict(wanted) | {"settings": str(wanted.settings)}
    store = _Store(work, work.kept.copy(), config)
    failed: dict[str, str] = {}
    if work.todo or work.superseded:
        store.save()
        store.sweep()
        try:
            failed = _make(store, jobs)
        finally:
            store.sweep()
            store.save()
    return _summary(store, failed)


def _make(store: _Store, jobs: int) -> dict[str, str]:
    """Makes all files that are to do; video id -> why one of its files could not be made."""
    failed: dict[str, str] = {}
    todo = {unit.job: unit for unit in store.work.todo}
    frames = sum(unit.frames for unit in store.work.todo)
    written = done = 0
    results: Any = supervise.run(
        make, todo, jobs=jobs, deadline_s=_DEADLINE_S, memory_mb=supervise.DECODING_MB
    )
    label = f"decoding {store.work.dataset}"
    with closing(results), console.progress(label, frames, "frames") as bar:
        for job, result in results:
            unit = todo[job]
            if isinstance(result, supervise.Failure):
                failed.setdefault(unit.video_id, result.reason.removeprefix("SumlError: "))
            elif isinstance(result, NotWritten):
                number = result.error_number
                raise from_os_error(OSError(number, os.strerror(number)), result.path)
            else:
                store.add(unit, result)
                written += result.size_bytes
                done += unit.frames
            bar.advance(unit.frames)
            if done:
                bar.tell(f"{written / 1e9:,.2f} of about {written / done * frames / 1e9:,.2f} GB")
    return failed


def _summary(store: _Store, failed: dict[str, str]) -> Decoded:
    work, rows = store.work, store.rows
    contents = manifest.Contents(work.path, work.stamps)
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
        float(np.mean(psnr_db)) if rows else None,
        min(psnr_db, default=None),
        failed,
        work.changed,
        work.folders,
        work.path.parent,
    )
