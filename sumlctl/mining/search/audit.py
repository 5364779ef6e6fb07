"""How sure a share is that was counted in a sample."""

from __future__ import annotations

import math

import numpy as np

CONFIDENCE = 0.95


def at_least(right: int, of: int, confidence: float = CONFIDENCE) -> float:
    """Lower bound of a share, one-sided (Clopper and Pearson, Biometrika 26, 1934).

    The share at which as many right ones or more would be seen with probability 1 - confidence.

    Args:
        right: how many of the sample have it.
        of: size of the sample, drawn at random, at least 1.
        confidence: with which the share is at least the bound.
    """
    if right == 0:
        return 0.0
    counts = np.arange(right, of + 1)
    logs = [math.lgamma(of + 1) - math.lgamma(i + 1) - math.lgamma(of - i + 1) for i in counts]
    choose = np.array(logs)
    low, high = 0.0, 1.0
    while high - low > 1e-9:
        share = (low + high) / 2
        tail = np.exp(choose + counts * math.log(share) + (of - counts) * math.log1p(-share)).sum()
        low, high = (share, high) if tail <= 1 - confidence else (low, share)
    return low


def smallest(needed: np.ndarray, share: float) -> int:
    """The least effort that is enough for a share of all cases, as far as a sample can tell.

    Args:
        needed: the effort that each case of the sample needs [n].
        share: to be reached by the lower bound; all of the sample where it is too small for that.
    """
    efforts, counts = np.unique(needed, return_counts=True)
    enough = counts.cumsum()
    for effort, right in zip(efforts, enough, strict=True):
        if at_least(int(right), len(needed)) >= share:
            return int(effort)
    return int(efforts[-1])
