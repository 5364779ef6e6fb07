"""Projected features of clips: what alignment made comparable across views (Eq. 5)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sumlctl import console
from sumlctl.errors import SumlError
from sumlctl.evaluation.predict import name_failed
from sumlctl.evaluation.trained import Trained
from sumlctl.evaluation.views import ClipViews, Views
from sumlctl.learning.data.batches import Batch
from sumlctl.learning.data.clips import ClipSet
from sumlctl.learning.data.reader import Reader
from sumlctl.learning.data.requests import Failure
from sumlctl.learning.training.launch import launch
from sumlctl.learning.two_view import Branch


class Embedded(NamedTuple):
    """Places of clips in their set, ascending, and their unit vectors float32 [n, d]."""

    places: list[int]
    vectors: np.ndarray


def embed(trained: Trained, viewpoint: str, clip_set: ClipSet, views: Views) -> Embedded:
    """The projected features of every clip that can be decoded; the others are named.

    Features of several views of a clip are averaged and scaled to unit length again.

    Args:
        trained: the run.
        viewpoint: whose branch.
        clip_set: the clips.
        views: windows and crops per clip.

    Raises:
        SumlError: no such branch, no projection, or not one clip can be decoded.
    """
    branch = trained.branch(viewpoint)
    if branch.projection is None:
        raise SumlError(
            trained.path,
            "no projection that views could be compared with",
            got=f"weights of {trained.pipeline.loss.name}",
            expected="those of a method that aligns the views",
            fix="Choose a run of sum-l, typical-cl or triplet, and its checkpoint stage_two.pt.",
        )
    pipeline = trained.pipeline
    fabric = launch(1, pipeline.precision)
    branch.to(fabric.device)
    size, at_once = pipeline.input, pipeline.evaluation.batch_size
    seen = ClipViews(clip_set.clips, views, size.frames, size.stride, size.crop)
    places: list[int] = []
    vectors: list[Tensor] = []
    failed: list[Failure] = []
    label = f"embed {viewpoint}"
    with (
        torch.inference_mode(),
        fabric.autocast(),
        Reader.of(pipeline) as reader,
        console.progress(label, len(clip_set), "clips") as bar,
    ):
        for batch in seen.batches(reader, pipeline.evaluation.batch_size):
            failed.extend(batch["failed"])
            found = batch.get("index", torch.empty(0)).tolist()
            if found:
                places.extend(found)
                vectors.append(_projected(branch, batch, views, size.crop, at_once, fabric.device))
            bar.advance(len(found) + len(batch["failed"]))
    name_failed(failed, len(clip_set), f"retrieve {viewpoint}")
    return Embedded(places, torch.cat(vectors).numpy())


def _projected(
    branch: Branch, batch: Batch, views: Views, crop: int, at_once: int, device: torch.device
) -> Tensor:
    """Unit vectors of a batch's clips [n, d], on the host."""
    clips = len(batch["index"])
    frames, places = ([one.to(device) for one in batch[key]] for key in ("frames", "places"))
    z = torch.cat([branch(cut).z for cut in views.crops(frames, places, crop, at_once)])
    z = z.view(clips, views.count, -1).sum(dim=1)
    return functional.normalize(z, dim=1).float().cpu()
