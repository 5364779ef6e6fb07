"""A run made of weights that were trained elsewhere: someone's release, ready to be evaluated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sumlctl import config, console, tables
from sumlctl.config import Pipeline, shipped
from sumlctl.errors import SumlError, unknown_name
from sumlctl.learning import checkpoints, two_view
from sumlctl.learning.checkpoints import Coverage
from sumlctl.learning.data import clips
from sumlctl.learning.tasks import Task, fpv_tasks, tpv_tasks
from sumlctl.learning.training import runs
from sumlctl.learning.weights import read
from sumlctl.learning.weights.convert import guess
from sumlctl.learning.weights.load import listed, set_branch, unused
from sumlctl.learning.weights.read import ForeignWeights
from sumlctl.workspace import Workspace

Tasks = dict[str, list[Task]]


def import_checkpoint(
    workspace: Workspace,
    source: Path,
    fpv: str,
    tpv: Sequence[str] = (),
    pipeline: str | None = None,
) -> str:
    """Makes a run of a file of weights, or finds the one that was made of it before.

    The heads must have as many classes as the datasets' clips tables; which class is which is
    taken from there, as the weights say nothing of it.

    Args:
        workspace: where the run and the tables are.
        source: weights of any layout that `weights.read` knows.
        fpv: dataset of the first-person head's classes.
        tpv: datasets of the third-person head's classes; without, only the first-person branch
            is taken.
        pipeline: gives input and views; default `slowfast` for SlowFast, else `sum-l`.

    Returns:
        The name of the run.

    Raises:
        SumlError: a dataset is not indexed, the file is none that can be read, its weights do not
            fit, or a run of that name was made of something else.
    """
    tasks: Tasks = {"fpv": fpv_tasks(_vocabularies(workspace, [fpv]))}
    if tpv:
        tasks["tpv"] = tpv_tasks(_vocabularies(workspace, tpv))
    found = read.weights(source)
    chosen = _pipeline(workspace, found, fpv, list(tpv), pipeline)
    origin = {"name": source.name, "sha256": tables.digest(source), "layout": found.origin}
    name = re.sub(r"[^\w.+-]", "_", f"{fpv}.{source.stem}")
    path = workspace.checkpoint(name)
    if path.is_file():
        _check_same(path, {"source": origin, "pipeline": asdict(chosen)})
        return name
    model = two_view.build(chosen, tasks, _projection_size(found))
    _say(found, {view: set_branch(model[view], found, view) for view in tasks})
    if not workspace.run(name).is_dir():
        runs.claim(workspace, chosen, name, {})
    described = {view: [task.describe() for task in listed] for view, listed in tasks.items()}
    record = {"stage": "stage_two", "source": origin, "pipeline": asdict(chosen)}
    checkpoints.save(path, model, {**record, "tasks": described, "inputs": {}})
    return name


def _vocabularies(
    workspace: Workspace, datasets: Sequence[str]
) -> dict[str, dict[str, list[list[str]]]]:
    found = {}
    for dataset in datasets:
        if dataset not in workspace.indexed():
            raise unknown_name("--fpv, --tpv", "indexed dataset", dataset, workspace.indexed())
        found[dataset] = clips.vocabulary(workspace, dataset)
    return found


def _pipeline(
    workspace: Workspace, found: ForeignWeights, fpv: str, tpv: list[str], name: str | None
) -> Pipeline:
    backbone, why = guess(found)
    name = name or ("slowfast" if backbone.startswith("slowfast") else "sum-l")
    path = shipped.find("pipelines", name, workspace.pipelines)
    plain = config.load(path, own=workspace.pipelines)
    method = "sum-l" if tpv else "fpv-only"
    options: dict[str, Any] = {"data.fpv": fpv, "data.tpv": tpv, "loss.name": method}
    if plain.backbone.name != backbone:
        options["backbone.name"] = backbone
    options["projection.unit_features"] = found.origin == "sum-l"  # as its code trains them
    there, wanted = clips.splits(workspace, fpv, "fpv"), plain.data.eval_split
    options["data.eval_split"] = "test" if wanted not in there and "test" in there else wanted
    chosen = config.load(path, config.overrides(options), own=workspace.pipelines)
    size, seen = chosen.input, chosen.evaluation
    rate = f" (rate {size.rate})" if size.rate else ""
    console.note(
        f"{found.origin} weights of {backbone} ({why}); pipeline {name}: {size.frames} frames at "
        f"stride {size.stride}{rate}, crop {size.crop}, "
        f"{seen.temporal_views}x{seen.spatial_views} views"
    )
    return chosen


def _projection_size(found: ForeignWeights) -> int | None:
    weight = found.part("fpv" if "fpv" in found.views else found.views[0], "projection")
    return len(weight["weight"]) if "weight" in weight else None


def _say(found: ForeignWeights, coverages: dict[str, Coverage]) -> None:
    """Tells which of the file's weights the model has, and which weights neither has."""
    used = {f"{found.prefix(v)}{name}" for v, seen in coverages.items() for name in seen.loaded}
    missing = [f"{view}.{name}" for view, seen in coverages.items() for name in seen.missing]
    console.note(f"{found.path.name}: {len(used):,} weights used")
    for what, names in (("unused", unused(found, used)), ("missing in it", missing)):
        if names:
            console.note(f"{len(names):,} weights {what}: {listed(names)}")


def _check_same(path: Path, wanted: dict[str, Any]) -> None:
    content = checkpoints.read(path)
    other = [key for key, value in wanted.items() if content.get(key) != value]
    if other:
        run = path.parent.parent
        raise SumlError(
            run,
            "the run was made of other weights or settings",
            got=f"another {' and '.join(other)}",
            expected="the file and options that are asked for",
            fix="Delete the folder, or rename the file of weights.",
        )
