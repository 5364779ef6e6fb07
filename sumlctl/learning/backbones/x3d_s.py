"""X3D-S of pytorchvideo (arXiv:2004.04730)."""

from __future__ import annotations

from torch import Tensor, nn

from sumlctl.learning.backbones.backbone import Backbone
from sumlctl.learning.backbones.residual import blocks_of, quiet_import, units


class X3DS(Backbone):
    """pytorchvideo's X3D-S without its classifier, so that weights keep their names.

    Features are the maps projected to 432 channels, averaged and projected to 2048.

    Args:
        checkpointing: as for every `Backbone`.
    """

    feature_dim = 2048
    published_frames = 13
    averages_maps = False

    def __init__(self, checkpointing: bool) -> None:
        super().__init__(checkpointing)
        with quiet_import():
            from pytorchvideo.models.x3d import create_x3d

        # pytorchvideo's own x * sigmoid(x) depends on a deprecated part of torch.
        net = create_x3d(input_clip_length=13, input_crop_size=160, inner_act=nn.SiLU)
        self.blocks = blocks_of(net)
        pool = self.blocks[-1].pool
        # The same at 13 x 160 x 160, where pytorchvideo's average spans just the whole map.
        pool.pool = nn.AdaptiveAvgPool3d(1)
        self.blocks[-1] = nn.ModuleDict({"pool": pool})

    def feature_maps(self, clips: Tensor) -> tuple[Tensor]:
        """The last stage's output, ([B, 192, T, ceil(H / 32), ceil(W / 32)],)."""
        return (self.run_through(units(*self.blocks[:-1]), clips),)

    def pooled(self, maps: tuple[Tensor, ...]) -> Tensor:
        """Features [B, 2048], at least 0, of the maps."""
        return self.run(self.blocks[-1]["pool"], *maps).flatten(1)


def build(checkpointing: bool = False) -> X3DS:
    """X3D-S, made for 13 frames with stride 6 and crops of 160 pixels; other sizes work too.

    Args:
        checkpointing: spend time to save memory in training.
    """
    return X3DS(checkpointing)
