"""Test-time views: windows spread over a clip, crops spread over the frame, one decode for all."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from sumlctl.errors import SumlError
from sumlctl.learning.data import transforms
from sumlctl.learning.data.batches import Batch
from sumlctl.learning.data.clips import Clip
from sumlctl.learning.data.ordered_reads import SingleWindow, batched, read_in_order
from sumlctl.learning.data.reader import Reader
from sumlctl.learning.data.requests import Failure, Window


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

    def crops(
        self, frames: Sequence[Tensor], places: Sequence[Tensor], size: int, at_once: int
    ) -> Iterator[Tensor]:
        """The encoder's input for every view of some clips, clip by clip and window by window.

        Frames are scaled once, as wholes, to a short side of `size`; the views are squares of
        that, left, centre and right or top, centre and bottom (PySlowFast's `uniform_crop`).

        Args:
            frames: of each clip, uint8 [U, H, W, 3].
            places: among those, of the frames of each of its windows, int64 [temporal, T].
            size: side of the crops in pixels.
            at_once: views per batch, B; all views at once may not fit the device.

        Yields:
            float32 [B, 3, T, size, size], normalised.
        """
        squares = self._squares([transforms.scaled(one, size) for one in frames], places)
        while cut := list(islice(squares, at_once)):
            pixels = torch.empty(len(cut), *cut[0].shape, device=cut[0].device)
            for view, square in zip(pixels, cut, strict=True):
                view.copy_(square)
            yield transforms.normalised(pixels)

    def _squares(self, frames: Sequence[Tensor], places: Sequence[Tensor]) -> Iterator[Tensor]:
        """Each view's own pixels: uint8 [T, size, size, 3]."""
        for scaled, windows in zip(frames, places, strict=True):
            size = min(scaled.shape[1:3])
            for window in windows:
                seen = scaled.index_select(0, window)
                for position in _positions(self.spatial):
                    top, left = (math.ceil(position * (side - size)) for side in seen.shape[1:3])
                    yield seen[:, top : top + size, left : left + size]


def _positions(count: int) -> np.ndarray:
    return np.linspace(0, 1, count) if count > 1 else np.array([0.5])


class ClipViews:
    """The frames of each clip that any of its windows needs, each decoded once.

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
        read = (views.result for views in read_in_order(reader, wanted, 2 * size))
        return reader.ahead(collate(items) for items in batched(read, size))

    def _views(self, index: int) -> SingleWindow[Batch]:
        """index, frames and places as `Views.crops` takes them."""
        clip = self.clips[index]
        times_s = self.views.times(clip, self.frames, self.stride)
        needed, places = np.unique(times_s, return_inverse=True)
        where = torch.tensor(places.reshape(times_s.shape))

        def make(pixels: np.ndarray) -> Batch:
            return {"index": index, "frames": torch.from_numpy(pixels.copy()), "places": where}

        return SingleWindow(Window(clip, needed, self.short_side), make)


def collate(items: Sequence[Batch | Failure]) -> Batch:
    """Joins clips that could be decoded; their frames differ in number and size.

    Returns:
        index: int [n], the clips; frames and places: lists of n, as `Views.crops` takes them;
        failed: what could not be decoded. Without any clip, `failed` alone.
    """
    failed = [item for item in items if isinstance(item, Failure)]
    seen = [item for item in items if not isinstance(item, Failure)]
    if not seen:
        return {"failed": failed}
    lists = {key: [item[key] for item in seen] for key in ("index", "frames", "places")}
    return {**lists, "index": torch.tensor(lists["index"]), "failed": failed}
