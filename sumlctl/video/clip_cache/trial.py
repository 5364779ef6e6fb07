"""What bringing a store up to date would take, by trying it on a few seconds of video."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from sumlctl.jobs import pool
from sumlctl.video.clip_cache.encode import check_encoder
from sumlctl.video.clip_cache.make import Cost, Job, try_out
from sumlctl.video.clip_cache.plan import Wanted, plan
from sumlctl.video.clip_cache.spans import Span
from sumlctl.workspace import Workspace

_TRIALS = 8
_TRIAL_MS = 3_000
_DEADLINE_S = 120.0


@dataclass(frozen=True)
class Estimate:
    """What is to be made for a store.

    Args:
        dataset: its name.
        kept: files that are there already.
        files: files to make.
        video_s: seconds of video in them.
        frames: frames in them, about.
        size_bytes: their size, about; None where no trial succeeded.
        seconds: time to make them, about; None where no trial succeeded.
        free_bytes: room on the disk.
        failed: video id -> why a trial failed.
        changed: videos that are gone, or no longer as they were indexed.
        folders: videos that are folders of pictures and need no store.
        folder: where the files will be.
    """

    dataset: str
    kept: int
    files: int
    video_s: float
    frames: int
    size_bytes: int | None
    seconds: float | None
    free_bytes: int
    failed: dict[str, str]
    changed: list[str]
    folders: list[str]
    folder: Path


def estimate(dataset: str, workspace: Workspace, wanted: Wanted, *, jobs: int = 1) -> Estimate:
    """Estimates what `decode` would do, from up to 8 stretches of 3 s; nothing is written.

    Raises:
        SumlError: as `decode`.
    """
    check_encoder()
    work = plan(dataset, workspace, wanted)
    step = max(len(work.todo) // _TRIALS, 1)
    chosen = {_short(file.job): file for file in work.todo[step // 2 :: step][:_TRIALS]}
    costs: list[Cost] = []
    failed: dict[str, str] = {}
    for job, result in pool.run(
        try_out, chosen, jobs=jobs, deadline_s=_DEADLINE_S, memory_mb=pool.DECODING_MB
    ):
        if isinstance(result, pool.Failure):
            failed[chosen[job].video_id] = result.reason
        else:
            costs.append(result)
    frames = sum(file.frames for file in work.todo)
    tried = sum(cost.n_frames for cost in costs)
    size_bytes, seconds = (None, None) if work.todo else (0, 0.0)
    if tried:
        size_bytes = round(sum(cost.size_bytes for cost in costs) / tried * frames)
        leads_s = sum(cost.lead_s for cost in costs) / len(costs) * len(work.todo)
        seconds = (leads_s + sum(cost.work_s for cost in costs) / tried * frames) / jobs
    return Estimate(
        dataset,
        len(work.kept),
        len(work.todo),
        sum(file.job.span.stop_s - file.job.span.start_s for file in work.todo),
        frames,
        size_bytes,
        seconds,
        shutil.disk_usage(_existing(work.path.parent)).free,
        failed,
        work.changed,
        work.folders,
        work.path.parent,
    )


def _short(job: Job) -> Job:
    stop_ms = min(job.span.stop_ms, job.span.start_ms + _TRIAL_MS)
    return job._replace(span=Span(job.span.start_ms, stop_ms))


def _existing(folder: Path) -> Path:
    return next(
        parent for parent in (folder.resolve(), *folder.resolve().parents) if parent.exists()
    )
