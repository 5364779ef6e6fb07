"""What each stage of a run trains, on what, with which loss (Sec. 3.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from sumlctl.config import Pipeline
from sumlctl.errors import SumlError
from sumlctl.learning.data import labels
from sumlctl.learning.data.batches import Batch, Samples, SampleView
from sumlctl.learning.data.clips import ClipSet
from sumlctl.learning.data.pairs import PairSet
from sumlctl.learning.data.transforms import Augmentation
from sumlctl.learning.losses.terms import Method, Outputs, Term
from sumlctl.learning.tasks import Task, total_loss
from sumlctl.learning.training.gather import gathered
from sumlctl.learning.training.trainer import Terms

Tasks = Mapping[str, Sequence[Task]]


@dataclass(frozen=True)
class StageData:
    """What a stage learns from.

    Args:
        tasks: viewpoint -> its heads' tasks.
        samples: windows with labels and narration vectors.
    """

    tasks: Tasks
    samples: Samples


def stage_one_data(pipeline: Pipeline, tpv: ClipSet, tasks: Tasks) -> StageData:
    """All third-person clips with their labels."""
    side = _side(tpv, np.arange(len(tpv)), tasks["tpv"])
    return StageData({"tpv": tasks["tpv"]}, _samples(pipeline, {"tpv": side}, {}))


def stage_two_data(pipeline: Pipeline, pairs: PairSet, tasks: Tasks) -> StageData:
    """All pseudo-pairs with the labels and narration vectors of both sides."""
    sides = {"fpv": _side(pairs.fpv, pairs.fpv_rows, tasks["fpv"])}
    vectors: dict[str, np.ndarray] = {}
    if pairs.tpv is not None:
        sides["tpv"] = _side(pairs.tpv, pairs.tpv_rows, tasks["tpv"])
        vectors = {"d_f": pairs.d_f, "d_t": pairs.d_t, "similarity": pairs.similarity}
    return StageData(tasks, _samples(pipeline, sides, vectors))


def _side(clip_set: ClipSet, rows: np.ndarray, tasks: Sequence[Task]) -> SampleView:
    wanted = {task.name: labels.targets(task, clip_set) for task in tasks}
    return SampleView(clip_set.clips, rows, wanted)


def _samples(
    pipeline: Pipeline, sides: Mapping[str, SampleView], vectors: Mapping[str, np.ndarray]
) -> Samples:
    size = pipeline.input
    return Samples(sides, vectors, size.frames, size.stride, size.short_side[1], pipeline.seed)


def stage_one_terms(augment: Augmentation, tasks: Sequence[Task]) -> Terms:
    """L_t alone."""

    def terms(module: nn.Module, batch: Batch, epoch: int, step: int) -> Mapping[str, Term]:
        seen = module(augment(batch, ["tpv"], epoch, step))
        return {"l_t": Term(1.0, total_loss(tasks, seen["tpv"].logits, batch["tpv"]["targets"]))}

    return terms


def stage_two_terms(
    augment: Augmentation, tasks: Tasks, method: Method, gather: bool = False
) -> Terms:
    """The method's loss.

    Args:
        augment: makes the encoders' input.
        tasks: viewpoint -> its heads' tasks.
        method: the loss.
        gather: whether a clip's negatives come from all processes or from its own.
    """

    def terms(module: nn.Module, batch: Batch, epoch: int, step: int) -> Mapping[str, Term]:
        seen = module(augment(batch, list(tasks), epoch, step))
        losses = {
            f"l_{viewpoint[0]}": total_loss(tasks[viewpoint], s.logits, batch[viewpoint]["targets"])
            for viewpoint, s in seen.items()
        }
        compared = {f"z_{viewpoint[0]}": s.z for viewpoint, s in seen.items()} | batch["vectors"]
        if gather:
            compared = {name: gathered(rows) for name, rows in compared.items()}
        return method(Outputs(**losses, **compared))

    return terms


def projection_size(pipeline: Pipeline, method: Method, narrations: int) -> int:
    """Dimension of the projections.

    Args:
        pipeline: says a size, or 0.
        method: tells whether features are compared with narrations.
        narrations: dimension of the narration vectors.

    Raises:
        SumlError: they are, and the sizes differ.
    """
    size = pipeline.projection.size or narrations
    if method.compares_text and size != narrations:
        raise SumlError(
            "projection.size",
            f"{pipeline.loss.name} compares projections with narration vectors",
            got=size,
            expected=f"{narrations}, the dimension of {pipeline.data.encoder}",
            fix="Set it to 0, or embed the narrations with another encoder.",
        )
    return size
