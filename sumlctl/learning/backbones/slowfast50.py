"""SlowFast-R50 8x8 (arXiv:1812.03982)."""

from __future__ import annotations

from sumlctl.learning.backbones.slowfast import SlowFast


def build(checkpointing: bool = False) -> SlowFast:
    """SlowFast with two ResNet-50 and fusion over 7 frames, as PySlowFast's weights have it.

    Args:
        checkpointing: spend time to save memory in training.
    """
    return SlowFast(depth=50, fusion_kernel=7, checkpointing=checkpointing)
