"""Predictions of the first-person encoder and head, averaged over views (Sec. 3.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import DataLoader

from sumlctl import console
from sumlctl.config import Pipeline
from sumlctl.errors import SumlError
from sumlctl.evaluation.views import ClipViews, Views, collate
from sumlctl.learning.batches import Failure
from sumlctl.learning.clips import ClipSet
from sumlctl.learning.tasks import Task


def predict(
    model: nn.Module,
    fabric: Fabric,
    clip_set: ClipSet,
    tasks: Sequence[Task],
    pipeline: Pipeline,
    views: Views,
) -> pl.DataFrame:
    """Scores of every clip that can be decoded; the others are counted and named.

    Exclusive tasks take the mean softmax over the views, multi-label tasks the largest sigmoid.

    Args:
        model: the two-view model with an `fpv` branch.
        fabric: the device and precision.
        clip_set: the clips to predict.
        tasks: the heads' tasks.
        pipeline: gives input and batch size.
        views: temporal and spatial views.

    Returns:
        Rows of the predictions table, by clip and task.

    Raises:
        SumlError: not one clip can be decoded.
    """
    module = fabric.setup_module(model.to(memory_format=torch.channels_last_3d))
    module.eval()
    feed: Any = fabric.setup_dataloaders(_loader(clip_set, pipeline, views))
    index, failed = [], []
    scores: dict[str, list[np.ndarray]] = {task.name: [] for task in tasks}
    with torch.inference_mode(), console.progress("eval", len(clip_set), "clips") as bar:
        for batch in feed:
            failed += batch["failed"]
            clips = len(batch.get("index", ()))
            if clips:
                index += batch["index"].tolist()
                for task, values in _scores(module, batch, tasks, pipeline, views).items():
                    scores[task].append(values.reshape(clips, -1))
            bar.advance(clips + len(batch["failed"]))
    _name_failed(failed, len(clip_set))
    rows = clip_set.rows[index]
    return pl.concat(
        pl.DataFrame(
            {
                "clip_id": rows.get_column("clip_id"),
                "task": task.name,
                "scores": np.concatenate(scores[task.name]).tolist(),
                "target": task.labels(rows),
                "n_views": views.count,
            },
            schema_overrides={
                "scores": pl.List(pl.Float32),
                "target": pl.List(pl.Int32),
                "n_views": pl.Int16,
            },
        )
        for task in tasks
    )


def _loader(clip_set: ClipSet, pipeline: Pipeline, views: Views) -> DataLoader[Any]:
    size = pipeline.input
    return DataLoader(
        ClipViews(clip_set.clips, views, size.frames, size.stride, size.crop),
        batch_size=pipeline.evaluation.batch_size,
        collate_fn=collate,
        num_workers=pipeline.workers,
        pin_memory=torch.cuda.is_available(),
    )


def _scores(
    module: Any,
    batch: Mapping[str, Any],
    tasks: Sequence[Task],
    pipeline: Pipeline,
    views: Views,
) -> dict[str, np.ndarray]:
    """task -> scores [n, C] of the batch's clips."""
    logits: dict[str, list[Tensor]] = {task.name: [] for task in tasks}
    windows = zip(
        # Windows pass a batch at a time: all views of all clips at once may not fit the device.
        batch["clips"].split(pipeline.evaluation.batch_size),
        batch["sizes"].split(pipeline.evaluation.batch_size),
        strict=True,
    )
    for clips, sizes in windows:
        each = [
            module({"fpv": crop})["fpv"].logits
            for crop in views.crops(clips, sizes, pipeline.input.crop)
        ]
        for task in tasks:
            logits[task.name].append(torch.stack([e[task.name].float() for e in each], dim=1))
    merged = {}
    for task in tasks:
        # [n * temporal, spatial, C] -> [n, views, C]
        seen = torch.cat(logits[task.name]).view(-1, views.count, task.size)
        combined = seen.softmax(dim=2).mean(dim=1) if task.exclusive else seen.sigmoid().amax(dim=1)
        merged[task.name] = combined.cpu().numpy()
    return merged


def _name_failed(failed: Sequence[Failure], clips: int) -> None:
    for clip_id, reason in failed:
        console.warn(f"{clip_id} is not predicted: {reason}")
    if len(failed) == clips:
        raise SumlError(
            "eval",
            "not one clip can be decoded",
            got=f"{clips:,} failures",
            expected="readable videos",
            fix="Run `sumlctl index` again: it finds the videos at fault.",
        )
