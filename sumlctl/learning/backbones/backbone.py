"""What every video backbone is: clips in, one row of features per clip out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

# PyTorch 2.7 and 2.8 take each batch into BatchNorm's running statistics twice where a checkpointed
# block is compiled (seen with aot_eager; right from 2.9 on). There these blocks are not compiled.
_COMPILED_COUNTS_TWICE = torch.__version__ < "2.9"


class Backbone(nn.Module, ABC):
    """A video encoder in two halves: feature maps, and what pools them to features.

    Args:
        checkpointing: whether training stores only the inputs of blocks and computes the rest
            again for the gradients (arXiv:1604.06174): less memory, more time, the same results.
    """

    # Length of a row of features.
    feature_dim: int
    # Whether features are the means of the maps, one after the other. A linear head over features
    # is then one over every place of the maps, and class activation maps are exact; otherwise they
    # have to come from gradients.
    averages_maps: ClassVar[bool] = True
    # Frames per clip of the published model; fewer work, but are another model.
    published_frames: ClassVar[int] = 1

    def __init__(self, checkpointing: bool) -> None:
        super().__init__()
        self.checkpointing = checkpointing

    @abstractmethod
    def feature_maps(self, clips: Tensor) -> tuple[Tensor, ...]:
        """What is pooled.

        Args:
            clips: normalised RGB [B, 3, T, H, W].

        Returns:
            One map per pathway, [B, D_i, T_i, H_i, W_i].
        """

    def pooled(self, maps: tuple[Tensor, ...]) -> Tensor:
        """Features [B, D] of the maps that `feature_maps` gives."""
        return torch.cat([each.mean(dim=(2, 3, 4)) for each in maps], dim=1)

    def forward(self, clips: Tensor) -> Tensor:
        """Features [B, D] of normalised RGB clips [B, 3, T, H, W]."""
        return self.pooled(self.feature_maps(clips))

    def run(self, block: nn.Module, *inputs: Any) -> Any:
        """What the block makes of its inputs, checkpointed where that is on and of use.

        Args:
            block: a module that leaves its inputs as they are.
        """
        if not (self.checkpointing and self.training and torch.is_grad_enabled()):
            return block(*inputs)
        if torch.compiler.is_compiling() and not _COMPILED_COUNTS_TWICE:
            # The compiler takes no context, and updates statistics once by itself.
            return checkpoint(block, *inputs, use_reentrant=False)
        return _uncompiled(block, *inputs)

    def run_through(self, blocks: Iterable[nn.Module], maps: Tensor) -> Tensor:
        """The maps after one block after the other."""
        for block in blocks:
            maps = self.run(block, maps)
        return maps


@torch.compiler.disable
def _uncompiled(block: nn.Module, *inputs: Any) -> Any:
    contexts = partial(_contexts, block)
    return checkpoint(block, *inputs, use_reentrant=False, context_fn=contexts)


class _SpareBuffers:
    """Lends copies of its buffers to a block, and throws them away afterwards.

    BatchNorm would otherwise take the batch of a second computation into its running statistics.
    Its `track_running_stats` is no way around that: without statistics it stores fewer tensors
    for the gradients than the first computation did, and these no longer match.
    """

    def __init__(self, block: nn.Module) -> None:
        self._block = block
        self._own: list[tuple[nn.Module, str, Tensor]] = []

    def __enter__(self) -> None:
        self._own = [
            (module, name, buffer)
            for module in self._block.modules()
            for name, buffer in module.named_buffers(recurse=False)
        ]
        for module, name, buffer in self._own:
            setattr(module, name, buffer.clone())

    def __exit__(self, *_: object) -> None:
        for module, name, buffer in self._own:
            setattr(module, name, buffer)


def _contexts(
    block: nn.Module,
) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Contexts of a block's first and second computation."""
    return nullcontext(), _SpareBuffers(block)
