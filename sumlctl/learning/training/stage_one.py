"""When stage one of an earlier run serves again: while what its weights depend on is the same."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from sumlctl import console, tables
from sumlctl.config import Pipeline
from sumlctl.config.parsing import section_facts
from sumlctl.errors import SumlError
from sumlctl.learning import checkpoints
from sumlctl.learning.data.how_read import how_read
from sumlctl.learning.tasks import Task
from sumlctl.video.quarantine import Quarantined
from sumlctl.workspace import Workspace

_SETTINGS = (
    "seed",
    "precision",
    "devices",
    "nodes",
    "compile",
    "input",
    "backbone",
    "head",
    "stage_one",
    "optimiser",
)


def key(
    workspace: Workspace,
    pipeline: Pipeline,
    tasks: Sequence[Task],
    inputs: Mapping[str, str],
    quarantined: Quarantined,
) -> str:
    """A digest of everything that the weights of stage one depend on.

    Args:
        workspace: where pretrained weights are.
        pipeline: the run's settings.
        tasks: of the third-person heads.
        inputs: path -> sha256 of the run's tables and stores; those of the first-person side do
            not count.
        quarantined: the videos that are left out.
    """
    init = pipeline.encoders.init
    settings = {part: asdict(pipeline)[part] for part in _SETTINGS}
    settings |= {"input": section_facts(pipeline.input)}
    settings |= how_read(workspace, pipeline, pipeline.data.tpv)
    used = {
        "settings": settings,
        "tasks": [task.describe() for task in tasks],
        "split": pipeline.data.train_split,
        "quarantined": {d: v for d, v in quarantined.items() if d in pipeline.data.tpv},
        "init": tables.digest(workspace.weights(init)) if init else "",
        "tables": {
            name: digest
            for name, digest in inputs.items()
            if name.split("/")[-2] in pipeline.data.tpv and "narrations" not in name
        },
    }
    return hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()


def key_of(path: Path) -> str | None:
    """The digest that a stage one was trained under; None for a file that is not there or sound."""
    try:
        return checkpoints.read(path).get("key") if path.is_file() else None
    except SumlError as error:
        console.warn(str(error))
        return None


def reuse(workspace: Workspace, wanted: str, path: Path) -> None:
    """Copies stage one of an earlier run that was trained under the same digest, if there is one.

    Args:
        workspace: where the runs are.
        wanted: the digest.
        path: where to.
    """
    for folder in reversed(workspace.runs()):
        found = folder / "checkpoints" / "stage_one.pt"
        if key_of(found) == wanted:
            with tables.whole_file(path) as beside:
                shutil.copyfile(found, beside)
            console.note(f"stage_one: the same as in {workspace.relative(folder)}, reused")
            return
