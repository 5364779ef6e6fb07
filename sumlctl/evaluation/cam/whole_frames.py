"""Whole frames for the encoder: a clip's central window, nothing cut off at the sides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sumlctl.errors import SumlError
from sumlctl.learning.batches import Failure
from sumlctl.learning.clips import Clip
from sumlctl.learning.reading import decode
from sumlctl.learning.transforms import normalised, scaled, view_boxes
from sumlctl.sections import Input

_DRAWN = 224  # pixels of the short side that pictures are kept with, at least


class Window(NamedTuple):
    """Frames of one clip: uint8 [T, H, W, 3] and their times in seconds [T]."""

    pixels: np.ndarray
    times_s: np.ndarray


class WholeFrames(Dataset[Window | Failure | None]):
    """The central window of each clip.

    Args:
        clips: the clips; None where there is none.
        settings: the run's input.
        square: whether to keep the central square alone, for encoders of one input size.
    """

    def __init__(self, clips: Sequence[Clip | None], settings: Input, square: bool) -> None:
        self.clips, self.settings, self.square = clips, settings, square

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> Window | Failure | None:
        """The window, in a size fit for pictures, or why there is none; None without a clip."""
        clip, settings = self.clips[index], self.settings
        if clip is None:
            return None
        times_s = clip.window(settings.frames, settings.stride, 0.5)
        try:
            pixels, _ = decode(clip, times_s, max(settings.crop, _DRAWN))
        except SumlError as error:
            return Failure(clip.clip_id, str(error))
        if self.square:
            ((left, top, side),) = view_boxes(np.array([pixels.shape[1:3]]), 0.5)
            pixels = pixels[:, top : top + side, left : left + side]
        return Window(pixels, times_s)


def encoder_inputs(
    windows: Sequence[Window], short_side: int
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
