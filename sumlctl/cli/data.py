"""`index` and `embed`: from annotations to tables of clips and vectors."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from sumlctl import console
from sumlctl.cli.common import (
    CURRENT_FOLDER,
    AddressOption,
    DecoderOption,
    DeviceOption,
    Engine,
    EngineOption,
    JsonOption,
    WorkspaceOption,
)
from sumlctl.jobs import locks
from sumlctl.workspace import Workspace

_INDEX_COLUMNS = (
    ("split", "split"),
    ("viewpoint", "viewpoint"),
    ("clips", "clips"),
    ("expected", "expected"),
    ("difference", "difference"),
    ("narrations", "narrations"),
    ("videos", "videos"),
    ("missing", "videos_missing"),
    ("unreadable", "videos_unreadable"),
    ("truncated", "truncated"),
    ("out of range", "out_of_range"),
    ("no video", "no_video"),
)

_MOST_NAMED = 10  # videos named one by one; the videos table names them all


class Retry(StrEnum):
    """Which videos are probed again although they have not changed."""

    UNREADABLE = "unreadable"


class BadRows(StrEnum):
    """What becomes of rows of annotation files that cannot be used."""

    DROP = "drop"
    REFUSE = "refuse"


def register(app: typer.Typer) -> None:
    app.command()(index)
    app.command()(embed)


def index(
    datasets: Annotated[list[str], typer.Argument(metavar="DATASET...")],
    annotations: Annotated[Path | None, typer.Option(help="Folder of annotation files.")] = None,
    videos: Annotated[Path | None, typer.Option(help="Folder of video files.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that probe videos.")] = (
        os.cpu_count() or 1
    ),
    retry: Annotated[
        Retry | None, typer.Option(help="Probe again, more thoroughly, what was unreadable.")
    ] = None,
    bad_rows: Annotated[
        BadRows, typer.Option(help="Rows without a length or a time: leave out, or fail.")
    ] = BadRows.DROP,
    engine: EngineOption = Engine.LOCAL,
    address: AddressOption = None,
    strict: Annotated[bool, typer.Option(help="Fail when anything is missing.")] = False,
    decoder: DecoderOption = None,
    workspace: WorkspaceOption = CURRENT_FOLDER,
    json: JsonOption = False,
) -> None:
    """Read annotations, probe videos, write their tables."""
    from sumlctl.config import dataset as cards
    from sumlctl.datasets import index as indexing
    from sumlctl.jobs import executors
    from sumlctl.workflow import data_steps, records

    done = []
    named = {"annotations": annotations, "videos": videos}
    given = {kind: folder for kind, folder in named.items() if folder is not None}
    for name in {*datasets}.difference(workspace.indexed()):
        cards.load(name, workspace)  # one that is misspelled leaves nothing behind
    with executors.executor(engine, jobs, address) as who:
        for name in datasets:
            with locks.alone(workspace, f"index {name}"):
                folders = _remembered(workspace, name, given) | given
                step = data_steps.index(workspace, name, **folders, bad_rows=bad_rows.value)
                with records.in_progress(workspace, step):
                    found = indexing.index(
                        name,
                        workspace,
                        **folders,
                        executor=who,
                        retry_unreadable=retry is Retry.UNREADABLE,
                        bad_rows=bad_rows.value,
                        decoder=decoder or "auto",
                    )
                    records.commit(workspace, step)
            done.append(found)
    if json:
        console.show_json([_plain(asdict(d)) for d in done])
    for one in () if json else done:
        _show_index(one)
    for one in done if strict else ():
        indexing.check_strict(one)


def _remembered(workspace: Workspace, dataset: str, given: Collection[str]) -> dict[str, Path]:
    """The folders that are not given now and were before; says so."""
    from sumlctl.workflow import data_steps

    before = data_steps.remembered_folders(workspace, dataset)
    folders = {kind: folder for kind, folder in before.items() if kind not in given}
    for kind, folder in folders.items():
        console.note(f"{dataset}: {kind} from {folder}, as before; --{kind} DIR names others")
    return folders


def _show_index(done: Any) -> None:
    header = [title for title, _ in _INDEX_COLUMNS]
    rows = [[split[key] for _, key in _INDEX_COLUMNS] for split in done.splits]
    console.show_table(done.dataset, header, rows)
    for text in done.notes:
        console.note(f"{done.dataset}: {text}")
    if done.left_out:
        number = "1 row" if done.left_out == 1 else f"{done.left_out:,} rows"
        console.warn(f"{done.dataset}: left out {number} that cannot be used")
        for text in done.bad_rows:
            console.warn(f"{done.dataset}: {text}")
        if done.left_out > len(done.bad_rows):
            more = done.left_out - len(done.bad_rows)
            console.warn(f"{done.dataset}: {more:,} more; `--bad-rows refuse` makes them an error")
    for what, videos in (("is unreadable", done.unreadable), ("is flawed", done.flawed)):
        for video, reason in list(videos.items())[:_MOST_NAMED]:
            console.warn(f"{done.dataset}: video {video} {what}: {reason}")
        if len(videos) > _MOST_NAMED:
            more = len(videos) - _MOST_NAMED
            console.warn(f"{done.dataset}: {more:,} more videos; the table has the reasons")
    if done.doubted:
        others = ", ..." if len(done.doubted) > _MOST_NAMED else ""
        console.warn(
            f"{done.dataset}: decord is not trusted with {len(done.doubted):,} videos: "
            f"{', '.join(done.doubted[:_MOST_NAMED])}{others}; column `decord` of the videos table"
        )
    for path in done.written:
        console.note(f"wrote {path}")


def embed(
    datasets: Annotated[list[str] | None, typer.Argument(metavar="[DATASET...]")] = None,
    encoder: Annotated[str | None, typer.Option(help="Model name or folder.")] = None,
    prompt_name: Annotated[
        str | None,
        typer.Option(help="Prompt of the model, such as query, that goes before each narration."),
    ] = None,
    device: DeviceOption = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="Narrations per batch.")] = 64,
    engine: EngineOption = Engine.LOCAL,
    address: AddressOption = None,
    workspace: WorkspaceOption = CURRENT_FOLDER,
    json: JsonOption = False,
) -> None:
    """Encode every distinct narration with Sentence-BERT, once."""
    from sumlctl import tables
    from sumlctl.jobs import executors
    from sumlctl.narrations import choose
    from sumlctl.narrations import embed as embedding
    from sumlctl.workflow import data_steps, records

    names = datasets or _every_indexed(workspace)
    for name in names:  # one that is misspelled leaves nothing behind
        tables.there(workspace.table(name, "clips"), "clips")
    choice = choose.choose(encoder, prompt_name)
    steps = {
        name: data_steps.embed(workspace, name, encoder or choice.name, prompt_name, choice.files)
        for name in names
    }
    done = []
    with ExitStack() as held:
        for name, step in steps.items():
            held.enter_context(locks.alone(workspace, f"embed {name}"))
            held.enter_context(records.in_progress(workspace, step))
        who = held.enter_context(executors.executor(engine, 1, address))
        every = embedding.embed(
            names, workspace, choice, device=device, batch_size=batch_size, executor=who
        )
        for found in every:
            records.commit(workspace, steps[found.dataset])
            done.append(_plain(asdict(found)))
    if json:
        console.show_json(done)
        return
    header = ("dataset", "encoder", "narrations", "encoded", "empty", "cut", "non_latin")
    rows = [[one[key] for key in header] for one in done]
    console.show_table("narrations", [h.replace("_", " ") for h in header], rows)
    for one in done:
        console.note(
            f"wrote {one['written']}" if one["encoded"] else f"{one['written']} is up to date"
        )


def _every_indexed(workspace: Any) -> list[str]:
    from sumlctl.errors import SumlError

    names = workspace.indexed()
    if not names:
        raise SumlError(
            workspace.manifests,
            "nothing is indexed",
            got="no clips table",
            expected="at least one dataset",
            fix="Run `sumlctl index DATASET` first.",
        )
    console.note(f"embedding every indexed dataset: {', '.join(names)}")
    return names


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    """A record with paths as text, ready for JSON."""
    return {
        key: str(v) if isinstance(v, Path) else [str(p) for p in v] if key == "written" else v
        for key, v in record.items()
    }
