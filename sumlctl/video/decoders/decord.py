"""Frames by decord, where it can be shown that they are the right ones.

decord 0.6 counts frames and gives no times with them, and its count goes wrong without a word:
after a seek in HEVC and to a keyframe that is no refresh (IDR), where an edit list hides frames, in
AVI. Of several video streams it may take another one. So it reads H.264 in MP4 and Matroska only,
where the packets, as PyAV reads them, show nothing of the kind, decord lists their timestamps, and
pictures after a seek are those that PyAV finds there. Over damage it goes on with pictures that its
FFmpeg makes up. All that tells of it is what FFmpeg writes to stderr: whatever does so is refused.
FFmpeg writes from decord's own threads, which go on decoding after a request; so that a line is
blamed on the file that it is about, one file is read at a time, and after each request decord's
thread is ended, which a seek does.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import RLock

import av
import decord
import numpy as np

from sumlctl.video.decoders import (
    DecodeError,
    Shown,
    alike,
    on_screen,
    reduced,
    refuse_outside,
)
from sumlctl.video.decoders.pyav import STAMPED_PACKETS, PyavDecoder
from sumlctl.video.packets import Scan, scan
from sumlctl.video.streams import reason
from sumlctl.video.upright import Orientation

_REFUSES = "decord cannot read it"
_SAME_S = 0.002  # its timestamps are float32
# Where it cannot decode it repeats a frame, in up to this share of a video.
_MOST_REPEATED = 1e-9
_STDERR = 2
# How FFmpeg's lines and decord's begin: `[h264 @ 0x55d0c8]` and `[16:20:07]`.
_COMPLAINT = re.compile(rb"\[(\S+ @ 0x[0-9a-f]+|\d\d:\d\d:\d\d)\]")
_OWN_SIZE = (-1, -1)
# By up to 64 of 255 levels, where it does not scale them.
_COLOURED_OTHERWISE = ("yuv420p10le", "yuv420p10be")
# An idle reader keeps the pictures of its last requests, and its decoder's, in RGB.
_PICTURES_KEPT, _READER_BYTES = 32, 20 * 2**20


class _Turn:
    """Which thread may use decord, since stderr is the whole process's; a fork has its own."""

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self.lock = RLock()


_TURN = _Turn()


class DecordDecoder:
    """A video that decord has opened, and was found to read rightly.

    Args:
        path: the file.
        trusted: whether its pictures were found to be right before (see `verdict`).

    Raises:
        SumlError: there is no video stream.
        DecodeError: decord refuses the file, or would give other frames than the packets promise.
    """

    def __init__(self, path: Path, trusted: bool = False) -> None:
        self._path = path
        self._video: decord.VideoReader | None = None
        try:
            packets = scan(path)
        except av.FFmpegError as error:
            raise DecodeError(path, "cannot be read", reason(error)) from error
        if doubt := _doubt(packets):
            raise DecodeError(path, "decord is not to be trusted with it", doubt)
        clock = packets.clock
        self.start_s, self._tick_s = clock.start_s, float(clock.tick)
        self._begins_s = np.array([clock.seconds(pts) for pts, _ in packets.shown])
        last_s = float(packets.shown[-1].duration * clock.tick or 1 / packets.declared_rate)
        self._end_s = float(self._begins_s[-1]) + last_s
        self.nbytes = _READER_BYTES  # more from the first picture on
        try:
            with self._listening():
                self._video, self._opened_at = _open(path), _OWN_SIZE
                counted, listed = _listed(self._video)
            self._check_times(counted, listed)
            with closing(PyavDecoder(path)) as reference:
                self._size, orientation = reference.size, reference.orientation
                self._flipped = _flipped(orientation)
                if not trusted or orientation != Orientation():
                    self._check_pictures(reference)
        except DecodeError:
            self.close()
            raise

    def close(self) -> None:
        with suppress(DecodeError), self._listening():
            self._video = None  # frees it

    def read(self, times_s: Sequence[float], short_side: int | None) -> Shown:
        refuse_outside(self._path, times_s, self._end_s)
        places = on_screen(self._begins_s, times_s, self._tick_s)
        distinct, back = np.unique(places, return_inverse=True)
        # It scales as PyAV is made to here, in one step from YUV, to the last bit.
        size = reduced(*self._size, short_side)
        pixels = self._pictures(distinct, _OWN_SIZE if size == self._size else size)
        ends_s = np.append(self._begins_s[1:], self._end_s)
        return Shown(pixels[back], self._begins_s[places], ends_s[places], self._tick_s)

    def _pictures(
        self, places: np.ndarray | Sequence[int], size: tuple[int, int] = _OWN_SIZE
    ) -> np.ndarray:
        """Return the frames at some places, uint8 [N, H, W, 3]; a reader has one size."""
        with self._listening():
            if self._video is None or self._opened_at != size:
                self._video, self._opened_at = _open(self._path, size), size
            try:
                pixels: np.ndarray = self._video.get_batch(places).asnumpy()
            finally:
                self._video.seek(0)  # ends its thread: nothing is decoded ahead, or said later
        kept = _PICTURES_KEPT * pixels[0].nbytes
        self.nbytes = self._begins_s.nbytes + _READER_BYTES + kept
        return pixels[:, self._flipped[0], self._flipped[1]]

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Make a DecodeError of what decord raises or complains of meanwhile."""
        with _TURN.lock:
            try:
                with _complaints() as lines:
                    yield
            except Exception as error:  # its errors have no common type
                raise DecodeError(self._path, _REFUSES, _brief(str(error))) from error
            if lines:
                raise DecodeError(self._path, _REFUSES, _brief(lines[0]))

    def _check_times(self, counted: int, listed: np.ndarray) -> None:
        """Refuse a video of which decord lists other timestamps."""
        number = len(self._begins_s)
        if counted != number:
            raise DecodeError(self._path, f"decord counts {counted} frames", f"{number} packets")
        if not _alike(listed, self._begins_s):
            raise DecodeError(self._path, "decord lists other timestamps", f"{listed[:4]} s, ...")

    def _check_pictures(self, reference: PyavDecoder) -> None:
        """Refuse a video of which decord finds other pictures."""
        number = len(self._begins_s)
        sought = sorted({number - 1, number // 2})
        found = [self._pictures([place])[0] for place in reversed(sought)]
        theirs = reference.read(self._begins_s[sought].tolist(), None).pixels
        for place, mine, picture in zip(sought, reversed(found), theirs, strict=True):
            if not alike(mine, picture):
                raise DecodeError(self._path, "decord finds other pictures", f"frame {place}")
        if doubt := _ambiguous(reference.orientation, theirs):
            raise DecodeError(self._path, "decord is not to be trusted with it", doubt)


def verdict(path: Path, packets: Scan | None, n_frames: int | None) -> tuple[str, str | None]:
    """Return whether decord is `trusted` or `doubted` with a file, and what it says of it.

    It is opened, and decodes nothing: that is cheap, and what is known to lead it astray shows.

    Args:
        path: the file.
        packets: what these tell; None where PyAV cannot read the file.
        n_frames: frames that decode.
    """
    with _TURN.lock:
        try:
            with _complaints() as lines:
                counted, listed = _listed(_open(path))
        except Exception as error:  # its errors have no common type
            return "doubted", f"decord refuses: {_brief(str(error))}"
    if counted != n_frames:
        return "doubted", f"decord counts {counted} frames"
    if lines or packets is None or _doubt(packets) or len(packets.shown) != counted:
        return "doubted", None
    begins_s = np.array([packets.clock.seconds(pts) for pts, _ in packets.shown])
    return ("trusted" if _alike(listed, begins_s) else "doubted"), None


def _open(path: Path, size: tuple[int, int] = _OWN_SIZE) -> decord.VideoReader:
    """Open a file whose pictures come with a width and a height, their own by default."""
    options = dict(zip(("width", "height"), size, strict=True))
    return decord.VideoReader(
        str(path.absolute()), num_threads=1, fault_tol=_MOST_REPEATED, **options
    )


def _listed(video: decord.VideoReader) -> tuple[int, np.ndarray]:
    """Return how many frames decord counts, and when each begins, seconds [N]."""
    counted = len(video)
    return counted, np.asarray(video.get_frame_timestamp(range(counted)))[:, 0]


def _alike(listed: np.ndarray, begins_s: np.ndarray) -> bool:
    """Whether two lists of times are the same, counted from the first of each."""
    return np.allclose(listed - listed[0], begins_s - begins_s[0], rtol=1e-6, atol=_SAME_S)


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Catch the lines that FFmpeg and decord write to stderr; others are written there."""
    lines: list[str] = []
    decord.logging.set_level(decord.logging.ERROR)
    kept = os.dup(_STDERR)
    try:
        with tempfile.TemporaryFile() as file:
            os.dup2(file.fileno(), _STDERR)
            try:
                yield lines
            finally:
                os.dup2(kept, _STDERR)
                file.seek(0)
                for line in file:
                    if _COMPLAINT.match(line):
                        lines.append(line.decode(errors="replace"))
                    elif not lines:  # what follows a complaint may belong to it
                        os.write(_STDERR, line)
    finally:
        os.close(kept)


def _doubt(packets: Scan) -> str | None:
    """What makes decord show something else than PyAV, as far as the packets tell."""
    is_open = not packets.closed or not packets.refreshes
    doubts = {
        packets.fault: packets.fault,
        packets.doubt: packets.doubt,
        "no frames": not packets.shown,
        f"{packets.codec} in {packets.container}": packets.codec != "h264"
        or packets.container not in STAMPED_PACKETS,
        "several video streams": packets.n_films > 1,
        "frames before the first keyframe": packets.early,
        "an edit list": packets.hidden,
        "open groups of pictures": is_open,
        "4:4:4, which FFmpeg decodes by what x264 writes into the first frame": packets.profile
        == "High 4:4:4 Predictive",
        f"{packets.pixel_format}, which its swscale colours otherwise": packets.pixel_format
        in _COLOURED_OTHERWISE,
    }
    return next((reason for reason, holds in doubts.items() if holds), None)


def _flipped(orientation: Orientation) -> tuple[slice, slice]:
    """Return which way rows and columns run in what decord makes of an orientation.

    It turns by the angle of FFmpeg's `av_display_rotation_get`, which for a mirrored picture is
    half a turn more than ours, and does not mirror. The two together are one reflection.
    """
    back, onward = slice(None, None, -1), slice(None)
    if not orientation.mirrored:
        return onward, onward
    return (onward, back) if orientation.across else (back, onward)


def _ambiguous(orientation: Orientation, pictures: np.ndarray) -> str | None:
    """Return why decord may show something else although some pictures are the same."""
    if orientation == Orientation():
        return None
    across = pictures.swapaxes(1, 2)
    turned = pictures[:, ::-1], pictures[:, :, ::-1], pictures[:, ::-1, ::-1]
    if any(alike(pictures, other) for other in (*turned, across, across[:, ::-1, ::-1])):
        return "pictures that look the same the other way up"
    return None


def _brief(said: str) -> str:
    """A message of decord or FFmpeg without the time, the line of its source and the path."""
    head = said.strip().splitlines()[0]
    return re.sub(r"^(\[[^\]]*\] *(\S+:\d+: *)?)+", "", head)[:120]
