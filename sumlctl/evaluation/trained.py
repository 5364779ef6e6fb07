"""A trained run as it is looked at: both branches of a checkpoint, and what their heads know."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from sumlctl import config
from sumlctl.config import Pipeline
from sumlctl.errors import SumlError
from sumlctl.learning import checkpoints, two_view
from sumlctl.learning.data.clips import ClipSet
from sumlctl.learning.tasks import Block, Task, fpv_tasks, tpv_tasks
from sumlctl.learning.two_view import Branch, TwoView
from sumlctl.workspace import Workspace

_NAMES = {"fpv": "first-person", "tpv": "third-person"}
_TASKS = {"fpv": fpv_tasks, "tpv": tpv_tasks}


@dataclass(frozen=True)
class Trained:
    """The weights of a run, fit to be asked: no dropout, no gradients.

    Args:
        run: its name.
        path: the checkpoint.
        pipeline: the run's settings.
        tasks: viewpoint -> its heads' tasks, for the branches that the checkpoint has.
        model: those branches.
    """

    run: str
    path: Path
    pipeline: Pipeline
    tasks: Mapping[str, Sequence[Task]]
    model: TwoView

    def read_by(self, decoder: str | None) -> Trained:
        """Return the same with another choice of `config.Pipeline.decoder`, if there is one."""
        if decoder is None:
            return self
        return replace(self, pipeline=replace(self.pipeline, decoder=decoder))

    def branch(self, viewpoint: str) -> Branch:
        """The branch of a viewpoint.

        Raises:
            SumlError: the checkpoint has none.
        """
        if viewpoint not in self.model:
            raise SumlError(
                self.path,
                f"no {_NAMES[viewpoint]} branch",
                got=f"{' and '.join(self.model)} weights of {self.pipeline.loss.name}",
                expected=f"{viewpoint} weights",
                fix="Choose a run of another method, or its checkpoint stage_two.pt.",
            )
        return self.model[viewpoint]

    def check_classes(self, viewpoint: str, clip_set: ClipSet) -> None:
        """Insists that clips are labelled with the classes that the heads were trained for.

        Raises:
            SumlError: they are not.
        """
        now = _TASKS[viewpoint](clip_set.vocabularies)
        if list(self.tasks[viewpoint]) != now:
            raise SumlError(
                self.path,
                f"trained for other {viewpoint} classes than the clips table has",
                got=_sizes(self.tasks[viewpoint]),
                expected=_sizes(now),
                fix="Index the dataset as it was for training, or train again.",
            )


def load(
    workspace: Workspace,
    run: str,
    checkpoint: str | None = None,
    views: Collection[str] = ("fpv", "tpv"),
) -> Trained:
    """Reads a run's settings and weights.

    Args:
        workspace: where the run is.
        run: its name.
        checkpoint: a file under the run's checkpoints, or a path; default `stage_two.pt`.
        views: whose branches; the weights of others stay on disk.

    Raises:
        SumlError: no such run, or no checkpoint that fits its pipeline.
    """
    folder = workspace.find_run(run)
    path = checkpoints.of_run(folder, checkpoint)
    content = checkpoints.read(path)
    weights = content["model"]
    told = content.get("tasks", {})
    try:
        tasks = {
            viewpoint: [_task(described) for described in listed]
            for viewpoint, listed in told.items()
            if viewpoint in views and any(name.startswith(f"{viewpoint}.") for name in weights)
        }
    except (LookupError, TypeError, AttributeError):  # a record that another program wrote
        tasks, told = {}, {}
    if not tasks:
        raise SumlError(
            path,
            f"no {' or '.join(_NAMES[view] for view in views)} branch with known classes",
            got=f"a record of {' and '.join(map(str, told)) or 'none'}",
            expected="a checkpoint that `sumlctl train` wrote",
            fix="For weights from elsewhere: `sumlctl eval --checkpoint FILE --fpv DATASET`.",
        )
    pipeline = config.load(folder / "pipeline.toml")
    projections = (weights.get(f"{viewpoint}.projection.weight") for viewpoint in tasks)
    dimension = next((len(w) for w in projections if w is not None and w.dim()), None)
    model = two_view.build(pipeline, tasks, dimension).to(memory_format=torch.channels_last_3d)
    checkpoints.load_weights(model, path).require(path)
    return Trained(run, path, pipeline, tasks, model.eval().requires_grad_(False))


def _task(described: Mapping[str, Any]) -> Task:
    blocks = (Block(b["dataset"], b["column"], tuple(b["classes"])) for b in described["blocks"])
    return Task(described["name"], described["exclusive"], tuple(blocks))


def _sizes(tasks: Sequence[Task]) -> str:
    return ", ".join(
        f"{task.size} {task.name} classes of {'+'.join(block.dataset for block in task.blocks)}"
        for task in tasks
    )
