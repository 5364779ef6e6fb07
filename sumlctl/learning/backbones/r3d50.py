"""R3D-50: the Slow-only ResNet-50 of pytorchvideo (8x8 in the paper's Table 1)."""

from __future__ import annotations

import warnings

from torch import Tensor, nn


class R3D50(nn.Module):
    """pytorchvideo's ResNet-50 without its head, so that weights keep their names."""

    feature_dim = 2048

    def __init__(self) -> None:
        super().__init__()
        with warnings.catch_warnings():
            # pytorchvideo compiles an activation that this model does not use.
            warnings.simplefilter("ignore", FutureWarning)
            from pytorchvideo.models.resnet import create_resnet

        net = create_resnet(stem_conv_kernel_size=(1, 7, 7), head=lambda **_: nn.Identity())
        self.blocks = net.blocks

    def feature_maps(self, clips: Tensor) -> Tensor:
        """Features before pooling.

        Args:
            clips: normalised RGB [B, 3, T, H, W].

        Returns:
            [B, 2048, T, ceil(H / 32), ceil(W / 32)].
        """
        for block in self.blocks:
            clips = block(clips)
        return clips

    def forward(self, clips: Tensor) -> Tensor:
        """Pooled features [B, 2048] of clips [B, 3, T, H, W]."""
        return self.feature_maps(clips).mean(dim=(2, 3, 4))


def build() -> R3D50:
    """The ResNet-50 whose temporal kernels sit in its last two stages."""
    return R3D50()
