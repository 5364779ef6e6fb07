"""Frames of a video that is a folder of JPEG files, one for each frame, numbered from 1.

EPIC-KITCHENS comes so (`frame_0000000001.jpg`), and LEMMA (`img_00001.jpg`). The files have no
times: frame n is on screen from (n - 1) / fps seconds, at the rate they were extracted with.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from sumlctl.errors import SumlError
from sumlctl.video.decoders import DecodeError, Shown, reduced, refuse_outside, slack_s
from sumlctl.video.streams import reason

# What Pillow raises for files that are no pictures, or not whole ones.
_BROKEN = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
_NAME = re.compile(r"(?P<series>(?!\.).*?)(?P<number>\d+)(?P<ending>\.jpe?g)", re.IGNORECASE)


class JpegDecoder:
    """A folder of numbered JPEG files.

    Args:
        path: the folder.
        fps: frames per second that they were extracted with.

    Raises:
        SumlError: there is no rate.
        DecodeError: no numbered JPEG files, several series of them, or the first cannot be read.
    """

    def __init__(self, path: Path, fps: float | None) -> None:
        if not fps or fps <= 0:
            raise SumlError(
                path,
                "a folder of frames has no rate, and `fps` is not under [videos] of its card",
                got=f"{fps} frames per second",
                expected="the rate that they were extracted with",
                fix="Put it there and run `sumlctl index` again.",
            )
        self._path, self.fps = path, fps
        self.start_s, self._slack_s = 0.0, slack_s(1 / fps, 1 / fps)
        try:
            names = [match for file in path.iterdir() if (match := _NAME.fullmatch(file.name))]
        except OSError as error:
            raise DecodeError(path, "cannot be read", reason(error)) from error
        series = Counter((name["series"], name["ending"]) for name in names)
        if len(series) != 1:
            found = " and ".join(f"{n:,} of {s}N{e}" for (s, e), n in series.items()) or "none"
            raise DecodeError(path, "not one series of numbered JPEG files", found)
        [(self._series, self._ending)] = series
        self._digits = min(len(name["number"]) for name in names)
        self._numbers = np.sort([int(name["number"]) for name in names])
        self._begin = min(int(self._numbers[0]), 1)
        self.width, self.height = self._size(int(self._numbers[0]))
        self.nbytes = self._numbers.nbytes

    def __len__(self) -> int:
        """Number of frames from the first to the last, those that are missing included."""
        return int(self._numbers[-1]) - self._begin + 1

    def close(self) -> None:
        """Nothing is held open."""

    def read(self, times_s: Sequence[float], short_side: int | None) -> Shown:
        refuse_outside(self._path, times_s, len(self) / self.fps)
        places = np.floor((np.asarray(times_s) + self._slack_s) * self.fps).astype(np.int64)
        distinct, back = np.unique(places.clip(max=len(self) - 1), return_inverse=True)
        size = reduced(self.width, self.height, short_side)
        pixels = np.stack([self._picture(self._begin + place, size) for place in distinct])
        return Shown(pixels[back], distinct[back] / self.fps, (distinct[back] + 1) / self.fps)

    def missing(self) -> list[int]:
        """Numbers between the first and the last that have no file."""
        return sorted(
            set(range(self._begin, self._begin + len(self))) - set(self._numbers.tolist())
        )

    def _file(self, number: int) -> Path:
        return self._path / f"{self._series}{number:0{self._digits}d}{self._ending}"

    def _size(self, number: int) -> tuple[int, int]:
        file = self._file(number)
        try:
            with Image.open(file) as image:
                return image.size
        except _BROKEN as error:
            raise DecodeError(self._path, f"{file.name} cannot be read", reason(error)) from error

    def _picture(self, number: int, size: tuple[int, int]) -> np.ndarray:
        file = self._file(number)
        try:
            with Image.open(file) as image:
                found = image.size
                small = image.convert("RGB").resize(size, Image.Resampling.BILINEAR)
        except FileNotFoundError as error:
            raise DecodeError(self._path, f"{file.name} is missing", "no file") from error
        except _BROKEN as error:
            raise DecodeError(self._path, f"{file.name} cannot be read", reason(error)) from error
        if found != (self.width, self.height):
            first = f"{self.width}x{self.height} before"
            raise DecodeError(self._path, f"{file.name} is of another size than {first}", found)
        return np.asarray(small)
