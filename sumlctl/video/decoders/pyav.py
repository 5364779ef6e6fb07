"""Frames by PyAV: one seek per request, and no more pictures decoded than the wanted are made of.

In H.264 nothing refers to some of the pictures, and those are not decoded unless they are wanted;
which they are is known from the packets' timestamps. What comes out of the decoder is checked
against these; where packets and frames are not as they should be, every frame is decoded and
sorted out by its own timestamp.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av import Packet, VideoFrame
from av.video.reformatter import VideoReformatter

from sumlctl.video.av_versions import declared_rate, time_base
from sumlctl.video.decoders import DecodeError, Shown, on_screen, reduced, refuse_outside, slack_s
from sumlctl.video.packets import CLOCK_RESTARTS, doubt, is_idr, unit_length_bytes
from sumlctl.video.streams import (
    ISO_MEDIA,
    REORDERED,
    ROUNDING_S,
    SEEKS_BACK_S,
    Clock,
    Stamped,
    open_stream,
    reason,
    stamped,
    stamped_from,
)
from sumlctl.video.upright import Upright, orientation

# Containers whose packets all carry the times of the frames that come out of them.
STAMPED_PACKETS = (ISO_MEDIA, "matroska,webm")
_MOST_AHEAD = 64 * 2**20  # bytes of packets looked at before any is decoded
_CONTAINER_BYTES, _PICTURES_KEPT = 4 * 2**20, 8


class _Ahead(NamedTuple):
    """A packet that will be decoded, and the timestamp of its frame."""

    pts: int
    packet: Packet


class PyavDecoder:
    """A video that PyAV has opened.

    Args:
        path: the file.

    Raises:
        SumlError: there is no video stream.
        DecodeError: not a video, or its first frame does not decode.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._container, self._stream = open_stream(path)
        except av.FFmpegError as error:
            raise self._fault("cannot be read", error) from error
        try:
            # Decoded before any other: old x264 writes into it what the others need.
            head = next(stamped(self._container, self._stream), None)
        except av.FFmpegError as error:
            self.close()
            raise self._fault("cannot be read", error) from error
        tick = time_base(self._stream)
        if head is None or tick is None:
            self.close()
            raise self._fault("no frame decodes", None)
        if why := doubt(self._container, self._stream):
            self.close()
            raise DecodeError(path, "cannot be read", why, damaged=True)
        self._clock, self._tick = Clock(self._container, self._stream, head.pts), tick
        self.start_s = self._clock.start_s
        self._frame_s = float(1 / (declared_rate(self._stream) or 1 / tick))
        self.orientation = orientation(head.frame)
        self._upright = Upright(self.orientation)
        upright = self._upright(head.frame)
        self.size = upright.width, upright.height
        self._codec = self._stream.codec_context
        stamped_packets = self._container.format.name in STAMPED_PACKETS
        self._length_bytes = unit_length_bytes(self._stream) if stamped_packets else 0
        self._skips = self._length_bytes > 0
        self._reformatter = VideoReformatter()
        self.nbytes = _CONTAINER_BYTES + _PICTURES_KEPT * math.prod(self.size) * 3 // 2

    def close(self) -> None:
        self._container.close()

    def read(self, times_s: Sequence[float], short_side: int | None) -> Shown:
        found = self._by_packets(times_s, short_side) if self._skips else None
        return found or self._by_frames(times_s, short_side)

    def _by_packets(self, times_s: Sequence[float], short_side: int | None) -> Shown | None:
        """What is on screen as the packets tell; None where the frames are not as they tell."""
        first = self._clock.pts(max(times_s[0], self.start_s))
        ahead = self._ahead(first, self._clock.pts(times_s[-1]))
        if ahead is None:
            return None
        shown = sorted(
            (p for p in ahead if p.pts >= ahead[0].pts and not p.packet.is_discard),
            key=lambda p: p.pts,
        )
        stamps = [pts for pts, _ in shown]
        if not stamps or stamps[0] > first or len(set(stamps)) < len(stamps):
            return None
        begins_s = np.array([self._clock.seconds(pts) for pts in stamps])
        end_s = self._end_s(stamps[-1], shown[-1].packet.duration)
        if times_s[0] < self.start_s - ROUNDING_S or times_s[-1] >= end_s + ROUNDING_S:
            return None
        places = on_screen(begins_s, times_s, float(self._tick))
        pictures = self._pictures(ahead, {stamps[place] for place in places}, short_side)
        if pictures is None:
            return None
        pixels = np.stack([pictures[stamps[place]] for place in places])
        ends_s = np.append(begins_s[1:], end_s)
        return Shown(pixels, begins_s[places], ends_s[places], float(self._tick))

    def _ahead(self, first: int, last: int) -> list[_Ahead] | None:
        """The packets from the keyframe before one timestamp on, to all up to another."""
        for seconds_back in SEEKS_BACK_S:
            ahead: list[_Ahead] = []
            nbytes = late = 0
            last_dts = -math.inf
            try:
                self._container.seek(first - int(seconds_back / self._tick), stream=self._stream)
                for packet in self._container.demux(self._stream):
                    if packet.pts is None and packet.size == 0:  # the end
                        break
                    nbytes += packet.size
                    if packet.pts is None or nbytes > _MOST_AHEAD:
                        return None
                    if packet.dts is not None:
                        if packet.dts < last_dts and self._container.format.name == ISO_MEDIA:
                            return None  # parts of an edit list, each from its keyframe on
                        self._refuse_restart(packet.dts < last_dts)
                        last_dts = packet.dts
                    ahead.append(_Ahead(packet.pts, packet))
                    late += packet.pts > last
                    if late > REORDERED:  # none that is shown before can follow
                        break
            except av.FFmpegError:
                return None
            if ahead and ahead[0].packet.is_keyframe and ahead[0].pts <= first:
                return ahead
        return None

    def _pictures(
        self, ahead: Sequence[_Ahead], wanted: set[int], short_side: int | None
    ) -> dict[int, np.ndarray] | None:
        """The wanted frames by timestamp, or None where the decoder does not give just them."""
        packets = self._needed(ahead, wanted)
        pictures: dict[int, np.ndarray] = {}
        begun = False
        try:
            for packet in (*packets, None):
                unwanted = packet is not None and packet.pts not in wanted
                self._codec.skip_frame = "NONREF" if unwanted else "DEFAULT"
                for frame in self._codec.decode(packet):
                    if not begun and not (frame.key_frame and frame.pts == packets[0].pts):
                        return None
                    begun = True
                    if frame.is_corrupt:
                        return None
                    if frame.pts in wanted:
                        pictures[frame.pts] = self._rgb(frame, short_side)
        except av.FFmpegError:
            return None
        finally:
            self._codec.skip_frame = "DEFAULT"
        return pictures if pictures.keys() == wanted else None

    def _needed(self, ahead: Sequence[_Ahead], wanted: set[int]) -> list[Packet]:
        """Without what follows the last wanted frame before the decoder forgets all it has seen."""
        packets: list[Packet] = []
        needed = 0
        for pts, packet in ahead:
            if packet.is_keyframe and len(packets) > needed and is_idr(packet, self._length_bytes):
                del packets[needed:]
            packets.append(packet)
            if pts in wanted:
                needed = len(packets)
        return packets[:needed]

    def _by_frames(self, times_s: Sequence[float], short_side: int | None) -> Shown:
        """What is on screen as the frames tell that decode from a seek onward."""
        refuse_outside(self._path, times_s[:1], math.inf)
        onward = self._onward(self._clock.pts(times_s[0]))
        current, fault = _next(onward)
        if current is None:
            raise self._fault(f"cannot be read at {times_s[0]:g} s", fault)
        following, fault = _next(onward)
        pixels: list[np.ndarray] = []
        intervals: list[tuple[float, float]] = []
        for time in times_s:
            while following and self._has_begun(following.pts, current.pts, time):
                current = following
                following, fault = _next(onward)
            begin_s = self._clock.seconds(current.pts)
            if following:
                end_s = self._clock.seconds(following.pts)
            else:
                end_s = self._end_s(current.pts, current.frame.duration)
                if not fault:
                    refuse_outside(self._path, times_s, end_s)
                elif time >= end_s - slack_s(end_s - begin_s, float(self._tick)):
                    raise self._fault(f"ends after {end_s:g} s", fault)
            repeated = intervals and begin_s == intervals[-1][0]
            pixels.append(pixels[-1] if repeated else self._rgb(current.frame, short_side))
            intervals.append((begin_s, end_s))
        begins_s, ends_s = np.array(intervals, dtype=np.float64).T
        return Shown(np.stack(pixels), begins_s, ends_s, float(self._tick))

    def _onward(self, pts: int) -> Iterator[Stamped]:
        """The frames from a seek onward, as long as each is later than the one before."""
        last = -math.inf
        for found in stamped_from(self._container, self._stream, pts):
            self._refuse_restart(found.pts < last)
            last = found.pts
            yield found

    def _has_begun(self, pts: int, before: int, time_s: float) -> bool:
        begins_s = self._clock.seconds(pts)
        gap_s = begins_s - self._clock.seconds(before)
        return bool(begins_s - slack_s(gap_s, float(self._tick)) <= time_s)

    def _rgb(self, frame: VideoFrame, short_side: int | None) -> np.ndarray:
        """The picture upright in RGB, in the size of the video's first one."""
        width, height = reduced(*self.size, short_side)
        small = self._reformatter.reformat(
            self._upright(frame), width, height, "rgb24", interpolation="BILINEAR", threads=1
        )
        return small.to_ndarray()

    def _refuse_restart(self, seen: bool) -> None:
        if seen:
            raise DecodeError(self._path, "cannot be read", CLOCK_RESTARTS, damaged=True)

    def _fault(self, what: str, error: av.FFmpegError | None) -> DecodeError:
        got = reason(error) if error else "none"
        damaged = error is None or isinstance(error, av.InvalidDataError)
        return DecodeError(self._path, what, got, damaged=damaged)

    def _end_s(self, pts: int, duration: int | None) -> float:
        return self._clock.seconds(pts) + (float((duration or 0) * self._tick) or self._frame_s)


def _next(frames: Iterator[Stamped]) -> tuple[Stamped | None, av.FFmpegError | None]:
    """The next frame; where there is none, why, unless the file just ends."""
    try:
        return next(frames, None), None
    except av.FFmpegError as error:
        return None, error
