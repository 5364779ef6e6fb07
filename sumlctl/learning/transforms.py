"""From decoded clips to the encoder's input, on its device and a whole batch at a time.

One bilinear resampling per clip does the work of resize, crop and flip: clips of one batch differ
in size, and torchvision's transforms take one size and one crop for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sumlctl.config import Input
from sumlctl.learning.randomness import generator

MEAN, STD = 0.45, 0.225


class Augmentation:
    """Short-side jitter, random crop and flip, drawn by (seed, epoch, step, process).

    Args:
        settings: the run's input.
        seed: of the run.
        rank: this process.
    """

    def __init__(self, settings: Input, seed: int, rank: int = 0) -> None:
        self.settings, self.seed, self.rank = settings, seed, rank

    def __call__(
        self, batch: Mapping[str, Any], viewpoints: Sequence[str], epoch: int, step: int
    ) -> dict[str, Tensor]:
        """Encoder input of each viewpoint of a batch: float32 [B, 3, T, crop, crop]."""
        rng = generator(self.seed, epoch, step, self.rank)
        cut = {}
        for viewpoint in viewpoints:
            clips, sizes = batch[viewpoint]["clips"], batch[viewpoint]["sizes"]
            smallest, largest = self.settings.short_side
            boxes = random_boxes(sizes, (smallest, largest), self.settings.crop, rng)
            flips = random_flips(len(sizes), rng, clips.device) if self.settings.flip else None
            cut[viewpoint] = crops(clips, boxes, self.settings.crop, flips)
        return cut


def random_boxes(
    sizes: Tensor, short_side: tuple[int, int], crop: int, rng: np.random.Generator
) -> Tensor:
    """Square crops after a random resize: the short side falls in a range, then `crop` is cut.

    Args:
        sizes: height and width of each clip in pixels [B, 2].
        short_side: smallest and largest short side after the resize, both included.
        crop: side of the crop, at most the smallest short side.
        rng: where chance comes from.

    Returns:
        left, top and side of each crop in the clip's own pixels, float32 [B, 3].
    """
    sides = rng.integers(short_side[0], short_side[1] + 1, len(sizes))
    share, across, down = (
        torch.from_numpy(draw.astype(np.float32)).to(sizes.device, non_blocking=True)
        for draw in (crop / sides, rng.random(len(sizes)), rng.random(len(sizes)))
    )
    height, width = sizes[:, 0].float(), sizes[:, 1].float()
    side = share * torch.minimum(height, width)
    return torch.stack([across * (width - side), down * (height - side), side], dim=1)


def view_boxes(sizes: Tensor, position: float) -> Tensor:
    """Square crops as high as the short side, placed along the long one.

    Args:
        sizes: height and width of each clip in pixels [B, 2].
        position: 0 for the left or top end, 1 for the other.

    Returns:
        left, top and side, as in `random_boxes`.
    """
    height, width = sizes[:, 0].float(), sizes[:, 1].float()
    side = torch.minimum(height, width)
    return torch.stack([position * (width - side), position * (height - side), side], dim=1)


def random_flips(count: int, rng: np.random.Generator, device: torch.device) -> Tensor:
    """Which clips to mirror, each with probability one half: bool [count]."""
    return torch.from_numpy(rng.random(count) < 0.5).to(device, non_blocking=True)


def crops(clips: Tensor, boxes: Tensor, size: int, flips: Tensor | None = None) -> Tensor:
    """Cuts one square per clip, scales it, normalises it.

    Args:
        clips: uint8 RGB [B, T, H, W, 3]; clips smaller than H x W are padded right and below.
        boxes: left, top and side of the squares in pixels [B, 3].
        size: side of the result in pixels.
        flips: which clips to mirror [B]; None for none.

    Returns:
        float32 [B, 3, T, size, size], channels last in memory.
    """
    count, frames, height, width, _ = clips.shape
    centres = (torch.arange(size, device=clips.device) + 0.5) / size
    across = centres.expand(count, size)
    if flips is not None:
        across = torch.where(flips[:, None], 1 - across, across)
    left, top, side = (column[:, None] for column in boxes.unbind(dim=1))
    x = (left + side * across) / width * 2 - 1
    y = (top + side * centres) / height * 2 - 1
    grid = torch.stack(
        [x[:, None, :].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)], dim=3
    )
    images = clips.permute(0, 1, 4, 2, 3).reshape(count, frames * 3, height, width).float()
    cut = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    cut = (cut / 255 - MEAN) / STD
    cut = cut.view(count, frames, 3, size, size).permute(0, 2, 1, 3, 4)
    return cut.contiguous(memory_format=torch.channels_last_3d)
