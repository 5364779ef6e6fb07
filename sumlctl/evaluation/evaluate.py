"""`sumlctl eval`: predictions and metrics of a trained run."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from sumlctl import config, console, tables
from sumlctl.config import Pipeline, registry
from sumlctl.errors import SumlError
from sumlctl.evaluation import bootstrap, trained, whole_videos
from sumlctl.evaluation.partial_predictions import PartialPredictions, made_from
from sumlctl.evaluation.predict import in_order, name_failed, predicted
from sumlctl.evaluation.protocols.context import Context
from sumlctl.evaluation.trained import Trained
from sumlctl.evaluation.views import Views
from sumlctl.jobs import locks
from sumlctl.learning import checkpoints
from sumlctl.learning.data import clips
from sumlctl.learning.data.clips import ClipSet
from sumlctl.learning.data.how_read import how_read
from sumlctl.learning.data.reader import Reader, open_reader
from sumlctl.learning.data.requests import Failure
from sumlctl.learning.tasks import Task, fpv_tasks
from sumlctl.learning.training.launch import launch
from sumlctl.video import quarantine
from sumlctl.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Request:
    """What is asked of an evaluation.

    Args:
        protocol: its name; default that of the dataset, else `top-k` or `multi-label`.
        views: temporal times spatial views such as `10x3`; default those of the run's pipeline.
        checkpoint: a file under the run's checkpoints, or a path; default `stage_two.pt`.
        split: of the clips; default the evaluation split of the run's pipeline.
        annotations: the dataset's folder of annotation files, where some protocols find lists.
        ci: whether to add 95 % confidence intervals.
        allow_missing: whether clips of the split may lack a prediction.
        scores_only: score the predictions that are there; neither weights nor videos are needed.
        decoder: who decodes; default that of the run's pipeline.
    """

    protocol: str | None = None
    views: str | None = None
    checkpoint: str | None = None
    split: str | None = None
    annotations: Path | None = None
    ci: bool = False
    allow_missing: bool = False
    scores_only: bool = False
    decoder: str | None = None


@dataclass(frozen=True)
class Evaluated:
    """An evaluation.

    Args:
        run: its name.
        protocol: the name of the protocol that was used.
        views: temporal times spatial ones, such as `10x3`; empty where the predictions do not say.
        context: what the predictions were scored against.
        tasks: of the first-person heads.
        predictions: rows of the predictions table.
        metrics: rows of the metrics table.
    """

    run: str
    protocol: str
    views: str
    context: Context
    tasks: list[Task]
    predictions: pl.DataFrame
    metrics: pa.Table


def evaluate(
    workspace: Workspace, run: str | None = None, request: Request | None = None
) -> Evaluated:
    """Predicts the evaluation split with the FPV encoder and head alone, and scores it.

    Predictions that are there already and depend on the same weights, clips and settings are
    taken as they are; those of an evaluation that was interrupted are gone on with.

    Args:
        workspace: where the run and the tables are.
        run: name of the run; default the newest.
        request: how to evaluate.

    Returns:
        What was found; predictions and metrics are also in the run's folder.

    Raises:
        SumlError: no such run or protocol, a table or checkpoint does not fit, nothing decodes.
    """
    asked = request or Request()
    folder = chosen_run(workspace, run)
    pipeline = config.load(folder / "pipeline.toml")
    if asked.split:
        pipeline = replace(pipeline, data=replace(pipeline.data, eval_split=asked.split))
    pipeline = replace(pipeline, decoder=asked.decoder or pipeline.decoder)
    path = folder / "predictions.parquet"
    data = pipeline.data
    if not asked.scores_only:
        with locks.alone(workspace, f"eval {folder.name}"):
            _predict(workspace, folder, pipeline, asked)
    table = tables.read(path, "predictions")
    predictions = pl.DataFrame(table)
    protocol = asked.protocol or _default_protocol(data.fpv, predictions)
    allow_missing = asked.allow_missing or not asked.scores_only  # eval has named them already
    context = Context.load(
        workspace,
        data.fpv,
        data.eval_split,
        annotations=asked.annotations,
        allow_missing=allow_missing,
        source=workspace.relative(path),
    )
    labelled = bool(predictions.get_column("target").list.len().sum())
    if not labelled:
        console.note(f"no clip of split {data.eval_split} has a label: nothing is scored")
    found = bootstrap.measures(protocol, predictions, context) if labelled else []
    rows = [measure.row() for measure in found]
    rows += bootstrap.intervals(found, seed=pipeline.seed) if asked.ci and found else []
    views = int(predictions.get_column("n_views").max() or 0)  # type: ignore[arg-type]
    rows = [{"protocol": protocol, **row, "n_views": views} for row in rows]
    metrics = _metrics_table(rows)
    settings = {**made_from(table)[1], "protocol": protocol}
    inputs = {workspace.relative(path): tables.digest(path)}
    tables.write(metrics, folder / "metrics.parquet", "metrics", inputs=inputs, config=settings)
    tasks = fpv_tasks({data.fpv: clips.vocabulary(workspace, data.fpv)})
    return Evaluated(
        folder.name, protocol, settings.get("views", ""), context, tasks, predictions, metrics
    )


def predictions_of(workspace: Workspace, run: str) -> pl.DataFrame:
    """The predictions of a run that is evaluated already.

    Raises:
        SumlError: no such run, or it is not evaluated.
    """
    path = workspace.find_run(run) / "predictions.parquet"
    return pl.DataFrame(tables.read(path, "predictions"))


def chosen_run(workspace: Workspace, run: str | None) -> Path:
    """The folder of a run; without a name the newest, and says so.

    Raises:
        SumlError: no such run, or none at all.
    """
    if run is not None:
        return workspace.find_run(run)
    runs = workspace.runs()
    if not runs:
        raise SumlError(
            workspace.root / "runs",
            "no run to evaluate",
            got="no folder with a pipeline.toml",
            expected="a trained run",
            fix="Make one with `sumlctl train`.",
        )
    console.note(f"run: {workspace.relative(runs[-1])}, the newest of {len(runs)}")
    return runs[-1]


def _default_protocol(dataset: str, predictions: pl.DataFrame) -> str:
    """The dataset's own protocol where there is one."""
    own = dataset.replace("-", "_")
    if own in registry.names("protocols"):
        return own
    several = predictions.filter(pl.col("task") == "action").height
    return "multi_label" if several else "top_k"


def _whole_videos(protocol: str | None, dataset: str) -> bool:
    name = protocol or dataset.replace("-", "_")
    if protocol is None and name not in registry.names("protocols"):
        return False
    module = registry.load("protocols", name, "--protocol").__module__
    return getattr(importlib.import_module(module), "WHOLE_VIDEOS", False)


def _predict(workspace: Workspace, folder: Path, pipeline: Pipeline, asked: Request) -> None:
    """Writes the run's predictions, unless they are there and still hold."""
    seen, data = pipeline.evaluation, pipeline.data
    views = (
        Views.parse(asked.views) if asked.views else Views(seen.temporal_views, seen.spatial_views)
    )
    whole = _whole_videos(asked.protocol, data.fpv)
    checkpoint = checkpoints.of_run(folder, asked.checkpoint)
    found = checkpoints.read(checkpoint)  # its faults are told before anything is read for it
    _say_which_weights(checkpoint, found.get("epochs"))
    used = [*clips.read_from(workspace, [data.fpv]), checkpoint]
    inputs = {workspace.relative(path): quarantine.digest(path) for path in used}
    fabric = launch(1, pipeline.precision)
    settings = _settings(pipeline, views, whole, str(fabric.strategy.precision.precision))
    settings |= how_read(workspace, pipeline, [data.fpv])
    path = folder / "predictions.parquet"
    if path.is_file() and made_from(tables.read(path, "predictions")) == (inputs, settings):
        console.note(f"{workspace.relative(path)} is up to date")
        return
    clip_set = clips.load(workspace, [data.fpv], "fpv", data.eval_split, pipeline=pipeline)
    main = trained.load(workspace, folder.name, asked.checkpoint, ["fpv"])
    main.check_classes("fpv", clip_set)
    fabric.to_device(main.model)
    with PartialPredictions(folder / "predictions.parts", inputs, settings) as parts:
        with open_reader(workspace, pipeline) as reader:
            predictions = _predicted(main, fabric, clip_set, views, whole, parts, reader)
        tables.write(predictions.to_arrow(), path, "predictions", inputs=inputs, config=settings)
        parts.clear()


def _say_which_weights(checkpoint: Path, epochs: object) -> None:
    """The last epoch's where no file is named: `best.pt` was chosen on the split that is scored."""
    after = f", after epoch {epochs}" if isinstance(epochs, int) else ""
    console.note(f"weights: {checkpoint.name}{after}")


def _settings(pipeline: Pipeline, views: Views, whole: bool, precision: str) -> dict[str, Any]:
    """What predictions depend on beside weights and tables."""
    size = pipeline.input
    return {
        "views": f"{views.temporal}x{views.spatial}",
        "of": "videos" if whole else "clips",
        "split": pipeline.data.eval_split,
        "frames": size.frames,
        "stride": size.stride,
        "crop": size.crop,
        "precision": precision,
    }


def _predicted(
    main: Trained,
    fabric: Fabric,
    clip_set: ClipSet,
    views: Views,
    whole: bool,
    parts: PartialPredictions,
    reader: Reader,
) -> pl.DataFrame:
    """Predictions of all clips, those that are in the parts already included."""
    tasks = main.tasks["fpv"]
    looked_at = whole_videos.videos(clip_set) if whole else clip_set
    done = parts.done
    own = [i for i, clip in enumerate(looked_at.clips) if clip.clip_id not in done]
    if done:
        console.note(f"eval: goes on after {len(done):,} of {len(looked_at):,}")
    failed: list[Failure] = []
    for rows in predicted(
        main.model, fabric, looked_at, own, tasks, main.pipeline, views, reader, failed
    ):
        parts.add(rows)
    name_failed(failed, len(looked_at))
    predictions = in_order(parts.all(), looked_at, tasks)
    return whole_videos.to_clips(predictions, clip_set, tasks) if whole else predictions


def _metrics_table(rows: list[dict[str, Any]]) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_pylist(rows, schema=tables.schema("metrics"))
