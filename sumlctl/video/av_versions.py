"""What differs between the supported versions of PyAV, 17 to 19: the one place that knows."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av import VideoStream
from av.container import InputContainer

# Titles in other encodings than UTF-8 are common. PyAV 17 and 18 raise at them unless they are to
# replace what does not decode; PyAV 19 keeps it as surrogates and takes no such argument.
_LENIENT: dict[str, Any] = (
    {"metadata_errors": "replace"} if hasattr(InputContainer, "metadata_errors") else {}
)


def open_input(path: Path, options: dict[str, str] | None = None) -> InputContainer:
    """Open a file for reading, in whatever encoding its metadata are.

    Args:
        path: the file.
        options: of FFmpeg's demuxer.

    Raises:
        av.FFmpegError: not a file that FFmpeg can open.
    """
    return av.open(str(path.absolute()), options=options, **_LENIENT)


def time_base(stream: VideoStream) -> Fraction | None:
    """Return the seconds of one tick of the stream, None where the file states none."""
    return _exact(stream.time_base)


def declared_rate(stream: VideoStream) -> Fraction | None:
    """Return the frames per second that the file declares, None where it declares none."""
    return _exact(stream.average_rate)


def _exact(value: Fraction | None) -> Fraction | None:
    """PyAV 19 has a number of its own, whose quotients are rounded, and zero where it is unset."""
    return Fraction(value.numerator, value.denominator) if value else None
