"""SUM-L: semantics-aware cross-view alignment and video-text alignment (Eq. 12)."""

from __future__ import annotations

from dataclasses import dataclass

from sumlctl.learning.losses.contrastive import cross_view, video_text
from sumlctl.learning.losses.terms import Method, Outputs, Term


@dataclass(frozen=True)
class SumL(Method):
    """L = L_f + w_t L_t + w_aw L_aw + w_m L_m (Eq. 12); see `build`."""

    temperature: float
    sigma: float
    threshold: float
    w_t: float
    w_aw: float
    w_m: float

    def __call__(self, outputs: Outputs) -> dict[str, Term]:
        o = outputs
        l_aw = cross_view(o.z_f, o.z_t, o.d_f, o.d_t, self.temperature, self.sigma, self.threshold)
        l_m = video_text(o.z_f, o.d_f, o.z_t, o.d_t, self.temperature)
        return {
            "l_f": Term(1.0, o.l_f),
            "l_t": Term(self.w_t, o.l_t),
            "l_aw": Term(self.w_aw, l_aw),
            "l_m": Term(self.w_m, l_m),
        }


def build(
    temperature: float = 0.06,
    sigma: float = 0.1,
    threshold: float = 0.5,
    w_t: float = 0.1,
    w_aw: float = 0.02,
    w_m: float = 0.1,
) -> SumL:
    """The method of the paper.

    Args:
        temperature: tau of Eq. 9 and 11.
        sigma: temperature of the semantic weights (Eq. 10).
        threshold: similarity that a pseudo-pair exceeds to be aligned.
        w_t: weight of the TPV classification loss.
        w_aw: weight of the cross-view alignment (Eq. 8).
        w_m: weight of the video-text alignment (Eq. 11).

    Raises:
        ValueError: an impossible value, one line each.
    """
    return SumL(temperature, sigma, threshold, w_t, w_aw, w_m)
