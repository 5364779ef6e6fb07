"""What a method gets and gives: the outputs of one batch, and named terms with their weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

_NONE = torch.empty(0)


class Term(NamedTuple):
    """One term of the loss; it adds `weight * value`."""

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
    """

    l_f: Tensor
    l_t: Tensor = _NONE
    z_f: Tensor = _NONE
    z_t: Tensor = _NONE
    d_f: Tensor = _NONE
    d_t: Tensor = _NONE


class Method(ABC):
    """A training method: a frozen dataclass of its settings, called with the outputs of a batch.

    Settings in `_ABOVE_ZERO` must be above zero, weights `w_*` and `margin` at least zero.
    """

    uses_tpv: ClassVar[bool] = True
    _ABOVE_ZERO: ClassVar[tuple[str, ...]] = ("temperature", "sigma")

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
        if faults:
            raise ValueError("\n".join(faults))

    @abstractmethod
    def __call__(self, outputs: Outputs) -> Mapping[str, Term]:
        """The named terms of a batch; their weighted sum is the loss."""
