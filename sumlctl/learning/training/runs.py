"""Run folders: a new one for each training, and going on with one that was stopped."""

from __future__ import annotations

import errno
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from sumlctl import config, console, tables
from sumlctl.config import Pipeline, documents, parsing
from sumlctl.errors import SumlError
from sumlctl.learning.training.runlog import RunLog
from sumlctl.tables import provenance
from sumlctl.tables.temporary import remove_stale, temporary
from sumlctl.video.quarantine import Quarantined
from sumlctl.workspace import Workspace


class Begun(NamedTuple):
    """What a run was begun with.

    Args:
        pipeline: the settings.
        inputs: path -> sha256 of its tables.
        quarantined: the videos that it is trained without, because they were in quarantine.
    """

    pipeline: Pipeline
    inputs: dict[str, str]
    quarantined: Quarantined


def claim(
    workspace: Workspace,
    pipeline: Pipeline,
    run: str | None,
    inputs: dict[str, str],
    quarantined: Quarantined | None = None,
) -> Path:
    """A new run's folder with its pipeline written.

    Args:
        workspace: where it goes.
        pipeline: the resolved settings.
        run: its name; None for `<fpv>.<method>`, numbered where that is taken.
        inputs: path -> sha256 of the tables that it is trained on.
        quarantined: the videos that it is trained without because they are in quarantine.

    Raises:
        SumlError: the name is none, or taken, or the file system refuses; then there is no folder.
    """
    if run is not None and not re.fullmatch(r"\w[\w.+-]*", run):
        what = "not a name for a folder"
        raise SumlError("--run", what, got=repr(run), expected="one word", fix="Choose another.")
    name = run or f"{pipeline.data.fpv}.{pipeline.loss.name}"
    beside = temporary(workspace.run(name))
    remove_stale(workspace.run(name))
    try:
        beside.mkdir(parents=True)
        with tables.whole_file(beside / "pipeline.toml") as path:
            path.write_text(parsing.dump(pipeline), encoding="utf-8")
        number, left_out = next_number(workspace), quarantined or {}
        RunLog(beside, True).write("begun", number=number, inputs=inputs, quarantined=left_out)
        folder = _named(workspace, beside, name, given=run is not None)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    console.note(f"run: {workspace.relative(folder)}")
    return folder


def next_number(workspace: Workspace) -> int:
    """The number of a run that begins now; see `Workspace.runs`."""
    return max(map(provenance.number, workspace.runs()), default=0) + 1


def _named(workspace: Workspace, beside: Path, name: str, given: bool) -> Path:
    """Gives a folder its name, numbered unless `given`; that there was none yet is the claim."""
    folder, number = workspace.run(name), 1
    while True:
        try:
            return beside.rename(folder)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
            if given:
                raise _taken(folder) from error
        number += 1
        folder = workspace.run(f"{name}.{number}")


def stored(workspace: Workspace, run: str) -> Path:
    """The pipeline file of a run.

    Raises:
        SumlError: no such run.
    """
    return workspace.find_run(run, "--resume") / "pipeline.toml"


def go_on(workspace: Workspace, pipeline: Pipeline, run: str, inputs: dict[str, str]) -> Path:
    """The folder of a run that may go on with these settings and tables.

    Args:
        workspace: where it is.
        pipeline: the settings asked for; those that change no result may differ, and the number
            of processes where steps can stay the same (`on_other_processes`).
        run: its name.
        inputs: path -> sha256 of the tables as they are now.

    Raises:
        SumlError: settings or tables changed since.
    """
    path = stored(workspace, run)
    before = begun(path.parent)
    kept = replace(before.pipeline, devices=pipeline.devices, nodes=pipeline.nodes)
    kept, asked = (on_other_processes(p, before.pipeline) for p in (kept, pipeline))
    if changed := parsing.changes(parsing.flat(kept), parsing.flat(asked)):
        raise SumlError(
            f"--resume {run}",
            "settings changed since the run began",
            got="; ".join(changed),
            expected=f"those of {workspace.relative(path)}",
            fix="Leave them as they were, or start a new run.",
        )
    names = dict.fromkeys([*inputs, *before.inputs])
    if altered := [name for name in names if before.inputs.get(name) != inputs.get(name)]:
        raise SumlError(
            f"--resume {run}",
            "tables changed since the run began",
            got=", ".join(altered),
            expected="the tables that it was trained on",
            fix="Put them back, or start a new run.",
        )
    console.note(f"run: {workspace.relative(path.parent)}")
    return path.parent


def on_other_processes(pipeline: Pipeline, before: Pipeline) -> Pipeline:
    """The settings with as many clips to a step as before, on the processes that there are now.

    With fewer processes each adds up more batches (`optimiser.accumulate`): the step is made of the
    same batches, and learning rate and schedule stay.

    Args:
        pipeline: the settings now; its `accumulate` is replaced where it is the one from before.
        before: those that the run began with.

    Raises:
        SumlError: the batches of a step cannot be shared evenly.
    """
    now, then = (p.devices * p.nodes for p in (pipeline, before))
    if now == then or pipeline.optimiser.accumulate != before.optimiser.accumulate:
        return pipeline
    batches = then * before.optimiser.accumulate
    if batches % now:
        fitting = [str(n) for n in range(1, batches + 1) if batches % n == 0]
        raise SumlError(
            "--resume",
            f"a step's {batches} batches cannot be shared evenly",
            got=f"{now} processes",
            expected=f"{' or '.join(fitting)}; the run began with {then}",
            fix="Choose --devices and --nodes so, or start a new run.",
        )
    optimiser = replace(pipeline.optimiser, accumulate=batches // now)
    return replace(pipeline, optimiser=optimiser)


def with_the_same_steps(pipeline: Pipeline, before: Pipeline) -> Pipeline:
    """As `on_other_processes`, and says so."""
    shared = on_other_processes(pipeline, before)
    now, then = (p.devices * p.nodes for p in (shared, before))
    if now != then:
        several = "; gathered negatives come from the processes that there are"
        console.warn(
            f"processes: {now}, began with {then}; each adds up {shared.optimiser.accumulate} "
            f"batches for a step, was {before.optimiser.accumulate}: the clips of a step and the "
            f"learning rate stay{several * pipeline.gather_negatives}"
        )
    return shared


def refuse_taken(workspace: Workspace, run: str) -> None:
    """Insists that a new run's name is not that of another.

    Raises:
        SumlError: it is.
    """
    if workspace.run(run).exists():
        raise _taken(workspace.run(run))


def _taken(folder: Path) -> SumlError:
    return SumlError(
        folder,
        "the run exists",
        got="a folder of that name",
        expected="a new name",
        fix=f"Go on with `--resume {folder.name}`, choose another --run or delete the folder.",
    )


def begun(folder: Path) -> Begun:
    """What a run was begun with.

    Raises:
        SumlError: the folder is no run's.
    """
    path, log = folder / "pipeline.toml", folder / "log.jsonl"
    try:
        first = documents.from_json(log.read_text(encoding="utf-8").partition("\n")[0])
        inputs, quarantined = dict(first["inputs"]), dict(first.get("quarantined", {}))
        if not all(isinstance(v, list) for v in quarantined.values()):
            raise TypeError("videos in quarantine are listed by dataset")
        path.stat()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SumlError(
            folder,
            "not a run of sumlctl",
            got=f"no {path.name}, or a {log.name} that does not say how it began",
            expected="a folder that `sumlctl train` made",
            fix="Move it elsewhere or choose another name.",
        ) from error
    return Begun(config.load(path), inputs, quarantined)
