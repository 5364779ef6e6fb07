"""From decoded clips to the encoder's input, on its device and a whole batch at a time.

Clips of one batch differ in size, so each is cut and scaled by its own box with torchvision, and
the batch is normalised as one. Boxes are drawn on the host: nothing waits for the device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from sumlctl.config.sections import Input
from sumlctl.learning.training.randomness import generator

MEAN, STD = 0.45, 0.225


class Box(NamedTuple):
    """A square in a clip's own pixels."""

    left: int
    top: int
    side: int


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
            flips = rng.random(len(sizes)) < 0.5 if self.settings.flip else np.zeros(len(sizes))
            cut[viewpoint] = crops(clips, boxes, self.settings.crop, flips)
        return cut


def random_boxes(
    sizes: np.ndarray, short_side: tuple[int, int], crop: int, rng: np.random.Generator
) -> list[Box]:
    """Square crops after a random resize: the short side falls in a range, then `crop` is cut.

    Args:
        sizes: height and width of each clip in pixels [B, 2].
        short_side: smallest and largest short side after the resize, both included.
        crop: side of the crop, at most the smallest short side.
        rng: where chance comes from.

    Returns:
        The part of each clip that becomes the crop.
    """
    shorts = rng.integers(short_side[0], short_side[1] + 1, len(sizes))
    side = np.rint(sizes.min(axis=1) * crop / shorts).astype(int).clip(min=1)
    room = sizes - side[:, None] + 1
    top, left = (rng.random(sizes.shape) * room).astype(int).T
    return [Box(*box) for box in zip(left.tolist(), top.tolist(), side.tolist(), strict=True)]


def view_boxes(sizes: np.ndarray, position: float) -> list[Box]:
    """Square crops as high as the short side, placed along the long one.

    Args:
        sizes: height and width of each clip in pixels [B, 2].
        position: 0 for the left or top end, 1 for the other.
    """
    side = sizes.min(axis=1)
    top, left = np.ceil(position * (sizes - side[:, None])).astype(int).T
    return [Box(*box) for box in zip(left.tolist(), top.tolist(), side.tolist(), strict=True)]


def crops(
    clips: Tensor, boxes: Sequence[Box], size: int, flips: np.ndarray | None = None
) -> Tensor:
    """Cuts one square per clip, scales it (bilinear, antialiased), normalises it.

    Args:
        clips: uint8 RGB [B, T, H, W, 3]; clips smaller than H x W are padded right and below.
        boxes: the squares, inside each clip's own height and width.
        size: side of the result in pixels.
        flips: which clips to mirror [B]; None for none.

    Returns:
        float32 [B, 3, T, size, size], channels last in memory.
    """
    count, frames = clips.shape[:2]
    cut = torch.empty(count, frames, size, size, 3, device=clips.device)
    for i, (left, top, side) in enumerate(boxes):
        images = clips[i].permute(0, 3, 1, 2)
        images = functional.resized_crop(images, top, left, side, side, [size, size])
        if flips is not None and flips[i]:
            images = functional.horizontal_flip(images)
        cut[i] = images.permute(0, 2, 3, 1)
    return normalised(cut)


def scaled(frames: Tensor, short_side: int) -> Tensor:
    """Scales whole frames (bilinear, antialiased).

    Args:
        frames: uint8 RGB [..., H, W, 3].
        short_side: of the result in pixels.

    Returns:
        uint8 [..., H', W', 3].
    """
    images = functional.resize(frames.movedim(-1, -3), [short_side], antialias=True)
    return images.movedim(-3, -1)


def normalised(pixels: Tensor) -> Tensor:
    """The encoder's [B, 3, T, H, W], channels last in memory.

    Args:
        pixels: values from 0 to 255, float32 [B, T, H, W, 3]; they are changed.
    """
    return pixels.sub_(MEAN * 255).div_(STD * 255).permute(0, 4, 1, 2, 3)
