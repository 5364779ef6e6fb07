"""What a video really holds: its frames that decode, its times, its picture."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av

from sumlctl.errors import SumlError
from sumlctl.video.decoders import DecodeError
from sumlctl.video.decoders.jpeg import JpegDecoder
from sumlctl.video.packets import Scan, Span, scan
from sumlctl.video.streams import (
    Clock,
    films,
    open_video,
    reason,
    stamped,
    stamped_from,
)
from sumlctl.video.upright import orientation

_SAME_S = 2e-6  # FFmpeg rounds the start of a file to microseconds


@dataclass(frozen=True)
class Probe:
    """What one video holds; a row of the videos table but for its dataset, id and path.

    Args:
        status: `ok` or `unreadable`.
        error: why it is unreadable, or what is odd about a file that can be read.
        container: FFmpeg's name of the format.
        codec: FFmpeg's name of the codec.
        width: pixels, after rotation.
        height: pixels, after rotation.
        rotation: degrees counter-clockwise that turn the stored picture upright: -90, 0, 90, 180.
        mirrored: whether left and right of the stored picture are exchanged before it is turned.
        fps: mean rate over the file.
        n_frames: frames that decode, not what the header claims.
        duration_s: from the file's own start, as players count, to the end of the last frame.
        size_bytes: size of the file; a folder of frames has none.
        mtime_ns: when the file or folder last changed.
        start_s: from the file's own start to the first frame; 0 unless sound begins earlier.
        decoder: who reads it when the choice is left to sumlctl: `pyav` or `jpeg`.
        decord: whether decord is `trusted` or `doubted` with a file, or `absent` here; None where
            it was not asked.
        stream: FFmpeg's number of the film in a file of several video streams; None where it is
            the only one.
    """

    status: str
    error: str | None = None
    container: str | None = None
    codec: str | None = None
    width: int | None = None
    height: int | None = None
    rotation: int | None = None
    mirrored: bool | None = None
    fps: float | None = None
    n_frames: int | None = None
    duration_s: float | None = None
    size_bytes: int | None = None
    mtime_ns: int | None = None
    start_s: float | None = None
    decoder: str | None = None
    decord: str | None = None
    stream: int | None = None


def probe(
    path: Path, *, fps: float | None = None, ask_decord: bool = True, whole: bool = False
) -> Probe:
    """Finds out what a video holds, without decoding all of it unless there is a doubt.

    Args:
        path: a video file, or a folder of JPEG files, one for each frame.
        fps: rate of a folder's frames.
        ask_decord: whether decord is asked too; where it says something else, `error` has it.
        whole: whether to decode all of a file, and to ask decord about one that PyAV refuses.

    Returns:
        A Probe; for a video that cannot be read, one with status `unreadable` and the reason.
    """
    try:
        size_bytes, mtime_ns = stamp(path)
    except OSError as error:
        return Probe("unreadable", reason(error))
    try:
        if size_bytes is None:
            found = _examine_folder(path, fps)
        elif size_bytes == 0:
            found = Probe("unreadable", "empty file")
        else:
            found, packets = _examine(path, whole)
            if ask_decord and (found.status == "ok" or whole):
                found = _judging_decord(found, path, packets)
    except DecodeError as error:
        found = Probe("unreadable", f"{error.what}, got {error.got}")
    except SumlError as error:
        found = Probe("unreadable", error.what)
    return replace(found, size_bytes=size_bytes, mtime_ns=mtime_ns)


def stamp(path: Path) -> tuple[int | None, int]:
    """Size in bytes and time of change of a video, by which it is known again.

    Of a folder it is the time alone, which changes when a file comes or goes.

    Raises:
        OSError: it is not there.
    """
    found = path.stat()
    return None if path.is_dir() else found.st_size, found.st_mtime_ns


def _examine_folder(path: Path, fps: float | None) -> Probe:
    folder = JpegDecoder(path, fps)
    last_s = (len(folder) - 1) / folder.fps
    folder.read([0.0], None)
    missing = folder.missing()
    found = Probe(
        "ok",
        decoder="jpeg",
        container="image2",
        codec="mjpeg",
        width=folder.width,
        height=folder.height,
        rotation=0,
        mirrored=False,
        fps=folder.fps,
        n_frames=len(folder) - len(missing),
        duration_s=last_s + 1 / folder.fps,
        start_s=folder.start_s,
    )
    if missing:
        found = noting(found, f"{len(missing)} frames are missing, the first is {missing[0]}")
    try:
        folder.read([last_s], None)
    except DecodeError as error:
        found = noting(found, f"{error.what}, got {error.got}")
    return found


def _examine(path: Path, whole: bool) -> tuple[Probe, Scan | None]:
    try:
        found = _first_picture(path)
        if found.status != "ok":
            return found, None
        packets = scan(path)
        if packets.doubt:
            return Probe("unreadable", packets.doubt), None
        leading = _leading(packets, found)
        early = packets.early + leading
        packets = packets._replace(shown=packets.shown[leading:])
        shown, fault = _decode(path) if whole else _shown(path, packets)
    except av.FFmpegError as error:
        return Probe("unreadable", f"cannot be opened: {reason(error)}"), None
    start_s, tick = packets.clock.seconds(shown[0].pts), packets.clock.tick
    elapsed_s = float((shown[-1].pts - shown[0].pts) * tick)
    fps = (len(shown) - 1) / elapsed_s if elapsed_s else float(packets.declared_rate)
    last_s = float(shown[-1].duration * tick or 1 / packets.declared_rate)
    duration_s = start_s + (elapsed_s + last_s)
    found = replace(found, fps=fps, n_frames=len(shown), start_s=start_s, duration_s=duration_s)
    if early:
        found = noting(found, f"{early} frames before the first that can be decoded")
    if len(shown) != packets.expected - early:
        found = noting(found, f"header says {packets.expected} frames, {len(shown)} decode")
    return noting(found, fault), packets


def _leading(packets: Scan, found: Probe) -> int:
    """The number of frames that follow the first keyframe in the file and precede it in time.

    They do not decode where they refer to frames before the keyframe.
    """
    first_s = (found.start_s or 0.0) - _SAME_S
    return bisect_left(packets.shown, first_s, key=lambda span: packets.clock.seconds(span.pts))


def _first_picture(path: Path) -> Probe:
    """The properties of the picture, or why there is none."""
    with open_video(path) as (container, stream):
        try:
            head = next(stamped(container, stream), None)
        except av.FFmpegError as error:
            head, why = None, "encrypted" if _is_encrypted(path) else reason(error)
        else:
            why = "no frame with a timestamp"
        if head is None:
            return Probe("unreadable", f"no frame decodes: {why}")
        picture, turned = head.frame, orientation(head.frame)
        width, height = picture.width, picture.height
        if turned.across:
            width, height = height, width
        return Probe(
            "ok",
            decoder="pyav",
            container=container.format.name,
            codec=stream.codec_context.name,
            width=width,
            height=height,
            rotation=turned.rotation,
            mirrored=turned.mirrored,
            start_s=Clock(container, stream, head.pts).start_s,
            stream=stream.index if len(films(container)) > 1 else None,
            error=_not_square(stream.sample_aspect_ratio),
        )


def _not_square(ratio: Fraction | None) -> str | None:
    """Return a remark on pixels that are to be shown wider or narrower than high."""
    if not ratio or ratio == 1:
        return None
    return f"pixels are {ratio.numerator}:{ratio.denominator}, not square; read as they are stored"


def _is_encrypted(path: Path) -> bool:
    with open_video(path) as (container, stream):
        return next(container.demux(stream)).has_sidedata("encryption_info")


def _shown(path: Path, packets: Scan) -> tuple[list[Span], str | None]:
    """The frames that decode up to the first fault, and the fault.

    Only what follows the last keyframe is decoded; all is, when that is not as the packets say.
    """
    before = [span for span in packets.shown if span.pts < packets.last_keyframe]
    onward, fault = _decode(path, packets.last_keyframe)
    tail = [span for span in onward if span.pts >= packets.last_keyframe]
    if packets.fault and tail:  # cut short: what precedes the cut is as sound as in any file
        return before + tail, packets.fault
    if fault or len(before) + len(tail) != len(packets.shown):
        return _decode(path)
    return packets.shown, None


def _decode(path: Path, start: int | None = None) -> tuple[list[Span], str | None]:
    """The frames that decode from a seek to `start`, or from the beginning, up to a fault."""
    spans: list[Span] = []
    try:
        with open_video(path) as (container, stream):
            frames = stamped(container, stream)
            if start is not None:
                next(frames, None)
                frames = stamped_from(container, stream, start)
            spans.extend(Span(pts, frame.duration or 0) for pts, frame in frames)
    except av.FFmpegError as error:
        return spans, reason(error)
    return spans, None


def _judging_decord(found: Probe, path: Path, packets: Scan | None) -> Probe:
    """`found` with what decord makes of the file."""
    try:
        from sumlctl.video.decoders import decord
    except ImportError:
        return replace(found, decord="absent")
    judged, remark = decord.verdict(path, packets, found.n_frames)
    return noting(replace(found, decord=judged), remark)


def noting(found: Probe, remark: str | None) -> Probe:
    """`found` with a remark added to its error."""
    return replace(found, error="; ".join(filter(None, (found.error, remark))) or None)
