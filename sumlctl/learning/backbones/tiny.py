"""A four-layer 3-D CNN, for tests and the demo."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from sumlctl.learning.backbones.backbone import Backbone


class Tiny(Backbone):
    """Four 3x3x3 convolutions that halve the frame, and time from the second on.

    Args:
        width: channels of the first layer; the last has eight times as many.
        checkpointing: as for every `Backbone`.
    """

    def __init__(self, width: int, checkpointing: bool) -> None:
        super().__init__(checkpointing)
        channels = [3, width, 2 * width, 4 * width, 8 * width]
        self.feature_dim = channels[-1]
        self.layers = nn.Sequential(
            *(_layer(a, b, 1 if a == 3 else 2) for a, b in pairwise(channels))
        )

    def feature_maps(self, clips: Tensor) -> tuple[Tensor]:
        """The last layer's output, ([B, D, ceil(T / 8), ceil(H / 16), ceil(W / 16)],)."""
        return (self.run_through(self.layers, clips),)


def _layer(channels: int, features: int, time_stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(channels, features, 3, stride=(time_stride, 2, 2), padding=1, bias=False),
        nn.BatchNorm3d(features),
        nn.ReLU(inplace=True),
    )


def build(width: int = 16, checkpointing: bool = False) -> Tiny:
    """The tiny backbone, with `8 * width` features.

    Args:
        width: channels of the first layer.
        checkpointing: spend time to save memory in training.

    Raises:
        ValueError: a width below 1.
    """
    if width < 1:
        raise ValueError(f"width = {width!r} is not at least 1")
    return Tiny(width, checkpointing)
