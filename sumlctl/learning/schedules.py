"""The course of the learning rate (Sec. 4.1.3)."""

from __future__ import annotations

import math

from sumlctl.config import Optimiser


def factor(optimiser: Optimiser, epoch: float, epochs: int) -> float:
    """What the base learning rate is multiplied by.

    Args:
        optimiser: the schedule and its settings.
        epoch: epochs done, with fraction.
        epochs: epochs of the stage.
    """
    warm = min(epoch / optimiser.warmup_epochs, 1.0) if optimiser.warmup_epochs else 1.0
    if optimiser.schedule == "cosine":
        return warm * (1 + math.cos(math.pi * epoch / epochs)) / 2
    if optimiser.schedule == "steps":
        return warm * optimiser.decay ** sum(epoch >= step for step in optimiser.steps)
    return warm
