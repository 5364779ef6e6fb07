"""MViT-B of pytorchvideo, a multiscale vision transformer (arXiv:2104.11227)."""

from __future__ import annotations

import torch
from torch import Tensor

from sumlctl.learning.backbones.backbone import Backbone
from sumlctl.learning.backbones.residual import quiet_import

PATCH = 4  # pixels from one patch to the next
TUBE = 2  # frames from one patch to the next

# Before these blocks tokens get twice the channels and heads on a quarter of the places.
_WIDER = [[1, 2.0], [3, 2.0], [14, 2.0]]
_COARSER = [[1, 1, 2, 2], [3, 1, 2, 2], [14, 1, 2, 2]]


class MViTB(Backbone):
    """pytorchvideo's MViT-B without its head, so that weights keep their names.

    Features are the class token after the last of 16 blocks.

    Args:
        frames: of a clip.
        crop: height and width of a clip in pixels.
        checkpointing: as for every `Backbone`.
    """

    feature_dim = 768
    published_frames = 16
    averages_maps = False

    def __init__(self, frames: int, crop: int, checkpointing: bool) -> None:
        super().__init__(checkpointing)
        with quiet_import():
            from pytorchvideo.models import vision_transformers

        # pytorchvideo reads values of a tensor while it builds, which a device without any lacks.
        with torch.device("cpu"):
            net = vision_transformers.create_multiscale_vision_transformers(
                temporal_size=frames,
                spatial_size=crop,
                embed_dim_mul=_WIDER,
                atten_head_mul=_WIDER,
                pool_q_stride_size=_COARSER,
                pool_kv_stride_adaptive=[1, 8, 8],
                pool_kvq_kernel=[3, 3, 3],
                head=None,
            )
        self.clip_shape = (frames, crop, crop)
        self.patch_embed = net.patch_embed
        self.cls_positional_encoding = net.cls_positional_encoding
        self.blocks = net.blocks
        self.norm_embed = net.norm_embed

    def feature_maps(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens before the last block, where patches still have a say in the class token.

        Args:
            clips: normalised RGB [B, 3, frames, crop, crop].

        Returns:
            Patches [B, 768, frames / 2, ceil(crop / 32), ceil(crop / 32)] and the class token
            [B, 768, 1, 1, 1].

        Raises:
            ValueError: clips have another size than the positional encoding.
        """
        if clips.shape[2:] != self.clip_shape:
            frames, crop, _ = self.clip_shape
            raise ValueError(
                f"this MViT-B cannot see clips of {' x '.join(map(str, clips.shape[2:]))}; "
                f"set input.frames = {frames} and input.crop = {crop}, "
                "or backbone.frames and backbone.crop to what the clips have"
            )
        tokens = self.cls_positional_encoding(self.patch_embed(clips))
        shape = self.cls_positional_encoding.patch_embed_shape
        for block in self.blocks[:-1]:
            tokens, shape = self.run(block, tokens, shape)
        maps = tokens.transpose(1, 2)
        return maps[:, :, 1:].unflatten(2, shape), maps[:, :, :1].unflatten(2, (1, 1, 1))

    def pooled(self, maps: tuple[Tensor, ...]) -> Tensor:
        """Features [B, 768] of patches and class token: the last block and its norm."""
        patches, token = maps
        tokens = torch.cat([each.flatten(2).transpose(1, 2) for each in (token, patches)], dim=1)
        tokens, _ = self.run(self.blocks[-1], tokens, [*patches.shape[2:]])
        return self.norm_embed(tokens)[:, 0]


def build(frames: int = 16, crop: int = 224, checkpointing: bool = False) -> MViTB:
    """MViT-B for clips of one size: 16x4 by default, with 32 frames 32x3.

    Args:
        frames: of a clip; `input.frames`.
        crop: height and width of a clip in pixels; `input.crop`.
        checkpointing: spend time to save memory in training.

    Raises:
        ValueError: sizes that patches of 2 frames x 4 x 4 pixels do not fill.
    """
    for name, value, unit in (("frames", frames, TUBE), ("crop", crop, PATCH)):
        if value < 1 or value % unit:
            raise ValueError(f"{name} = {value!r} is not a positive multiple of {unit}")
    return MViTB(frames, crop, checkpointing)
