"""Test-time views: windows spread over a clip, crops spread over the frame, one decode for all."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sumlctl.errors import SumlError
from sumlctl.learning import transforms
from sumlctl.learning.batches import Batch, padded
from sumlctl.learning.clips import Clip
from sumlctl.learning.in_turn import One, batched, in_turn
from sumlctl.learning.reader import Reader
from sumlctl.learning.reading import Failure, Window


@dataclass(frozen=True)
class Views:
    """How many views a clip is seen through.

    Args:
        temporal: windows from the clip's begin to its end; a single one is central.
        spatial: crops along the longer side; a single one is central.
    """

    temporal: int
    spatial: int

    @classmethod
    def parse(cls, text: str) -> Views:
        """Reads `10x3`: temporal times spatial views.

        Raises:
            SumlError: another form, or none of one kind.
        """
        match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text.strip())
        if match is None:
            raise SumlError(
                "--views",
                "not a number of views",
                got=repr(text),
                expected="TEMPORALxSPATIAL such as 10x3",
                fix="Correct the option.",
            )
        return cls(int(match[1]), int(match[2]))

    @property
    def count(self) -> int:
        """Views per clip."""
        return self.temporal * self.spatial

    def times(self, clip: Clip, frames: int, stride: int) -> np.ndarray:
        """Times of every window of a clip: [temporal, frames] in seconds."""
        return np.stack([clip.window(frames, stride, p) for p in _positions(self.temporal)])

    def crops(self, clips: Tensor, sizes: np.ndarray, size: int) -> Iterator[Tensor]:
        """The encoder's input for each spatial view in turn: float32 [B, 3, T, size, size].

        Frames are scaled once, as wholes, to a short side of `size`; the views are squares of
        that, left, centre and right or top, centre and bottom (PySlowFast's `uniform_crop`).

        Args:
            clips: uint8 windows [B, T, H, W, 3], padded right and below where smaller.
            sizes: height and width of each in pixels [B, 2].
            size: side of the crops in pixels.
        """
        alike, group = np.unique(sizes, axis=0, return_inverse=True)
        members = [np.flatnonzero(group.reshape(-1) == i) for i in range(len(alike))]
        scaled = [
            transforms.whole(clips[torch.from_numpy(places)][:, :, :height, :width], size)
            if len(alike) > 1
            else transforms.whole(clips[:, :, :height, :width], size)
            for places, (height, width) in zip(members, alike, strict=True)
        ]
        for position in _positions(self.spatial):
            cut = [_square(frames, size, position) for frames in scaled]
            if len(cut) == 1:
                yield cut[0]
            else:
                yield torch.cat(cut)[torch.from_numpy(np.argsort(np.concatenate(members)))]


def _square(frames: Tensor, size: int, position: float) -> Tensor:
    top, left = (math.ceil(position * (side - size)) for side in frames.shape[3:])
    return frames[..., top : top + size, left : left + size]


def _positions(count: int) -> np.ndarray:
    return np.linspace(0, 1, count) if count > 1 else np.array([0.5])


class ClipViews:
    """All windows of each clip, from one decoding of the frames that any of them needs.

    Args:
        clips: the clips.
        views: how many windows.
        frames: frames per window.
        stride: video frames from one frame of the window to the next.
        short_side: of the crops, in pixels.
    """

    def __init__(
        self, clips: Sequence[Clip], views: Views, frames: int, stride: int, short_side: int
    ) -> None:
        self.clips, self.views = clips, views
        self.frames, self.stride, self.short_side = frames, stride, short_side

    def batches(self, reader: Reader, size: int) -> Iterator[Batch]:
        """Batches of so many clips, read ahead; see `collate`."""
        wanted = (self._views(index) for index in range(len(self.clips)))
        read = (views.result for views in in_turn(reader, wanted, 2 * size))
        return reader.ahead(collate(items) for items in batched(read, size))

    def _views(self, index: int) -> One[Batch]:
        """index, and clips uint8 [temporal, T, H, W, 3]."""
        clip = self.clips[index]
        times_s = self.views.times(clip, self.frames, self.stride)
        needed, places = np.unique(times_s, return_inverse=True)
        places = places.reshape(times_s.shape)
        window = Window(clip, needed, self.short_side)
        return One(window, lambda pixels: {"index": index, "clips": pixels[places]})


def collate(items: Sequence[Batch | Failure]) -> Batch:
    """Joins the windows of clips that could be decoded.

    Returns:
        index: int [n], the clips; clips: uint8 [n * temporal, T, H, W, 3]; sizes: of the windows;
        failed: what could not be decoded. Without any clip, `failed` alone.
    """
    failed = [item for item in items if isinstance(item, Failure)]
    seen = [item for item in items if not isinstance(item, Failure)]
    if not seen:
        return {"failed": failed}
    windows = [window for item in seen for window in item["clips"]]
    clips, sizes = padded(windows)
    index = torch.tensor([item["index"] for item in seen])
    return {"index": index, "clips": clips, "sizes": sizes, "failed": failed}
