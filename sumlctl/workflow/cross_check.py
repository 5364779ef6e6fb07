"""`sumlctl doctor --cross-check N`: windows of indexed videos as both decoders read them."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from sumlctl import tables
from sumlctl.console import progress
from sumlctl.errors import SumlError
from sumlctl.jobs import pool
from sumlctl.video.installation import with_fault_check
from sumlctl.video.read import DECODERS, read_frames
from sumlctl.workspace import Workspace, inside

_FRAMES, _STRIDE = 8, 2
_DEADLINE_S = 120.0
_SAME_S = 0.002


class CheckedWindow(NamedTuple):
    """Where to look.

    Args:
        dataset: whose video it is.
        video_id: which one.
        path: its file.
        times_s: ascending, seconds since the video's own start.
    """

    dataset: str
    video_id: str
    path: Path
    times_s: tuple[float, ...]


@dataclass(frozen=True)
class Compared:
    """A window by two decoders.

    Args:
        result: `same`, `differs`, or `not compared` where not both read it.
        dataset: whose video it is.
        video_id: which one.
        start_s: begin of the window.
        frames: number of frames compared.
        mean: mean difference of the pictures' 8-bit values.
        most: the largest one.
        reason: why they were not compared, or what differs.
    """

    result: str
    dataset: str
    video_id: str
    start_s: float
    frames: int = 0
    mean: float | None = None
    most: int | None = None
    reason: str = ""


def cross_check(workspace: Workspace, count: int) -> list[Compared]:
    """Reads random windows of the indexed videos with PyAV and decord; the same ones every time.

    A window differs where the timestamps do, or the pictures by more than `decoders.ALIKE`.

    Raises:
        SumlError: no readable video file is indexed.
    """
    windows = list(_draw(workspace, count))
    found: dict[CheckedWindow, Compared] = {}
    jobs = min(count, os.cpu_count() or 1)
    with progress("cross-checking", len(windows), "windows") as bar:
        for window, answer in pool.run(
            compare, windows, jobs=jobs, deadline_s=_DEADLINE_S, memory_mb=pool.DECODING_MB
        ):
            if isinstance(answer, pool.Failure):
                found[window] = replace(_blank(window), reason=answer.reason)
            else:
                found[window] = answer
            bar.advance()
    return [found[window] for window in windows]


@with_fault_check
def compare(window: CheckedWindow) -> Compared:
    """Reads one window with both decoders."""
    import numpy as np

    from sumlctl.video.decoders import ALIKE, difference

    blank = _blank(window)
    read = []
    for decoder in DECODERS:
        try:
            read.append(read_frames(window.path, window.times_s, decoder=decoder))
        except SumlError as error:
            return replace(blank, reason=f"{decoder}: {error.what}, got {error.got}")
    ours, theirs = read
    blank = replace(blank, result="differs", frames=len(ours.pixels))
    if ours.pixels.shape != theirs.pixels.shape:
        return replace(blank, reason=f"{ours.pixels.shape} against {theirs.pixels.shape}")
    apart = difference(ours.pixels, theirs.pixels)
    measured = replace(blank, mean=float(apart.mean()), most=int(apart.max()))
    if np.abs(ours.times_s - theirs.times_s).max() > _SAME_S:
        return replace(measured, reason="frames of other times")
    if apart.mean(axis=(1, 2, 3)).max() > ALIKE:
        return replace(measured, reason=f"a picture by more than {ALIKE:g} of 255")
    return replace(measured, result="same")


def _blank(window: CheckedWindow) -> Compared:
    return Compared("not compared", window.dataset, window.video_id, window.times_s[0])


def _draw(workspace: Workspace, count: int) -> Iterator[CheckedWindow]:
    videos = []
    for dataset in workspace.indexed():
        table = tables.read(workspace.table(dataset, "videos"), "videos")
        root = workspace.videos_root(dataset, tables.metadata(table, "videos_root"))
        rows = table.to_pylist()
        videos += [(root, r) for r in rows if r["status"] == "ok" and r["size_bytes"] is not None]
    if not videos:
        raise SumlError(
            workspace.manifests,
            "no readable video file is indexed",
            got="none",
            expected="at least one",
            fix="Run `sumlctl index DATASET --videos DIR` first.",
        )
    chance = random.Random(0)
    for _ in range(count):
        root, row = chance.choice(videos)
        last_s = max(row["duration_s"] - 1 / row["fps"], 0.0)
        step_s = _STRIDE / row["fps"]
        start_s = chance.uniform(0, max(last_s - (_FRAMES - 1) * step_s, 0.0))
        times_s = tuple(min(start_s + i * step_s, last_s) for i in range(_FRAMES))
        yield CheckedWindow(
            row["dataset"], row["video_id"], inside(root, row["path"], row["dataset"]), times_s
        )
