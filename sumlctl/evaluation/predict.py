"""Predictions of the first-person encoder and head, averaged over views (Sec. 3.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

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
    Several processes share the clips, and each gets all scores.

    Args:
        model: the two-view model with an `fpv` branch, on the fabric's device.
        fabric: the device, precision and processes.
        clip_set: the clips to predict.
        tasks: the heads' tasks.
        pipeline: gives input and batch size.
        views: temporal and spatial views.

    Returns:
        Rows of the predictions table, by clip and task.

    Raises:
        SumlError: not one clip can be decoded.
    """
    training = model.training
    model.eval()
    own = range(fabric.global_rank, len(clip_set), fabric.world_size)
    feed: Any = fabric.setup_dataloaders(
        _loader(clip_set, own, pipeline, views), use_distributed_sampler=False
    )
    found = _Found([], {task.name: [] for task in tasks}, [])
    with (
        torch.inference_mode(),
        fabric.autocast(),
        console.progress("eval", len(own), "clips") as bar,
    ):
        for batch in feed:
            found.failed.extend(batch["failed"])
            clips = len(batch.get("index", ()))
            if clips:
                found.places.extend(own[i] for i in batch["index"].tolist())
                for task, values in _scores(model, batch, tasks, pipeline, views).items():
                    found.scores[task].append(values.reshape(clips, -1))
            bar.advance(clips + len(batch["failed"]))
    model.train(training)
    return _table(_of_all_processes(found, fabric), clip_set, tasks, views)


class _Found(NamedTuple):
    """Places in the clip set, task -> their scores in batches, and what could not be decoded."""

    places: list[int]
    scores: dict[str, list[np.ndarray]]
    failed: list[Failure]


def _of_all_processes(found: _Found, fabric: Fabric) -> _Found:
    if fabric.world_size == 1:
        return found
    parts: list[Any] = [None] * fabric.world_size
    torch.distributed.all_gather_object(parts, tuple(found))
    every = [_Found(*part) for part in parts]
    scores = {task: [rows for part in every for rows in part.scores[task]] for task in found.scores}
    places = [place for part in every for place in part.places]
    return _Found(places, scores, [failure for part in every for failure in part.failed])


def _table(found: _Found, clip_set: ClipSet, tasks: Sequence[Task], views: Views) -> pl.DataFrame:
    _name_failed(found.failed, len(clip_set))
    order = np.argsort(found.places)
    rows = clip_set.rows[np.array(found.places)[order]]
    types: dict[str, Any] = {
        "scores": pl.List(pl.Float32),
        "target": pl.List(pl.Int32),
        "n_views": pl.Int16,
    }
    return pl.concat(
        pl.DataFrame(
            {
                "clip_id": rows.get_column("clip_id"),
                "task": task.name,
                "scores": np.concatenate(found.scores[task.name])[order].tolist(),
                "target": task.labels(rows),
                "n_views": views.count,
            },
            schema_overrides=types,
        )
        for task in tasks
    )


def _loader(
    clip_set: ClipSet, own: Sequence[int], pipeline: Pipeline, views: Views
) -> DataLoader[Any]:
    size = pipeline.input
    clips = [clip_set.clips[place] for place in own]
    return DataLoader(
        ClipViews(clips, views, size.frames, size.stride, size.crop),
        batch_size=pipeline.evaluation.batch_size,
        collate_fn=collate,
        num_workers=pipeline.workers,
        pin_memory=torch.cuda.is_available(),
    )


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
    windows = zip(
        # Windows pass a batch at a time: all views of all clips at once may not fit the device.
        batch["clips"].split(size),
        np.split(batch["sizes"], range(size, len(batch["sizes"]), size)),
        strict=True,
    )
    for clips, sizes in windows:
        each = [
            model({"fpv": crop})["fpv"].logits
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
