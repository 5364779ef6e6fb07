"""Decoded windows of clips, and a cache of short clips."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sumlctl.learning.clips import Clip

# Timestamps of containers are rounded, to milliseconds at worst.
_TICK_S = 0.001


def decode(clip: Clip, times_s: np.ndarray, short_side: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames of a clip, scaled down until the short side is at most `short_side` pixels.

    Args:
        clip: the clip.
        times_s: ascending times inside it, seconds.
        short_side: pixels.

    Returns:
        uint8 [T, H, W, 3], and the frames' own times [T].

    Raises:
        SumlError: the video cannot be decoded there.
    """
    frames = clip.read(times_s.tolist(), short_side=short_side)
    return np.ascontiguousarray(frames.pixels), frames.times_s


@dataclass
class ClipReader:
    """Decodes windows of clips and keeps whole short clips while there is room.

    Args:
        short_side: largest short side in pixels.
        room: bytes for decoded clips, in each process that reads.
    """

    short_side: int
    room: int
    _kept: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def window(self, clip: Clip, times_s: np.ndarray) -> np.ndarray:
        """Frames of a clip on screen at given times: uint8 [T, H, W, 3].

        Raises:
            SumlError: the video cannot be decoded there.
        """
        if clip.clip_id not in self._kept and not self._keep(clip):
            return decode(clip, times_s, self.short_side)[0]
        pixels, stamps = self._kept[clip.clip_id]
        places = np.searchsorted(stamps, times_s + _TICK_S, side="right") - 1
        return pixels[places.clip(min=0)]

    def _keep(self, clip: Clip) -> bool:
        times_s = clip.every_frame()
        # Width is not known before decoding; 16:9 is as wide as videos usually are.
        if len(times_s) * 3 * self.short_side**2 * 16 // 9 > self.room:
            return False
        pixels, stamps = decode(clip, times_s, self.short_side)
        self._kept[clip.clip_id] = pixels, stamps
        self.room -= pixels.nbytes
        return True
