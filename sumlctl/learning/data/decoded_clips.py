"""Whole decoded clips, kept while there is room."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sumlctl.learning.data.clips import Clip
    from sumlctl.learning.data.requests import Window


@dataclass
class ClipCache:
    """Clips, and how long their frames are on screen.

    Args:
        size: bytes for all of them.
        largest: bytes for each.
        held: bytes in use.
        reserved: bytes for clips that are on their way.
    """

    size: int
    largest: int
    held: int = 0
    reserved: int = 0
    _clips: dict[tuple[Clip, int], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def reserve(self, window: Window) -> bool:
        """Sets room aside for a window's clip, if it is to be kept and there is as much left."""
        if not window.keep:
            return False
        needed = _bytes(window)
        if needed > min(self.largest, self.size - self.held - self.reserved):
            return False
        self.reserved += needed
        return True

    def release(self, window: Window) -> None:
        """Gives up the room that was set aside."""
        self.reserved -= _bytes(window)

    def put(self, window: Window, pixels: np.ndarray, until_s: np.ndarray) -> None:
        """Keeps a window's clip: its frames, uint8 [T, H, W, 3], and when each goes [T]."""
        place = window.clip, window.short_side
        if place not in self._clips:
            self._clips[place] = pixels, until_s
            self.held += pixels.nbytes

    def window(self, window: Window) -> np.ndarray | None:
        """The window's frames, uint8 [T, H, W, 3]; None where its clip is not kept."""
        kept = self._clips.get((window.clip, window.short_side))
        if kept is None:
            return None
        pixels, until_s = kept
        places = np.searchsorted(until_s, window.times_s, side="right")
        return pixels[places.clip(max=len(pixels) - 1)]


def _bytes(window: Window) -> int:
    """Of the whole clip; width is not known before decoding, 16:9 is as wide as usual."""
    return len(window.clip.every_frame()) * 3 * window.short_side**2 * 16 // 9
