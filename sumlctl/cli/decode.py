"""`decode`: keeps the clips of a dataset a second time, small and quick to read."""

from __future__ import annotations

import math
import os
from dataclasses import asdict
from typing import Annotated, Any

import typer

from sumlctl import console
from sumlctl.cli.common import (
    CURRENT_FOLDER,
    AddressOption,
    Engine,
    EngineOption,
    JsonOption,
    WorkspaceOption,
)
from sumlctl.jobs import locks
from sumlctl.workflow.step_options import Decode

_MOST_NAMED = 10  # videos named one by one
_USUAL = Decode()


def _finite(seconds: float) -> float:
    if not math.isfinite(seconds):
        raise typer.BadParameter(f"{seconds} is no number of seconds")
    return seconds


def register(app: typer.Typer) -> None:
    app.command()(decode)


def decode(
    datasets: Annotated[list[str], typer.Argument(metavar="DATASET...")],
    short_side: Annotated[
        int, typer.Option(min=2, help="Pixels that larger videos are scaled down to.")
    ] = _USUAL.short_side,
    crf: Annotated[
        int, typer.Option(min=0, max=51, help="Quality: less is better and larger.")
    ] = _USUAL.crf,
    margin: Annotated[
        float, typer.Option(min=0.0, callback=_finite, help="Seconds around each clip.")
    ] = _USUAL.margin,
    whole: Annotated[bool, typer.Option("--whole", help="Keep whole videos.")] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that decode.")] = os.cpu_count() or 1,
    engine: EngineOption = Engine.LOCAL,
    address: AddressOption = None,
    only_failed: Annotated[
        bool, typer.Option("--only-failed", help="Make only files that an earlier run failed at.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how long it takes and how large it gets.")
    ] = False,
    workspace: WorkspaceOption = CURRENT_FOLDER,
    json: JsonOption = False,
) -> None:
    """Cut clips into a store that training reads several times faster."""
    from sumlctl import tables
    from sumlctl.jobs import executors
    from sumlctl.video.clip_cache import build, trial
    from sumlctl.video.clip_cache.encode import EncodeSettings
    from sumlctl.video.clip_cache.plan import Wanted
    from sumlctl.workflow import data_steps, records

    wanted = Wanted(EncodeSettings(short_side, crf), margin, whole)
    chosen = {"short_side": short_side, "crf": crf, "margin": margin, "whole": whole}
    done: list[Any] = []
    for name in datasets:  # one that is misspelled leaves nothing behind
        for kind in ("videos", "clips"):
            tables.there(workspace.table(name, kind), kind)
    with executors.executor("local" if dry_run else engine, jobs, address) as who:
        for name in datasets:
            step = data_steps.decode(workspace, name, chosen)
            if dry_run:
                done.append(trial.estimate(name, workspace, wanted, jobs=jobs))
            else:
                with (
                    locks.alone(workspace, f"decode {name}"),
                    records.in_progress(workspace, step),
                ):
                    made = build.decode(
                        name, workspace, wanted, executor=who, only_failed=only_failed
                    )
                    done.append(made)
                    records.commit(workspace, step)
            _say_what_is_left_out(done[-1])
    if json:
        console.show_json([asdict(one) | {"folder": str(one.folder)} for one in done])
    elif dry_run:
        _show_estimates(done)
    else:
        _show_stores(done)


def _say_what_is_left_out(one: Any) -> None:
    name = one.dataset
    if one.folders:
        console.note(f"{name}: {len(one.folders):,} folders of pictures are read as they are")
    if one.changed:
        console.warn(
            f"{name}: {len(one.changed):,} videos are gone or have changed since they were "
            f"indexed, such as {one.changed[0]}; run `sumlctl index {name}` again"
        )
    for video, reason in list(one.failed.items())[:_MOST_NAMED]:
        console.warn(f"{name}: video {video} is left out: {reason}")
    if len(one.failed) > _MOST_NAMED:
        console.warn(f"{name}: {len(one.failed) - _MOST_NAMED:,} more videos are left out")


def _show_estimates(done: list[Any]) -> None:
    header = (
        "dataset",
        "files there",
        "to make",
        "minutes of video",
        "frames",
        "MB",
        "minutes",
        "MB free",
    )
    rows = [
        (
            one.dataset,
            one.kept,
            one.files,
            one.video_s / 60,
            one.frames,
            None if one.size_bytes is None else one.size_bytes / 1e6,
            None if one.seconds is None else one.seconds / 60,
            one.free_bytes / 1e6,
        )
        for one in done
    ]
    console.show_table("what there is to do, by a trial on a few seconds of video", header, rows)


def _show_stores(done: list[Any]) -> None:
    header = (
        "dataset",
        "clips",
        "in store",
        "files",
        "new",
        "minutes of video",
        "MB",
        "KB/frame",
        "PSNR dB",
        "lowest",
    )
    rows = [
        (
            one.dataset,
            one.clips,
            one.stored,
            one.files,
            one.made,
            one.video_s / 60,
            one.size_bytes / 1e6,
            one.size_bytes / 1e3 / one.frames if one.frames else None,
            one.psnr_db,
            one.lowest_psnr_db,
        )
        for one in done
    ]
    console.show_table("stores", header, rows)
    for one in done:
        console.note(f"{one.dataset}: files are in {one.folder}")
