"""What a method gets and gives: the outputs of one batch, and named terms with their weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from sumlctl.learning.losses.contrastive import NEGATIVES

_NONE = torch.empty(0)


class Term(NamedTuple):
    """One term of the loss; it adds `weight * value`. A weight of 0 is for what is only logged."""

    weight: float
    value: Tensor


@dataclass(frozen=True)
class Outputs:
    """What the two-view model says about a batch of pseudo-pairs.

    A method without `uses_tpv` gets `l_f` alone.

    Args:
        l_f: classification loss of the FPV clips.
        l_t: classification loss of the TPV clips.
        z_f: unit-norm features of the FPV clips [N, d].
        z_t: unit-norm features of their TPV partners [N, d].
        d_f: unit-norm narration vectors of the FPV clips [N, d].
        d_t: unit-norm narration vectors of the TPV clips [N, d].
        similarity: cosine of the pair's narrations, as mined [N].
    """

    l_f: Tensor
    l_t: Tensor = _NONE
    z_f: Tensor = _NONE
    z_t: Tensor = _NONE
    d_f: Tensor = _NONE
    d_t: Tensor = _NONE
    similarity: Tensor = _NONE


class Method(ABC):
    """A training method: a frozen dataclass of its settings, called with the outputs of a batch.

    `uses_tpv` tells whether it looks at third-person clips, `compares_text` whether it compares
    projected features with narration vectors, so that both need one dimension.
    Settings in `_ABOVE_ZERO` must be above zero, weights `w_*` and `margin` at least zero, and
    those in `_CHOICES` one of a few words.
    """

    uses_tpv: ClassVar[bool] = True
    compares_text: ClassVar[bool] = False
    _ABOVE_ZERO: ClassVar[tuple[str, ...]] = ("temperature", "sigma")
    _CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "negatives": NEGATIVES,
        "negative": ("fpv", "tpv"),
    }

    @property
    def aligned_above(self) -> float | None:
        """Similarity that a pair must exceed for the cross-view loss; None where all count."""
        return None

    def __post_init__(self) -> None:
        faults = []
        for f in fields(self):  # type: ignore[arg-type]
            value = getattr(self, f.name)
            if f.name in self._ABOVE_ZERO and not value > 0:
                faults.append(f"{f.name} = {value!r} is not above 0")
            elif f.name.startswith(("w_", "margin")) and not value >= 0:
                faults.append(f"{f.name} = {value!r} is not at least 0")
            elif f.name == "threshold" and not -1 <= value <= 1:
                faults.append(f"{f.name} = {value!r} is not a cosine, from -1 to 1")
            elif f.name in self._CHOICES and value not in self._CHOICES[f.name]:
                words = " or ".join(self._CHOICES[f.name])
                faults.append(f"{f.name} = {value!r} is not {words}")
        if faults:
            raise ValueError("\n".join(faults))

    @abstractmethod
    def __call__(self, outputs: Outputs) -> Mapping[str, Term]:
        """The named terms of a batch; their weighted sum is the loss."""
