"""The two-view model: an encoder, a projection and task heads for each viewpoint (Fig. 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sumlctl import console
from sumlctl.config import Pipeline
from sumlctl.errors import SumlError
from sumlctl.learning import backbones
from sumlctl.learning.tasks import Task


class Seen(NamedTuple):
    """What one branch says about its clips.

    Args:
        z: unit-norm features for the alignment [N, d]; [N, 0] without a projection.
        logits: task -> [N, C].
    """

    z: Tensor
    logits: dict[str, Tensor]


class Branch(nn.Module):
    """The encoder, projection and heads of one viewpoint.

    Args:
        encoder: clips [N, 3, T, H, W] -> features [N, D], with `feature_dim`.
        tasks: one linear head each.
        dropout: share of features dropped in front of the heads.
        dimension: of the projection h's output (Eq. 5); None for a branch that is not aligned.
        unit_features: whether features are scaled to unit length before the projection.
    """

    def __init__(
        self,
        encoder: nn.Module,
        tasks: Sequence[Task],
        dropout: float,
        dimension: int | None = None,
        unit_features: bool = False,
    ) -> None:
        super().__init__()
        features = int(encoder.feature_dim)  # type: ignore[arg-type]
        self.encoder = encoder
        self.projection = nn.Linear(features, dimension) if dimension else None
        self.unit_features = unit_features
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleDict({task.name: nn.Linear(features, task.size) for task in tasks})
        self.frozen = False

    def freeze(self) -> None:
        """Keeps the encoder as it is: no gradients, no new statistics."""
        self.frozen = True
        self.encoder.requires_grad_(False)
        self.encoder.eval()

    def train(self, mode: bool = True) -> Branch:
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def forward(self, clips: Tensor) -> Seen:
        """Features and logits of normalised clips [N, 3, T, H, W]."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            features = self.encoder(clips)
        kept = self.dropout(features)
        logits = {name: head(kept) for name, head in self.heads.items()}
        return Seen(self._projected(features), logits)

    def _projected(self, features: Tensor) -> Tensor:
        if self.projection is None:
            return features[:, :0].float()
        if self.unit_features:
            features = functional.normalize(features.float(), dim=1)
        return functional.normalize(self.projection(features).float(), dim=1)


class TwoView(nn.ModuleDict):
    """Branches by viewpoint: `fpv`, `tpv` or both.

    A model of one branch has the same weight names as that branch in the model of two.
    """

    def __getitem__(self, viewpoint: str) -> Branch:
        branch = super().__getitem__(viewpoint)
        assert isinstance(branch, Branch)
        return branch

    def forward(self, clips: Mapping[str, Tensor]) -> dict[str, Seen]:
        """What each branch says about the clips of its viewpoint."""
        return {viewpoint: self[viewpoint](seen) for viewpoint, seen in clips.items()}


def build(
    pipeline: Pipeline, tasks: Mapping[str, Sequence[Task]], dimension: int | None = None
) -> TwoView:
    """The model of a pipeline, with random weights.

    Args:
        pipeline: gives backbone, encoder setup (Table 6), projection and dropout.
        tasks: viewpoint -> its heads' tasks; a branch for each.
        dimension: of the projections' output; None for branches that are not aligned.
    """
    part = pipeline.backbone
    branches: dict[str, nn.Module] = {}
    encoder = None
    for viewpoint, listed in tasks.items():
        if encoder is None or pipeline.encoders.tpv != "shared":
            encoder = backbones.build(part.name, **part.options)
        branches[viewpoint] = Branch(
            encoder, listed, pipeline.head.dropout, dimension, pipeline.projection.unit_features
        )
    return TwoView(branches)


def check_input(pipeline: Pipeline) -> None:
    """Sees whether the backbone takes clips of the pipeline's size, without computing anything.

    Raises:
        SumlError: it does not.
    """
    part, size = pipeline.backbone, pipeline.input
    try:
        with torch.device("meta"):
            encoder = backbones.build(part.name, **part.options).to("meta")
    except ValueError as error:
        raise SumlError(
            "backbone",
            f"{part.name} cannot be built",
            got=error,
            expected="options that it takes",
            fix="Correct the backbone's options.",
        ) from error
    if size.frames < encoder.published_frames:
        console.warn(
            f"{part.name} was published with {encoder.published_frames} frames per clip; "
            f"input.frames is {size.frames}"
        )
    try:
        with torch.device("meta"), torch.no_grad():
            encoder(torch.empty(2, 3, size.frames, size.crop, size.crop))
    except (ValueError, RuntimeError) as error:
        raise SumlError(
            "input",
            f"{part.name} cannot take clips of this size",
            got=f"{size.frames} frames of {size.crop} pixels ({str(error).splitlines()[0]})",
            expected="frames and a crop that fit the backbone",
            fix="Change input.frames, input.crop or the backbone's options.",
        ) from error
