"""Makes one file of the store from a stretch of a video, and checks it against the original."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np

from sumlctl.errors import SumlError
from sumlctl.tables import whole_file
from sumlctl.video.av_versions import declared_rate, time_base
from sumlctl.video.clip_cache.encode import Encoded, EncodeSettings, encode
from sumlctl.video.clip_cache.spans import Span
from sumlctl.video.clip_cache.stored import Segment
from sumlctl.video.decoders import slack_s
from sumlctl.video.decoders.pyav import PyavDecoder
from sumlctl.video.installation import with_fault_check
from sumlctl.video.streams import ROUNDING_S, open_video, reason, stamped, stamped_from

if TYPE_CHECKING:
    from av import VideoFrame, VideoStream
    from av.container import InputContainer

_SAMPLES = 4
_IDENTICAL_DB = 99.0
_END_S = 0.002  # spans are whole milliseconds, timestamps are rounded to them at worst


class Job(NamedTuple):
    """A file to make.

    Args:
        source: the video.
        span: what to keep of it.
        settings: how.
        target: the file.
    """

    source: Path
    span: Span
    settings: EncodeSettings
    target: Path


class Made(NamedTuple):
    """A file that was made.

    Args:
        first_tick: timestamp of the first frame, ticks since the video's first frame.
        last_tick: timestamp of the last frame.
        tick_num, tick_den: a tick is so many seconds, as a fraction.
        n_frames: number of frames.
        width: pixels.
        height: pixels.
        size_bytes: of the file.
        psnr_db: of a few frames, against the original scaled alike.
    """

    first_tick: int
    last_tick: int
    tick_num: int
    tick_den: int
    n_frames: int
    width: int
    height: int
    size_bytes: int
    psnr_db: float


class Cost(NamedTuple):
    """What a file takes.

    Args:
        lead_s: seconds to get to its first frame.
        work_s: seconds from there on.
        n_frames: number of frames.
        size_bytes: of the file.
    """

    lead_s: float
    work_s: float
    n_frames: int
    size_bytes: int


@with_fault_check
def make(job: Job) -> dict[str, Any]:
    """Makes the file of a job, whole and checked, or none; returns what `Made` has.

    Raises:
        WriteError: the file system refuses this file, and will refuse the next.
        SumlError: the video cannot be read from one end of the span to the other, or its file
            would not hold the same frames.
    """
    tick, encoded, _ = _encoded(job)
    ends = encoded.ticks[0], encoded.ticks[-1]
    with whole_file(job.target) as beside:
        beside.write_bytes(encoded.content)
        segment = Segment(beside, job.span.start_s, job.span.stop_s, *ends, tick)
        psnr_db = _checked(job, segment, encoded)
    size = (encoded.width, encoded.height, len(encoded.content))
    made = Made(*ends, tick.numerator, tick.denominator, len(encoded.ticks), *size, psnr_db)
    return made._asdict()


@with_fault_check
def try_out(job: Job) -> Cost:
    """Makes the file of a job in memory only."""
    begin = time.perf_counter()
    _, encoded, lead_s = _encoded(job)
    work_s = time.perf_counter() - begin - lead_s
    return Cost(lead_s, work_s, len(encoded.ticks), len(encoded.content))


def _encoded(job: Job) -> tuple[Fraction, Encoded, float]:
    """The video's tick, the file, and the seconds it took to get to its first frame."""
    import av

    begin = time.perf_counter()
    steps = np.linspace(job.span.start_s, job.span.stop_s, _SAMPLES + 2)[1:-1]
    try:
        with open_video(job.source) as (container, stream):
            tick = time_base(stream)
            assert tick is not None
            frames = _frames(job, container, stream, tick)
            head = next(frames)
            lead_s = time.perf_counter() - begin
            sample_at = [int(step / tick) for step in steps]
            encoded = encode(chain([head], frames), tick, job.settings, sample_at)
    except av.FFmpegError as error:
        _refuse(job, "cannot be read", reason(error))
    return tick, encoded, lead_s


def _frames(
    job: Job, container: InputContainer, stream: VideoStream, tick: Fraction
) -> Iterator[tuple[int, VideoFrame]]:
    """The frames on screen during the span, with their ticks since the video's first frame."""
    import av

    span, rate = job.span, declared_rate(stream) or 1 / tick
    head = next(stamped(container, stream), None)
    if head is None:
        _refuse(job, "no frame decodes", "none")
    shown: tuple[int, VideoFrame] | None = None
    fault = "the end of the file"
    try:
        for pts, frame in stamped_from(container, stream, head.pts + int(span.start_s / tick)):
            ticks = pts - head.pts
            if shown and ticks <= shown[0]:
                _refuse(job, "timestamps do not ascend", f"{float(ticks * tick):g} s twice")
            if shown and _lasts_beyond(shown[0] * tick, ticks * tick, span.start_s, tick):
                yield shown
            if ticks * tick > span.stop_s + ROUNDING_S:
                return
            shown = ticks, frame
    except av.FFmpegError as error:
        fault = reason(error)
    if shown is None:
        _refuse(job, f"cannot be read at {span.start_s:g} s", fault)
    yield shown
    end_s = float(shown[0] * tick + ((shown[1].duration or 0) * tick or 1 / rate))
    if end_s + _END_S < span.stop_s:
        _refuse(job, f"ends after {end_s:g} s", fault)


def _lasts_beyond(begin_s: Fraction, end_s: Fraction, time_s: float, tick: Fraction) -> bool:
    """Whether a reader finds a frame on screen at a time or later."""
    return bool(float(end_s) - slack_s(float(end_s - begin_s), float(tick)) > time_s)


def _checked(job: Job, segment: Segment, encoded: Encoded) -> float:
    """Compares the file with the frames it was made from: all timestamps, and a few pictures.

    Returns:
        the PSNR of the pictures, as RGB, in dB.
    """
    import av

    with av.open(str(segment.path)) as container:
        stream = container.streams.video[0]
        stored_tick = time_base(stream)
        assert stored_tick is not None
        ratio = stored_tick / segment.tick
        stamps = sorted(p.pts for p in container.demux(stream) if p.pts is not None)
    if [segment.first_tick + (pts - stamps[0]) * ratio for pts in stamps] != encoded.ticks:
        _refuse(job, "frames would be stored with other timestamps", f"{len(stamps):,} frames")
    times = segment.within([float(ticks * segment.tick) for ticks in encoded.samples])
    with closing(PyavDecoder(segment.path)) as decoder:
        shown = decoder.read(times, None).pixels.astype(np.float64)
    originals = np.stack(list(encoded.samples.values()))
    error = np.square(shown - originals).mean()
    return min(10 * math.log10(255**2 / error), _IDENTICAL_DB) if error else _IDENTICAL_DB


def _refuse(job: Job, what: str, got: str) -> NoReturn:
    raise SumlError(
        job.source,
        what,
        got=got,
        expected=f"frames from {job.span.start_s:g} to {job.span.stop_s:g} s as indexed",
        fix="Run `sumlctl index` again.",
    )
