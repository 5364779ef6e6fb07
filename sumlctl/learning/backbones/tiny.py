"""A four-layer 3-D CNN, for tests and the demo."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


class Tiny(nn.Module):
    """Four 3x3x3 convolutions that halve the frame, and time from the second on.

    Args:
        width: channels of the first layer; the last has eight times as many.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        channels = [3, width, 2 * width, 4 * width, 8 * width]
        self.feature_dim = channels[-1]
        self.layers = nn.Sequential(
            *(_layer(a, b, 1 if a == 3 else 2) for a, b in pairwise(channels))
        )

    def feature_maps(self, clips: Tensor) -> Tensor:
        """Features before pooling.

        Args:
            clips: normalised RGB [B, 3, T, H, W].

        Returns:
            [B, D, ceil(T / 8), ceil(H / 16), ceil(W / 16)].
        """
        return self.layers(clips)

    def forward(self, clips: Tensor) -> Tensor:
        """Pooled features [B, D] of clips [B, 3, T, H, W]."""
        return self.feature_maps(clips).mean(dim=(2, 3, 4))


def _layer(channels: int, features: int, time_stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(channels, features, 3, stride=(time_stride, 2, 2), padding=1, bias=False),
        nn.BatchNorm3d(features),
        nn.ReLU(inplace=True),
    )


def build(width: int = 16) -> Tiny:
    """The tiny backbone, with `8 * width` features.

    Raises:
        ValueError: a width below 1.
    """
    if width < 1:
        raise ValueError(f"width = {width!r} is not at least 1")
    return Tiny(width)
