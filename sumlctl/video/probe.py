"""What a video really holds: its frames that decode, its times, its picture."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import av

from sumlctl.engine import supervise
from sumlctl.engine.executors import Executor, Limits
from sumlctl.engine.units import Failed, Unit, Work, stands_on
from sumlctl.errors import SumlError
from sumlctl.video.decoders import DecodeError
from sumlctl.video.decoders.jpeg import JpegDecoder
from sumlctl.video.streams import (
    Clock,
    Scan,
    Span,
    open_video,
    reason,
    scan,
    stamped,
    stamped_from,
)

_FINDS = 2  # changes of what a probe finds: 2, when the pictures begin
_SAME_S = 2e-6  # FFmpeg rounds the start of a file to microseconds
_DECODED_AT_LEAST = 200_000  # bytes per second; small 1080p60 files came to 500,000 on one core


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
        rotation: degrees counter-clockwise that turn the stored picture upright.
        fps: mean rate over the file.
        n_frames: frames that decode, not what the header claims.
        duration_s: from the file's own start, as players count, to the end of the last frame.
        size_bytes: size of the file; a folder of frames has none.
        mtime_ns: when the file or folder last changed.
        start_s: from the file's own start to the first frame; 0 unless sound begins earlier.
    """

    status: str
    error: str | None = None
    container: str | None = None
    codec: str | None = None
    width: int | None = None
    height: int | None = None
    rotation: int | None = None
    fps: float | None = None
    n_frames: int | None = None
    duration_s: float | None = None
    size_bytes: int | None = None
    mtime_ns: int | None = None
    start_s: float | None = None


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
            found = _examine(path, whole)
            if ask_decord and (found.status == "ok" or whole):
                found = _noting(found, _decord_differs(path, found.n_frames))
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


class Look(NamedTuple):
    """How a video is to be probed; see `probe`."""

    path: Path
    fps: float | None
    ask_decord: bool
    whole: bool


def look(wanted: Look) -> dict[str, Any]:
    """What `probe` says."""
    path, fps, ask_decord, whole = wanted
    return asdict(probe(path, fps=fps, ask_decord=ask_decord, whole=whole))


def probe_many(
    rates: Mapping[Path, float | None],
    work: Work,
    executor: Executor,
    *,
    deadline_s: float = 120.0,
    whole: bool = False,
) -> Iterator[tuple[Path, Probe]]:
    """Probes videos elsewhere, in order of completion; what `work` has receipts of, not again.

    A file whose process crashes, overruns the deadline or outgrows its memory is probed once more
    without decord, the usual culprit; a second failure makes it unreadable.

    Args:
        rates: the videos, and frames per second of those that are folders of frames.
        work: keeps the receipts.
        executor: who probes.
        deadline_s: seconds that one video may take; more if all of it is decoded.
        whole: whether to decode all of each file.
    """
    if whole:
        deadline_s += max((stamp(path)[0] or 0 for path in rates), default=0) / _DECODED_AT_LEAST
    limits = Limits(deadline_s, supervise.DECODING_MB, attempts=1)
    failed: dict[Path, str] = {}
    units = _units(rates, True, whole)
    for found in work.do(look, [*units], executor, limits):
        path = units[found.unit]
        if isinstance(found, Failed):
            failed[path] = found.failure.reason
        else:
            yield path, Probe(**found.result)
    units = _units({path: rates[path] for path in failed}, False, whole)
    for found in work.do(look, [*units], executor, limits):
        path = units[found.unit]
        if isinstance(found, Failed):
            yield path, Probe("unreadable", found.failure.reason)
        else:
            yield path, _noting(Probe(**found.result), f"with decord: {failed[path]}")


def _units(rates: Mapping[Path, float | None], ask_decord: bool, whole: bool) -> dict[Unit, Path]:
    """The looks at some videos, as units of work."""
    found = {}
    for path, fps in rates.items():
        wanted = Look(path.absolute(), fps, ask_decord, whole)
        name = hashlib.sha256(f"{wanted.path} {ask_decord}".encode()).hexdigest()
        facts = stands_on(str(wanted.path), (fps, ask_decord, whole), stamp(path), _FINDS)
        found[Unit(name[:32], wanted, facts)] = path
    return found


def _examine_folder(path: Path, fps: float | None) -> Probe:
    folder = JpegDecoder(path, fps)
    last_s = (len(folder) - 1) / folder.fps
    folder.read([0.0], None)
    missing = folder.missing()
    found = Probe(
        "ok",
        container="image2",
        codec="mjpeg",
        width=folder.width,
        height=folder.height,
        rotation=0,
        fps=folder.fps,
        n_frames=len(folder) - len(missing),
        duration_s=last_s + 1 / folder.fps,
        start_s=folder.start_s,
    )
    if missing:
        found = _noting(found, f"{len(missing)} frames are missing, the first is {missing[0]}")
    try:
        folder.read([last_s], None)
    except DecodeError as error:
        found = _noting(found, f"{error.what}, got {error.got}")
    return found


def _examine(path: Path, whole: bool) -> Probe:
    try:
        found = _first_picture(path)
        if found.status != "ok":
            return found
        packets = scan(path)
        if packets.doubt:
            return Probe("unreadable", packets.doubt)
        leading = _leading(packets, found)
        early = packets.early + leading
        packets = packets._replace(shown=packets.shown[leading:])
        shown, fault = _decode(path) if whole else _shown(path, packets)
    except av.FFmpegError as error:
        return Probe("unreadable", f"cannot be opened: {reason(error)}")
    start_s, tick = packets.clock.seconds(shown[0].pts), packets.clock.tick
    elapsed_s = float((shown[-1].pts - shown[0].pts) * tick)
    fps = (len(shown) - 1) / elapsed_s if elapsed_s else float(packets.declared_rate)
    last_s = float(shown[-1].duration * tick or 1 / packets.declared_rate)
    duration_s = start_s + (elapsed_s + last_s)
    found = replace(found, fps=fps, n_frames=len(shown), start_s=start_s, duration_s=duration_s)
    if early:
        found = _noting(found, f"{early} frames before the first that can be decoded")
    if len(shown) != packets.expected - early:
        found = _noting(found, f"header says {packets.expected} frames, {len(shown)} decode")
    return _noting(found, fault)


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
        picture = head.frame
        width, height = picture.width, picture.height
        if round(picture.rotation / 90) % 2:
            width, height = height, width
        return Probe(
            "ok",
            container=container.format.name,
            codec=stream.codec_context.name,
            width=width,
            height=height,
            rotation=picture.rotation,
            start_s=Clock(container, stream, head.pts).start_s,
        )


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


def _decord_differs(path: Path, n_frames: int | None) -> str | None:
    try:
        from sumlctl.video.decoders import decord
    except ImportError:
        return None
    try:
        count = decord.count(path)
    except DecodeError as error:
        return f"decord refuses: {error.got}"
    return f"decord counts {count} frames" if count != n_frames else None


def _noting(found: Probe, remark: str | None) -> Probe:
    """`found` with a remark added to its error."""
    return replace(found, error="; ".join(filter(None, (found.error, remark))) or None)
