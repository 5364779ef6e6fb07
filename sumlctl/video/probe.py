"""What a video file really holds: its frames that decode, its times, its picture."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import NamedTuple

from sumlctl.errors import SumlError
from sumlctl.video import supervise
from sumlctl.video.read import frame_count_by_decord, open_video, reason, stamped, stamped_from


@dataclass(frozen=True)
class Probe:
    """What one file holds; a row of the videos table but for its dataset, id and path.

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
        duration_s: from the first frame's timestamp to the end of the last.
        size_bytes: size of the file.
        mtime_ns: when the file last changed.
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


class _Span(NamedTuple):
    """When a frame is shown, in ticks of the time base."""

    pts: int
    duration: int


class _Scan(NamedTuple):
    """What the packets of a video stream say, without decoding any."""

    tick: Fraction
    declared_rate: Fraction
    expected: int
    shown: list[_Span]
    last_keyframe: int
    fault: str | None


def probe(path: Path, *, ask_decord: bool = True) -> Probe:
    """Finds out what a video file holds, without decoding all of it unless there is a doubt.

    Args:
        path: the file.
        ask_decord: whether decord counts the frames too; where it disagrees, `error` says so.

    Returns:
        A Probe; for a file that cannot be read, one with status `unreadable` and the reason.
    """
    import av

    try:
        stat = path.stat()
    except OSError as error:
        return Probe("unreadable", reason(error))
    if stat.st_size == 0:
        found = Probe("unreadable", "empty file")
    else:
        try:
            found = _examine(path)
        except SumlError as error:
            found = Probe("unreadable", error.what)
        except av.FFmpegError as error:
            found = Probe("unreadable", f"cannot be opened: {reason(error)}")
    if ask_decord and found.status == "ok":
        found = _noting(found, _decord_differs(path, found.n_frames))
    return replace(found, size_bytes=stat.st_size, mtime_ns=stat.st_mtime_ns)


def probe_many(
    paths: Iterable[Path], *, jobs: int, deadline_s: float = 120.0
) -> Iterator[tuple[Path, Probe]]:
    """Probes files in worker processes, in order of completion.

    A file whose worker crashes or overruns the deadline is probed once more without decord,
    the usual culprit; a second failure makes it unreadable.

    Args:
        paths: the files.
        jobs: number of worker processes.
        deadline_s: seconds that one file may take.
    """
    failed: dict[Path, str] = {}
    for path, found in supervise.run(probe, paths, jobs=jobs, deadline_s=deadline_s):
        if isinstance(found, supervise.Failure):
            failed[path] = found.reason
        else:
            yield path, found
    alone = partial(probe, ask_decord=False)
    for path, found in supervise.run(alone, failed, jobs=jobs, deadline_s=deadline_s):
        if isinstance(found, supervise.Failure):
            yield path, Probe("unreadable", found.reason)
        else:
            yield path, _noting(found, f"with decord: {failed[path]}")


def _examine(path: Path) -> Probe:
    found = _first_picture(path)
    if found.status != "ok":
        return found
    scan = _scan(path)
    shown, fault = _shown(path, scan)
    elapsed_s = float((shown[-1].pts - shown[0].pts) * scan.tick)
    fps = (len(shown) - 1) / elapsed_s if elapsed_s else float(scan.declared_rate)
    last_s = float(shown[-1].duration * scan.tick or 1 / scan.declared_rate)
    found = replace(found, fps=fps, n_frames=len(shown), duration_s=elapsed_s + last_s)
    if len(shown) != scan.expected:
        found = _noting(found, f"header says {scan.expected} frames, {len(shown)} decode")
    return _noting(found, fault)


def _first_picture(path: Path) -> Probe:
    """The properties of the picture, or why there is none."""
    import av

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
        )


def _is_encrypted(path: Path) -> bool:
    with open_video(path) as (container, stream):
        return next(container.demux(stream)).has_sidedata("encryption_info")


def _scan(path: Path) -> _Scan:
    """Reads all packets of the stream, up to the first that cannot be read."""
    import av

    shown: list[_Span] = []
    n_hidden, last_keyframe, fault = 0, 0, None
    with open_video(path) as (container, stream):
        tick, claimed = stream.time_base or Fraction(1), stream.frames
        declared_rate = stream.average_rate or 1 / tick
        try:
            for packet in container.demux(stream):
                if packet.pts is None:
                    continue
                if packet.is_keyframe:
                    last_keyframe = packet.pts
                if packet.is_discard:  # cut off by an edit list
                    n_hidden += 1
                else:
                    shown.append(_Span(packet.pts, packet.duration or 0))
        except av.FFmpegError as error:
            fault = reason(error)
    expected = claimed - n_hidden if claimed else len(shown)
    return _Scan(tick, declared_rate, expected, sorted(shown), last_keyframe, fault)


def _shown(path: Path, scan: _Scan) -> tuple[list[_Span], str | None]:
    """The frames that decode up to the first fault, and the fault.

    Only what follows the last keyframe is decoded; all is, when that is not as the packets say.
    """
    before = [span for span in scan.shown if span.pts < scan.last_keyframe]
    onward, fault = _decode(path, scan.last_keyframe)
    tail = [span for span in onward if span.pts >= scan.last_keyframe]
    if scan.fault and tail:  # cut short: what precedes the cut is as sound as in any file
        return before + tail, scan.fault
    if fault or len(before) + len(tail) != len(scan.shown):
        return _decode(path)
    return scan.shown, None


def _decode(path: Path, start: int | None = None) -> tuple[list[_Span], str | None]:
    """The frames that decode from a seek to `start`, or from the beginning, up to a fault."""
    import av

    spans: list[_Span] = []
    try:
        with open_video(path) as (container, stream):
            if start is None:
                frames = stamped(container, stream)
            else:
                frames = stamped_from(container, stream, start)
            spans.extend(_Span(pts, frame.duration or 0) for pts, frame in frames)
    except av.FFmpegError as error:
        return spans, reason(error)
    return spans, None


def _decord_differs(path: Path, n_frames: int | None) -> str | None:
    try:
        count = frame_count_by_decord(path)
    except ImportError:
        return None
    except Exception as error:  # decord's errors have no common type
        # Its messages begin with a time, a line of its source and the path.
        text = re.sub(r"^(\[[^\]]*\] *(\S+:\d+: *)?)+", "", str(error).strip().splitlines()[0])
        return f"decord refuses: {text[:120]}"
    return f"decord counts {count} frames" if count != n_frames else None


def _noting(found: Probe, remark: str | None) -> Probe:
    """`found` with a remark added to its error."""
    return replace(found, error="; ".join(filter(None, (found.error, remark))) or None)
