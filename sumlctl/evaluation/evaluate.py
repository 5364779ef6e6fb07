"""`sumlctl eval`: predictions and metrics of a trained run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sumlctl import components, config, console, tables
from sumlctl.config import Pipeline
from sumlctl.errors import SumlError, unknown_name
from sumlctl.evaluation.predict import predict
from sumlctl.evaluation.views import Views
from sumlctl.learning import checkpoints, clips, two_view
from sumlctl.learning.tasks import Task, fpv_tasks
from sumlctl.learning.training.launch import launch
from sumlctl.learning.two_view import TwoView
from sumlctl.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa


def evaluate(
    workspace: Workspace,
    run: str | None = None,
    protocol: str | None = None,
    views: str | None = None,
    checkpoint: str | None = None,
) -> pa.Table:
    """Predicts the evaluation split with the FPV encoder and head alone, and scores it.

    Args:
        workspace: where the run and the tables are.
        run: name of the run; default the newest.
        protocol: name of the protocol; default `top-k` or `multi-label`, as the tasks are.
        views: temporal times spatial views such as `10x3`; default those of the run's pipeline.
        checkpoint: a file under the run's checkpoints, or a path; default `stage_two.pt`.

    Returns:
        The metrics table, also written to the run's folder beside the predictions.

    Raises:
        SumlError: no such run or protocol, a table or checkpoint does not fit, nothing decodes.
    """
    folder = _folder(workspace, run)
    pipeline = config.load(folder / "pipeline.toml")
    seen = pipeline.evaluation
    chosen = Views.parse(views) if views else Views(seen.temporal_views, seen.spatial_views)
    clip_set = clips.load(workspace, [pipeline.data.fpv], "fpv", pipeline.data.eval_split)
    tasks = fpv_tasks(clip_set.vocabularies)
    name = protocol or ("top-k" if tasks[0].exclusive else "multi-label")
    score = components.load("protocols", name, "--protocol")
    weights = _checkpoint(folder, checkpoint)
    model = _model(weights, pipeline, tasks)
    fabric = launch(1, pipeline.precision)
    predictions = predict(fabric.to_device(model), fabric, clip_set, tasks, pipeline, chosen)
    inputs = _digests(workspace, pipeline, weights)
    settings = {
        "protocol": name,
        "views": f"{chosen.temporal}x{chosen.spatial}",
        "split": pipeline.data.eval_split,
    }
    written = folder / "predictions.parquet"
    tables.write(predictions.to_arrow(), written, "predictions", inputs=inputs, config=settings)
    rows = [{"protocol": name, **row, "n_views": chosen.count} for row in score(predictions)]
    metrics = _metrics_table(rows)
    inputs = {workspace.relative(written): tables.digest(written)}
    tables.write(metrics, folder / "metrics.parquet", "metrics", inputs=inputs, config=settings)
    return metrics


def _folder(workspace: Workspace, run: str | None) -> Path:
    runs = {folder.name: folder for folder in workspace.runs()}
    if run is not None:
        if run not in runs:
            raise unknown_name("RUN", "run", run, runs)
        return runs[run]
    if not runs:
        raise SumlError(
            workspace.root / "runs",
            "no run to evaluate",
            got="no folder with a pipeline.toml",
            expected="a trained run",
            fix="Make one with `sumlctl train`.",
        )
    newest = list(runs.values())[-1]
    console.note(f"run: {workspace.relative(newest)}, the newest of {len(runs)}")
    return newest


def _checkpoint(folder: Path, name: str | None) -> Path:
    """A file of the run, or any other where the run has none of that name."""
    inside = folder / "checkpoints" / (name or "stage_two.pt")
    return inside if name is None or inside.is_file() else Path(name)


def _model(path: Path, pipeline: Pipeline, tasks: list[Task]) -> TwoView:
    """The FPV encoder and heads; TPV weights stay on disk."""
    trained = checkpoints.read(path)["tasks"].get("fpv", [])
    if trained != [task.describe() for task in tasks]:
        raise SumlError(
            path,
            "trained for other classes than the clips table has",
            got=_described(trained),
            expected=_described([task.describe() for task in tasks]),
            fix="Index the dataset as it was for training, or train again.",
        )
    model = two_view.build(pipeline, {"fpv": tasks}).to(memory_format=torch.channels_last_3d)
    checkpoints.load_weights(model, path).require(path)
    return model


def _described(tasks: list[dict[str, Any]]) -> str:
    sizes = {task["name"]: sum(len(b["classes"]) for b in task["blocks"]) for task in tasks}
    return ", ".join(f"{size} {name} classes" for name, size in sizes.items())


def _digests(workspace: Workspace, pipeline: Pipeline, checkpoint: Path) -> dict[str, str]:
    clips_table = workspace.table(pipeline.data.fpv, "clips")
    return {workspace.relative(p): tables.digest(p) for p in (clips_table, checkpoint)}


def _metrics_table(rows: list[dict[str, Any]]) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_pylist(rows, schema=tables.schema("metrics"))
