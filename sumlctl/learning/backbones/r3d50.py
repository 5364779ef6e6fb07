"""R3D-50: the Slow-only ResNet-50 of pytorchvideo (8x8 in the paper's Table 1)."""

from __future__ import annotations

from torch import Tensor

from sumlctl.learning.backbones.backbone import Backbone
from sumlctl.learning.backbones.residual import blocks_of, quiet_import, units


class R3D50(Backbone):
    """pytorchvideo's ResNet-50 without its head, so that weights keep their names.

    Args:
        checkpointing: as for every `Backbone`.
    """

    feature_dim = 2048
    published_frames = 8

    def __init__(self, checkpointing: bool) -> None:
        super().__init__(checkpointing)
        with quiet_import():
            from pytorchvideo.models.resnet import create_resnet

        self.blocks = blocks_of(create_resnet(stem_conv_kernel_size=(1, 7, 7), head=None))

    def feature_maps(self, clips: Tensor) -> tuple[Tensor]:
        """The last stage's output, ([B, 2048, T, ceil(H / 32), ceil(W / 32)],)."""
        return (self.run_through(units(*self.blocks), clips),)


def build(checkpointing: bool = False) -> R3D50:
    """The ResNet-50 whose temporal kernels sit in its last two stages.

    Args:
        checkpointing: spend time to save memory in training.
    """
    return R3D50(checkpointing)
