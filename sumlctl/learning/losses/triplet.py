"""Triplet: pull a pseudo-pair together, push another TPV clip away (Sec. 4.1.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sumlctl.learning.losses.terms import Method, Outputs, Term


def triplet(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Triplet loss with the Euclidean distance.

    Args:
        anchor: features [N, d].
        positive: features to be near [N, d].
        negative: features to be at least `margin` further away [N, d].
        margin: at least 0.

    Returns:
        The mean over the N rows; 0 (with gradient) for an empty batch.
    """
    near = torch.linalg.vector_norm(anchor - positive, dim=1, dtype=_wide(anchor))
    far = torch.linalg.vector_norm(anchor - negative, dim=1, dtype=_wide(anchor))
    rows = torch.relu(near - far + margin)
    return rows.sum() / max(len(rows), 1)


def _wide(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


@dataclass(frozen=True)
class Triplet(Method):
    """L = L_f + w_t L_t + w_a L_triplet; see `build`."""

    margin: float
    w_t: float
    w_a: float

    def __call__(self, outputs: Outputs) -> dict[str, Term]:
        z_f, z_t = outputs.z_f, outputs.z_t
        # A batch of one has no other TPV clip: anchor and partner then cancel to the margin alone.
        l_triplet = triplet(z_f, z_t, z_t.roll(1, dims=0), self.margin)
        return {
            "l_f": Term(1.0, outputs.l_f),
            "l_t": Term(self.w_t, outputs.l_t),
            "l_triplet": Term(self.w_a, l_triplet),
        }


def build(margin: float = 0.1, w_t: float = 0.1, w_a: float = 0.02) -> Triplet:
    """The triplet baseline: anchor FPV, positive its partner, negative the neighbour's partner.

    Args:
        margin: how much further away the negative must be.
        w_t: weight of the TPV classification loss.
        w_a: weight of the alignment.

    Raises:
        ValueError: an impossible value, one line each.
    """
    return Triplet(margin, w_t, w_a)
