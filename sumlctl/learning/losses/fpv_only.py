"""FPV only: the first-person encoder and head, nothing else (Sec. 4.1.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sumlctl.learning.losses.terms import Method, Outputs, Term


@dataclass(frozen=True)
class FpvOnly(Method):
    """L = L_f."""

    uses_tpv: ClassVar[bool] = False

    def __call__(self, outputs: Outputs) -> dict[str, Term]:
        return {"l_f": Term(1.0, outputs.l_f)}


def build() -> FpvOnly:
    """The baseline that never sees a third-person video."""
    return FpvOnly()
