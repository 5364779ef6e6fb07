"""Triplet: pull a pseudo-pair together, push another clip away (Sec. 4.1.2)."""

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
    negative: str
    w_t: float
    w_a: float

    def __call__(self, outputs: Outputs) -> dict[str, Term]:
        z_f, z_t = outputs.z_f, outputs.z_t
        # Pairs come in random order, so that a neighbour is a random other clip.
        others = (z_f if self.negative == "fpv" else z_t).roll(1, dims=0)
        return {
            "l_f": Term(1.0, outputs.l_f),
            "l_t": Term(self.w_t, outputs.l_t),
            "l_triplet": Term(self.w_a, triplet(z_f, z_t, others, self.margin)),
        }


def build(
    margin: float = 0.1, negative: str = "fpv", w_t: float = 0.1, w_a: float = 0.02
) -> Triplet:
    """The triplet baseline: the anchor is an FPV clip, the positive its TPV partner.

    Args:
        margin: how much further away the negative must be.
        negative: another `fpv` clip, as in the released code, or another pair's `tpv` clip.
        w_t: weight of the TPV classification loss.
        w_a: weight of the alignment.

    Raises:
        ValueError: an impossible value, one line each.
    """
    return Triplet(margin, negative, w_t, w_a)
