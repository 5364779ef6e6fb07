"""Run folders: a new one for each training, and going on with one that was stopped."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from sumlctl import config, console, documents, settings, tables
from sumlctl.config import Pipeline
from sumlctl.errors import SumlError
from sumlctl.learning.training.runlog import RunLog
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
        SumlError: the name is none, or taken.
    """
    if run is not None and not re.fullmatch(r"\w[\w.+-]*", run):
        what = "not a name for a folder"
        raise SumlError("--run", what, got=repr(run), expected="one word", fix="Choose another.")
    folder = _new_folder(workspace, run, f"{pipeline.data.fpv}.{pipeline.loss.name}")
    with tables.whole_file(folder / "pipeline.toml") as beside:
        beside.write_text(settings.dump(pipeline), encoding="utf-8")
    RunLog(folder, True).write("begun", inputs=inputs, quarantined=quarantined or {})
    console.note(f"run: {workspace.relative(folder)}")
    return folder


def _new_folder(workspace: Workspace, run: str | None, name: str) -> Path:
    """Makes the folder; that it was not there yet is the claim."""
    folder, number = workspace.run(run or name), 1
    while True:
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError as error:
            if run is not None:
                raise SumlError(
                    folder,
                    "the run exists",
                    got="a folder of that name",
                    expected="a new name",
                    fix=f"Go on with `--resume {run}`, choose another --run or delete the folder.",
                ) from error
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
        pipeline: the settings asked for; those that change no result may differ.
        run: its name.
        inputs: path -> sha256 of the tables as they are now.

    Raises:
        SumlError: settings or tables changed since.
    """
    path = stored(workspace, run)
    before = begun(path.parent)
    if changed := settings.changes(settings.flat(before.pipeline), settings.flat(pipeline)):
        raise SumlError(
            f"--resume {run}",
            "settings changed since the run began",
            got="; ".join(changed),
            expected=f"those of {workspace.relative(path)}",
            fix="Leave them as they were, or start a new run.",
        )
    if altered := [name for name in inputs if before.inputs.get(name) != inputs[name]]:
        raise SumlError(
            f"--resume {run}",
            "tables changed since the run began",
            got=", ".join(altered),
            expected="the tables that it was trained on",
            fix="Put them back, or start a new run.",
        )
    console.note(f"run: {workspace.relative(path.parent)}")
    return path.parent


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
