"""What the backbones made of pytorchvideo's residual stages have in common."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn


@contextmanager
def quiet_import() -> Iterator[None]:
    """Imports of pytorchvideo without the warning on an activation that it compiles."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def blocks_of(net: nn.Module) -> Any:
    """The blocks of a network of pytorchvideo, fit for `torch.compile`.

    It computes strides of shortcuts with NumPy, whose numbers the compiler takes for tensors.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv3d):
            module.stride = tuple(map(int, module.stride))
    return net.blocks


def units(*stages: nn.Module) -> list[nn.Module]:
    """The residual blocks of stages in order; a stem, which has none, is one unit."""
    return [unit for stage in stages for unit in getattr(stage, "res_blocks", [stage])]
