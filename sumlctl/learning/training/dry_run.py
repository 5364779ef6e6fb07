"""What a training would do, without doing it: sizes, steps and memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from sumlctl.config import Pipeline
from sumlctl.config.sections import Stage
from sumlctl.learning import two_view
from sumlctl.learning.data.batches import EpochBatches
from sumlctl.learning.data.pair_statistics import PairStatistics
from sumlctl.learning.training.prepare import Prepared
from sumlctl.learning.training.stages import Tasks
from sumlctl.learning.two_view import TwoView

_MIXED = ("bf16-mixed", "16-mixed")
_FLOAT32 = 4


@dataclass(frozen=True)
class StagePlan:
    """One stage in figures.

    Args:
        stage: its name.
        clips: clips, or pairs, that it learns from.
        batch: clips or pairs per device and forward pass.
        steps_per_epoch: steps of the optimiser in one epoch.
        epochs: number of epochs.
        steps: of all epochs.
        memory_gb: estimated peak on each device, without the framework's own.
    """

    stage: str
    clips: int
    batch: int
    steps_per_epoch: int
    epochs: int
    steps: int
    memory_gb: float


@dataclass(frozen=True)
class Plan:
    """A training in figures.

    Args:
        pipeline: the resolved settings.
        parameters: part of the model -> number of weights.
        stages: in their order.
        left_out: viewpoint -> status -> clips without frames.
        statistics: of the pairs; None for a method that has none.
        missing: what was there when the tables were made, or is usual, and is not there now.
    """

    pipeline: Pipeline
    parameters: dict[str, int]
    stages: list[StagePlan]
    left_out: dict[str, dict[str, int]]
    statistics: PairStatistics | None
    missing: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def plan(prepared: Prepared) -> Plan:
    """Counts what `train` would do with these settings and tables."""
    pipeline, pairs = prepared.pipeline, prepared.pairs
    with torch.device("meta"):
        whole = two_view.build(pipeline, prepared.tasks, prepared.dimension)
    stages = []
    left_out = {"fpv": pairs.fpv.left_out}
    if pairs.tpv is not None:
        left_out["tpv"] = pairs.tpv.left_out
        if pipeline.encoders.stage_one:
            alone = TwoView({"tpv": whole["tpv"]})
            stages.append(_stage("stage_one", pipeline, pipeline.stage_one, len(pairs.tpv), alone))
        if pipeline.encoders.tpv == "frozen":
            whole["tpv"].freeze()
    stages.append(_stage("stage_two", pipeline, pipeline.stage_two, len(pairs.fpv_rows), whole))
    parameters = _parameters(whole, prepared.tasks)
    return Plan(pipeline, parameters, stages, left_out, prepared.statistics, missing(prepared))


def missing(prepared: Prepared) -> list[str]:
    """Return what a training lacks: videos that are gone since they were indexed, and weights."""
    found = []
    pairs = prepared.pairs
    for viewpoint, clip_set in (("fpv", pairs.fpv), ("tpv", pairs.tpv)):
        read = {clip.path for clip in clip_set.clips if not clip.stored} if clip_set else set()
        if gone := sorted(path for path in read if not path.exists()):
            some = f"{len(gone):,} of {len(read):,} {viewpoint} videos"
            found.append(f"{some}, such as {gone[0]}")
    if not prepared.pipeline.encoders.init:
        found.append("weights to start from: encoders.init is empty, so they are random")
    return found


def _parameters(model: TwoView, tasks: Tasks) -> dict[str, int]:
    counts = {}
    for viewpoint in tasks:
        branch = model[viewpoint]
        parts = {"encoder": branch.encoder, "projection": branch.projection, "heads": branch.heads}
        for name, part in parts.items():
            if part is not None:
                counts[f"{viewpoint}.{name}"] = sum(w.numel() for w in part.parameters())
    counts["all"] = sum(weight.numel() for weight in model.parameters())
    return counts


def _stage(name: str, pipeline: Pipeline, settings: Stage, clips: int, model: TwoView) -> StagePlan:
    processes = pipeline.devices * pipeline.nodes
    group = pipeline.optimiser.accumulate
    batches = EpochBatches(clips, settings.batch_size, 0, 0, processes, group)
    steps = len(batches) // batches.group
    memory = memory_bytes(model, pipeline, batches.batch_size) / 1e9
    return StagePlan(
        name, clips, batches.batch_size, steps, settings.epochs, steps * settings.epochs, memory
    )


def memory_bytes(model: TwoView, pipeline: Pipeline, batch_size: int) -> int:
    """Estimated peak memory of one step: weights, gradients, optimiser, activations, input.

    Activations are those that the backward pass keeps, counted on a forward pass without data;
    mixed precision is taken to halve them. What kernels need while they run is not in it.

    Args:
        model: on any device; it is run on none.
        pipeline: gives the input's size, the optimiser and the precision.
        batch_size: clips of each viewpoint.
    """
    model = model.to("meta").train()
    size, frames = pipeline.input.crop, pipeline.input.frames
    clips = {view: torch.empty(batch_size, 3, frames, size, size, device="meta") for view in model}
    trained = sum(w.numel() for w in model.parameters() if w.requires_grad)
    weights = sum(w.numel() for w in model.parameters())
    states = 2 if pipeline.optimiser.name == "adamw" else 1
    kept = _kept_for_backward(model, clips)
    if pipeline.precision in _MIXED or (pipeline.precision == "auto" and torch.cuda.is_available()):
        kept //= 2
    inputs = sum(clip.numel() for clip in clips.values())
    return _FLOAT32 * (weights + (1 + states) * trained + inputs) + kept


def _kept_for_backward(model: nn.Module, clips: Mapping[str, torch.Tensor]) -> int:
    """Bytes of the tensors that a forward pass saves, each storage once, weights aside."""
    own = {weight.untyped_storage()._cdata for weight in model.parameters()}
    saved: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()._cdata
        if storage not in own:
            saved[storage] = tensor
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        seen = model(clips)
    del seen
    return sum(tensor.untyped_storage().nbytes() for tensor in saved.values())
