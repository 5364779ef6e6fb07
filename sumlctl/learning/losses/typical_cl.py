"""Typical CL: decoupled contrastive alignment of all pseudo-pairs alike (Sec. 4.1.2)."""

from __future__ import annotations

from dataclasses import dataclass

from sumlctl.learning.losses.contrastive import decoupled
from sumlctl.learning.losses.terms import Method, Outputs, Term


@dataclass(frozen=True)
class TypicalCL(Method):
    """L = L_f + w_t L_t + w_a L_dc, both ways of Eq. 6; see `build`."""

    temperature: float
    negatives: str
    w_t: float
    w_a: float

    def __call__(self, outputs: Outputs) -> dict[str, Term]:
        ways = (outputs.z_f, outputs.z_t), (outputs.z_t, outputs.z_f)
        forth, back = (decoupled(a, b, self.temperature, negatives=self.negatives) for a, b in ways)
        return {
            "l_f": Term(1.0, outputs.l_f),
            "l_t": Term(self.w_t, outputs.l_t),
            "l_dc": Term(self.w_a, forth + back),
        }


def build(
    temperature: float = 0.06, negatives: str = "cross", w_t: float = 0.1, w_a: float = 0.02
) -> TypicalCL:
    """The contrastive baseline, with the settings that it shares with SUM-L.

    Args:
        temperature: tau of Eq. 6.
        negatives: `cross`, or `cross+intra` to add those of the clip's own view.
        w_t: weight of the TPV classification loss.
        w_a: weight of the alignment.

    Raises:
        ValueError: an impossible value, one line each.
    """
    return TypicalCL(temperature, negatives, w_t, w_a)
