"""SUM-L: semantics-aware cross-view alignment and video-text alignment (Eq. 12)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sumlctl.learning.losses.contrastive import cross_view, video_text
from sumlctl.learning.losses.terms import Method, Outputs, Term


@dataclass(frozen=True)
class SumL(Method):
    """L = L_f + w_t L_t + w_aw L_aw + w_m L_m (Eq. 12); see `build`."""

    compares_text: ClassVar[bool] = True
    temperature: float
    sigma: float
    threshold: float
    weighted: bool
    negatives: str
    w_t: float
    w_aw: float
    w_m: float

    @property
    def aligned_above(self) -> float | None:
        return self.threshold if self.w_aw else None

    def __call__(self, outputs: Outputs) -> dict[str, Term]:
        o = outputs
        aligned = cross_view(
            o.z_f,
            o.z_t,
            o.d_f,
            o.d_t,
            self.temperature,
            self.sigma,
            self.threshold,
            self.weighted,
            self.negatives,
        )
        l_m = video_text(o.z_f, o.d_f, o.z_t, o.d_t, self.temperature, self.negatives)
        return {
            "l_f": Term(1.0, o.l_f),
            "l_t": Term(self.w_t, o.l_t),
            "l_aw" if self.weighted else "l_a": Term(self.w_aw, aligned),
            "l_m": Term(self.w_m, l_m),
            "kept_share": Term(0.0, (o.similarity > self.threshold).float().mean()),
        }


def build(
    temperature: float = 0.06,
    sigma: float = 0.1,
    threshold: float = 0.5,
    weighted: bool = True,
    negatives: str = "cross",
    w_t: float = 0.1,
    w_aw: float = 0.02,
    w_m: float = 0.1,
) -> SumL:
    """The method of the paper. Table 5 switches L_aw and L_m off with their weights at 0.

    Args:
        temperature: tau of Eq. 9 and 11.
        sigma: temperature of the semantic weights (Eq. 10).
        threshold: similarity that a pseudo-pair exceeds to be aligned.
        weighted: L_aw (Eq. 8) when true, L_a (Eq. 7) otherwise.
        negatives: `cross`, or `cross+intra` to add those of the clip's own view.
        w_t: weight of the TPV classification loss.
        w_aw: weight of the cross-view alignment (Eq. 7 or 8).
        w_m: weight of the video-text alignment (Eq. 11).

    Raises:
        ValueError: an impossible value, one line each.
    """
    return SumL(temperature, sigma, threshold, weighted, negatives, w_t, w_aw, w_m)
