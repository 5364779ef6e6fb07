"""The optimiser, and the course of the learning rate (Sec. 4.1.3)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from sumlctl.config.sections import Optimiser, Stage

_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)


def build(model: nn.Module, settings: Optimiser) -> torch.optim.Optimizer:
    """The optimiser of all weights that learn; normalisation layers have a decay of their own."""
    norms = {
        id(weight)
        for module in model.modules()
        if isinstance(module, _NORMS)
        for weight in module.parameters(recurse=False)
    }
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [w for w in trained if (id(w) in norms) == is_norm], "weight_decay": decay}
        for is_norm, decay in (
            (False, settings.weight_decay),
            (True, settings.norm_weight_decay),
        )
    ]
    groups = [group for group in groups if group["params"]]
    # The loop sets the rate of every step.
    if settings.name == "adamw":
        return torch.optim.AdamW(groups, lr=0.0, betas=(settings.momentum, 0.999))
    return torch.optim.SGD(groups, lr=0.0, momentum=settings.momentum)


def base_rate(settings: Optimiser, stage: Stage, clips_per_step: int) -> float:
    """The stage's learning rate, scaled with the batch where that is asked for.

    Args:
        settings: `rate_for_batch` is the batch that the rate is meant for, or 0.
        stage: the stage.
        clips_per_step: of all devices, accumulated batches included.
    """
    scale = clips_per_step / settings.rate_for_batch if settings.rate_for_batch else 1.0
    return stage.learning_rate * scale


def factor(settings: Optimiser, epoch: float, epochs: int) -> float:
    """What the base learning rate is multiplied by.

    Args:
        settings: the schedule and its settings.
        epoch: epochs done, with fraction.
        epochs: epochs of the stage.
    """
    warm = min(epoch / settings.warmup_epochs, 1.0) if settings.warmup_epochs else 1.0
    if settings.schedule == "cosine":
        return warm * (1 + math.cos(math.pi * epoch / epochs)) / 2
    if settings.schedule == "steps":
        return warm * settings.decay ** sum(epoch >= step for step in settings.steps)
    return warm
