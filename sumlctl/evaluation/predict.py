"""Predictions of the first-person encoder and head, averaged over views (Sec. 3.4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from sumlctl import console
from sumlctl.config import Pipeline
from sumlctl.errors import SumlError
from sumlctl.evaluation.views import ClipViews, Views
from sumlctl.learning.data.clips import ClipSet
from sumlctl.learning.data.reader import Reader
from sumlctl.learning.data.requests import Failure
from sumlctl.learning.tasks import Task


def predict(
    model: nn.Module,
    fabric: Fabric,
    clip_set: ClipSet,
    tasks: Sequence[Task],
    pipeline: Pipeline,
    views: Views,
    reader: Reader,
) -> pl.DataFrame:
    """Scores of every clip that can be decoded; the others are counted and named.

    Several processes share the clips, and each gets all scores.

    Args:
        model: the two-view model with an `fpv` branch, on the fabric's device.
        fabric: the device, precision and processes.
        clip_set: the clips to predict.
        tasks: the heads' tasks.
        pipeline: gives input and batch size.
        views: temporal and spatial views.
        reader: decodes.

    Returns:
        Rows of the predictions table, by clip and task.

    Raises:
        SumlError: not one clip can be decoded.
    """
    own = range(fabric.global_rank, len(clip_set), fabric.world_size)
    failed: list[Failure] = []
    parts = list(predicted(model, fabric, clip_set, own, tasks, pipeline, views, reader, failed))
    rows = pl.concat(parts) if parts else _no_rows()
    if fabric.world_size > 1:
        every: list[Any] = [None] * fabric.world_size
        torch.distributed.all_gather_object(every, (rows, failed))
        rows = pl.concat([part for part, _ in every])
        failed = [failure for _, more in every for failure in more]
    name_failed(failed, len(clip_set))
    return in_order(rows, clip_set, tasks)


def predicted(
    model: nn.Module,
    fabric: Fabric,
    clip_set: ClipSet,
    own: Sequence[int],
    tasks: Sequence[Task],
    pipeline: Pipeline,
    views: Views,
    reader: Reader,
    failed: list[Failure],
) -> Iterator[pl.DataFrame]:
    """Predictions of one batch of clips after another.

    Exclusive tasks take the mean softmax over the views, multi-label tasks the largest sigmoid.

    Args:
        model, fabric, clip_set, tasks, pipeline, views, reader: as for `predict`.
        own: places of the clips to predict.
        failed: takes up what cannot be decoded.
    """
    training = model.training
    model.eval()
    size = pipeline.input
    clips_seen = [clip_set.clips[place] for place in own]
    seen = ClipViews(clips_seen, views, size.frames, size.stride, size.crop)
    try:
        with console.progress("eval", len(own), "clips") as bar:
            for on_host in seen.batches(reader, pipeline.evaluation.batch_size):
                batch = fabric.to_device(on_host)
                failed.extend(batch["failed"])
                clips = len(batch.get("index", ()))
                if clips:
                    places = [own[i] for i in batch["index"].tolist()]
                    with torch.inference_mode(), fabric.autocast():
                        scores = _scores(model, batch, tasks, pipeline, views)
                    yield _rows(clip_set.rows[places], scores, tasks, views)
                bar.advance(clips + len(batch["failed"]))
    finally:
        model.train(training)


def _rows(
    clips: pl.DataFrame, scores: Mapping[str, np.ndarray], tasks: Sequence[Task], views: Views
) -> pl.DataFrame:
    return pl.concat(
        pl.DataFrame(
            {
                "clip_id": clips.get_column("clip_id"),
                "task": task.name,
                "scores": scores[task.name].tolist(),
                "target": task.labels(clips),
                "n_views": views.count,
            },
            schema=_COLUMNS,
        )
        for task in tasks
    )


_COLUMNS: dict[str, Any] = {
    "clip_id": pl.String,
    "task": pl.String,
    "scores": pl.List(pl.Float32),
    "target": pl.List(pl.Int32),
    "n_views": pl.Int16,
}


def _no_rows() -> pl.DataFrame:
    return pl.DataFrame(schema=_COLUMNS)


def in_order(rows: pl.DataFrame, clip_set: ClipSet, tasks: Sequence[Task]) -> pl.DataFrame:
    """Predictions by task, and in each in the order of the clips."""
    places = clip_set.rows.select("clip_id").with_row_index("place")
    names = {task.name: number for number, task in enumerate(tasks)}
    number = pl.col("task").replace_strict(names, return_dtype=pl.Int64)
    joined = rows.join(places, "clip_id", "inner").sort(number, "place")
    return joined.select(*_COLUMNS)


def _scores(
    model: nn.Module,
    batch: Mapping[str, Any],
    tasks: Sequence[Task],
    pipeline: Pipeline,
    views: Views,
) -> dict[str, np.ndarray]:
    """task -> scores [n, C] of the batch's clips."""
    logits: dict[str, list[Tensor]] = {task.name: [] for task in tasks}
    size = pipeline.evaluation.batch_size
    for crops in views.crops(batch["frames"], batch["places"], pipeline.input.crop, size):
        said = model({"fpv": crops})["fpv"].logits
        for task in tasks:
            logits[task.name].append(said[task.name].float())
    merged = {}
    for task in tasks:
        # [n * views, C] -> [n, views, C]
        seen = torch.cat(logits[task.name]).view(-1, views.count, task.size)
        combined = seen.softmax(dim=2).mean(dim=1) if task.exclusive else seen.sigmoid().amax(dim=1)
        merged[task.name] = combined.cpu().numpy()
    return merged


def name_failed(failed: Sequence[Failure], clips: int, where: str = "eval") -> None:
    """Tells what could not be decoded.

    Raises:
        SumlError: that is every one of the clips.
    """
    for failure in failed:
        console.warn(f"{failure.clip_id} is left out: {failure.reason}")
    if len(failed) == clips:
        raise SumlError(
            where,
            "not one clip can be decoded",
            got=f"{clips:,} failures",
            expected="readable videos",
            fix="Run `sumlctl index` again: it finds the videos at fault.",
        )
