"""The two-view model: an encoder, a projection and task heads for each viewpoint (Fig. 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from sumlctl.learning import backbones
from sumlctl.learning.tasks import Task
from sumlctl.settings import Component


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
        backbone: the encoder's name and options.
        tasks: one linear head each.
        dropout: share of features dropped in front of the heads.
        dimension: of the narration vectors, which the projection h maps to (Eq. 5); None for a
            branch that is not aligned with anything.
    """

    def __init__(
        self, backbone: Component, tasks: Sequence[Task], dropout: float, dimension: int | None
    ) -> None:
        super().__init__()
        self.encoder = backbones.build(backbone.name, **backbone.options)
        features = self.encoder.feature_dim
        self.projection = nn.Linear(features, dimension) if dimension else None
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleDict({task.name: nn.Linear(features, task.size) for task in tasks})

    def forward(self, clips: Tensor) -> Seen:
        """Features and logits of normalised clips [N, 3, T, H, W]."""
        features = self.encoder(clips)
        z = self.projection(features) if self.projection else features[:, :0]
        kept = self.dropout(features)
        logits = {name: head(kept) for name, head in self.heads.items()}
        return Seen(functional.normalize(z.float(), dim=1), logits)


class TwoView(nn.ModuleDict):
    """Branches by viewpoint, with no weights in common: `fpv`, `tpv` or both.

    A model of one branch has the same weight names as that branch in the model of two.
    """

    def forward(self, clips: Mapping[str, Tensor]) -> dict[str, Seen]:
        """What each branch says about the clips of its viewpoint."""
        return {viewpoint: self[viewpoint](seen) for viewpoint, seen in clips.items()}
