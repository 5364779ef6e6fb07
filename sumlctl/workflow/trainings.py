"""What `sumlctl run` does before a training: goes on, takes over, or makes room; never twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sumlctl import console
from sumlctl.config import documents, parsing
from sumlctl.errors import SumlError
from sumlctl.workflow import records
from sumlctl.workflow.file_stamps import file_stamp
from sumlctl.workflow.recipe import Cell
from sumlctl.workflow.step import Step
from sumlctl.workspace import Workspace

# What a run that is taken over is made of; the rest is made anew.
_TAKEN = ("stage_one.pt", "stage_two.pt", "best.pt")


def ready(workspace: Workspace, cell: Cell, step: Step, again: bool) -> tuple[str, ...]:
    """Makes a training ready.

    Args:
        workspace: where the runs are.
        cell: whose run it is.
        step: the training.
        again: whether a run that is finished has to be trained anew.

    Returns:
        The command line that trains; empty where an equal run was taken over.

    Raises:
        SumlError: the run's folder belongs to another program, or it trains on several machines.
    """
    if cell.pipeline.nodes > 1:
        raise SumlError(
            "nodes",
            "`sumlctl run` trains on one machine",
            got=cell.pipeline.nodes,
            expected="1",
            fix=f"Run `sumlctl {' '.join(step.words)}` on each of them, then this command again.",
        )
    folder, wanted = workspace.run(cell.run), step.settings()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    if folder.exists():
        finished = workspace.checkpoint(cell.run).is_file()
        if not (again and finished) and not _changed(workspace, folder, wanted, step):
            return ("train", "--resume", cell.run)
        _make_room(workspace, folder)
    if not again and (equal := _equal_run(workspace, wanted)):
        _take_over(workspace, equal, folder)
        records.commit(workspace, step)
        return ()
    return step.words


def _changed(workspace: Workspace, folder: Path, wanted: Mapping[str, Any], step: Step) -> bool:
    """Whether a run is another than is wanted now; told if so."""
    from sumlctl.learning.training import runs

    begun_as, tables_then, _ = runs.begun(folder)
    changed = records.differences(parsing.flat(begun_as), wanted)
    tables = (path for path in step.inputs if path.suffix == ".parquet")
    altered = [
        f"input {name} changed"
        for name, path in ((t.relative_to(workspace.root).as_posix(), t) for t in tables)
        if tables_then.get(name, "") != file_stamp(path).sha256
    ]
    for text in (*changed, *altered):
        console.note(f"{workspace.relative(folder)} is another run: {text}")
    return bool(changed or altered)


def _make_room(workspace: Workspace, folder: Path) -> None:
    """Keeps a run that another takes the name of."""
    number, kept = 1, folder.with_name(f"{folder.name}.old")
    while kept.exists():
        number += 1
        kept = folder.with_name(f"{folder.name}.old.{number}")
    folder.rename(kept)
    console.note(f"{workspace.relative(folder)}: the earlier run is kept as {kept.name}")


def _equal_run(workspace: Workspace, wanted: Mapping[str, Any]) -> Path | None:
    """A finished run with the same settings, of the same inputs as they are now."""
    for folder in reversed(workspace.runs()):
        receipt = records.read(folder / "receipts" / "train.json")
        if (
            receipt
            and not records.other_version(receipt)
            and not records.differences(receipt.settings, wanted)
            and not records.other_inputs(workspace, receipt)
            and records.other_outputs(workspace, receipt) == ([], [])
        ):
            return folder
    return None


def _take_over(workspace: Workspace, equal: Path, folder: Path) -> None:
    """Copies a run's record and weights under its own number; the folder is whole or absent."""
    beside = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(beside, ignore_errors=True)
    (beside / "checkpoints").mkdir(parents=True)
    from sumlctl.learning.training import runs

    first, newline, rest = (equal / "log.jsonl").read_text(encoding="utf-8").partition("\n")
    begun = json.dumps(documents.from_json(first) | {"number": runs.next_number(workspace)})
    (beside / "log.jsonl").write_text(begun + newline + rest, encoding="utf-8")
    names = ["pipeline.toml", *(f"checkpoints/{name}" for name in _TAKEN)]
    for name in names:
        if (equal / name).is_file():
            shutil.copyfile(equal / name, beside / name)
    beside.rename(folder)
    console.note(f"train {folder.name}: the same as {workspace.relative(equal)}, taken over")
