"""SlowFast networks of pytorchvideo (arXiv:1812.03982), 8x8: what those of each depth share."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from sumlctl.learning.backbones.backbone import Backbone
from sumlctl.learning.backbones.residual import blocks_of, quiet_import, units

ALPHA = 4  # frames of the fast pathway for one of the slow pathway


class SlowFast(Backbone):
    """pytorchvideo's SlowFast without its head, so that weights keep their names.

    The fast pathway has an eighth of the slow one's channels. Features are the slow pathway's
    2048, then the fast pathway's 256.

    Args:
        depth: layers of each ResNet, 50 or 101.
        fusion_kernel: frames that the convolutions from the fast to the slow pathway span.
        checkpointing: as for every `Backbone`.
    """

    feature_dim = 2048 + 256
    published_frames = 32

    def __init__(self, depth: int, fusion_kernel: int, checkpointing: bool) -> None:
        super().__init__(checkpointing)
        with quiet_import():
            from pytorchvideo.models.slowfast import create_slowfast

        net = create_slowfast(
            model_depth=depth,
            slowfast_channel_reduction_ratio=(8,),
            slowfast_fusion_conv_kernel_size=(fusion_kernel, 1, 1),
            slowfast_fusion_conv_stride=(ALPHA, 1, 1),
            head=None,
        )
        # What is left out joins the pathways for the head and has no weights.
        self.blocks = blocks_of(net)[:-1]

    def feature_maps(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """The last stage's output of both pathways.

        Args:
            clips: normalised RGB [B, 3, T, H, W], all frames of the fast pathway; the slow one's
                are taken from them.

        Returns:
            Slow [B, 2048, T / 4, ceil(H / 32), ceil(W / 32)] and fast [B, 256, T, ...].

        Raises:
            ValueError: T is not a multiple of four.
        """
        chosen = _slow_frames_on(clips.device, clips.shape[2])
        pathways = [clips.index_select(2, chosen), clips]
        for stage in self.blocks:
            pathways = [
                self.run_through(units(pathway), maps)
                for pathway, maps in zip(stage.multipathway_blocks, pathways, strict=True)
            ]
            pathways = self.run(stage.multipathway_fusion, pathways)
        slow, fast = pathways
        return slow, fast


@lru_cache(maxsize=64)
def _slow_frames_on(device: torch.device, frames: int) -> Tensor:
    """Kept on the device: copying them anew would make every step wait for it."""
    with torch.inference_mode(False):
        return slow_frames(frames).to(device)


def slow_frames(frames: int) -> Tensor:
    """Which of a clip's frames the slow pathway sees: as PySlowFast packs them.

    They are evenly spread from the first to the last and cut to whole numbers, so they are not
    every fourth frame.

    Args:
        frames: of the clip, T.

    Returns:
        Indices [T / 4].

    Raises:
        ValueError: T is not a multiple of four: the strided convolutions from the fast pathway
            give ceil(T / 4) frames, which have to be as many.
    """
    if frames % ALPHA or not frames:
        fitting = max(frames - frames % ALPHA, ALPHA)
        raise ValueError(
            f"SlowFast cannot see {frames} frames, only multiples of {ALPHA}; "
            f"set input.frames = {fitting}"
        )
    return torch.linspace(0, frames - 1, frames // ALPHA).long()
