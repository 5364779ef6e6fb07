"""Whole frames for the encoder: a clip's central window, nothing cut off at the sides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sumlctl.config.sections import Input
from sumlctl.learning.data import requests
from sumlctl.learning.data.clips import Clip
from sumlctl.learning.data.ordered_reads import SingleWindow, batched, read_in_order
from sumlctl.learning.data.reader import Reader
from sumlctl.learning.data.requests import Failure
from sumlctl.learning.data.transforms import normalised, scaled, view_boxes

_DRAWN = 224  # pixels of the short side that pictures are kept with, at least


class FrameWindow(NamedTuple):
    """Frames of one clip: uint8 [T, H, W, 3] and their times in seconds [T]."""

    pixels: np.ndarray
    times_s: np.ndarray


class WholeFrames:
    """The central window of each clip.

    Args:
        clips: the clips; None where there is none.
        settings: the run's input.
        square: whether to keep the central square alone, for encoders of one input size.
    """

    def __init__(self, clips: Sequence[Clip | None], settings: Input, square: bool) -> None:
        self.clips, self.settings, self.square = clips, settings, square

    def batches(self, reader: Reader, size: int) -> Iterator[list[FrameWindow | Failure | None]]:
        """Windows, in a size fit for pictures, or why there is none; None without a clip."""
        wanted = (self._wanted(clip) for clip in self.clips if clip is not None)
        read = read_in_order(reader, wanted, 2 * size)
        each = (None if clip is None else next(read).result for clip in self.clips)
        return reader.ahead(batched(each, size))

    def _wanted(self, clip: Clip) -> SingleWindow[FrameWindow]:
        settings = self.settings
        times_s = clip.window(settings.frames, settings.stride, 0.5)
        window = requests.Window(clip, times_s, max(settings.crop, _DRAWN))
        return SingleWindow(window, lambda pixels: FrameWindow(self._cut(pixels).copy(), times_s))

    def _cut(self, pixels: np.ndarray) -> np.ndarray:
        if not self.square:
            return pixels
        ((left, top, side),) = view_boxes(np.array([pixels.shape[1:3]]), 0.5)
        return pixels[:, top : top + side, left : left + side]


def encoder_inputs(
    windows: Sequence[FrameWindow], short_side: int
) -> Iterator[tuple[list[int], Tensor]]:
    """The encoder's input, as large as whole frames become at the run's scale.

    Convolutions take frames of any size; windows of one size make a batch.

    Args:
        windows: of any sizes.
        short_side: of the input in pixels, the side of the run's crops.

    Yields:
        Places of windows, and float32 [B, 3, T, H, W], normalised, channels last in memory.
    """
    groups: dict[tuple[int, ...], list[int]] = {}
    for place, window in enumerate(windows):
        groups.setdefault(window.pixels.shape, []).append(place)
    for places in groups.values():
        pixels = torch.from_numpy(np.stack([windows[place].pixels for place in places]))
        clips = normalised(scaled(pixels, short_side).float())
        yield places, clips.contiguous(memory_format=torch.channels_last_3d)
