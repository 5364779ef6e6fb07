"""Options of `mine-pairs`, for the command line and pipelines alike."""

from __future__ import annotations

from dataclasses import dataclass, field

from sumlctl.config.parsing import limits

ASSIGNMENTS = ("first", "spread")
KEEP_ALL = -1.0  # a cosine that no pair is below


@dataclass(frozen=True)
class MiningOptions:
    """How pairs are chosen, apart from which clips take part.

    Args:
        top_k: narrations per first-person clip.
        min_similarity: pairs below are dropped; -1 keeps all.
        assign: which clip stands for a narration that several clips have: always the `first`, or
            all of them in turn (`spread`).
        index: `exact`, or `ivf` for most of the partners sooner.
        recall: fraction of the narrations whose partners `ivf` is to find.
        seed: of `spread` and `ivf`; apart from the run's, so that all seeds of a sweep see the
            same pairs.
    """

    top_k: int = field(default=1, metadata=limits(at_least=1))
    min_similarity: float = field(default=KEEP_ALL, metadata=limits(at_least=-1, at_most=1))
    assign: str = field(default="spread", metadata=limits(choices=ASSIGNMENTS))
    index: str = field(default="exact", metadata=limits(choices=("exact", "ivf")))
    recall: float = field(default=0.99, metadata=limits(above=0, at_most=0.9999))
    seed: int = field(default=0, metadata=limits(at_least=0))
