"""Frames become H.264 from which any few of them are quickly decoded.

x264 is told to make closed groups of nine pictures, `I b b b P b b b P`, whatever the content, so
that `stored` can leave most of them out. CAVLC instead of CABAC, no deblocking and no 8x8 transform
decode in half the time for a tenth more bytes; without psychovisual tuning the same bytes come
closer to the original.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from sumlctl.errors import SumlError

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import OutputContainer
    from av.video.reformatter import VideoReformatter

# x264's macroblock tree reads memory that nobody wrote, so that no two files would be alike.
REPRODUCIBLE = "mbtree=0"
_OPTIONS = {
    "preset": "veryfast",
    "x264-params": (
        "keyint=9:min-keyint=9:open-gop=0:scenecut=0:bframes=3:b-adapt=0:b-pyramid=none:ref=1"
        ":cabac=0:no-deblock=1:8x8dct=0:weightp=0:weightb=0:psy=0:" + REPRODUCIBLE
    ),
}
# x264 gives a frame more bits the longer it is shown; a model sees each alike.
_STEADY_RATE = Fraction(25)


@dataclass(frozen=True)
class EncodeSettings:
    """What the files of a store depend on.

    Args:
        short_side: pixels; larger videos are scaled down to it.
        crf: x264's constant rate factor; less is better and larger.
        corrected: what of this video earlier versions stored otherwise, whose files are not to be
            taken for these; see `manifest.corrected`.
    """

    short_side: int
    crf: int
    corrected: str = ""

    def __str__(self) -> str:
        # The number counts changes of what is made: 2, no edit list.
        return f"x264/2 short-side={self.short_side} crf={self.crf} {self.corrected}".rstrip()


@dataclass(frozen=True)
class Encoded:
    """An MP4 in memory.

    Args:
        content: its bytes.
        width: pixels.
        height: pixels.
        ticks: timestamps of its frames as they were given.
        samples: some of its frames before they were encoded, by timestamp: uint8 [H, W, 3], RGB.
    """

    content: bytes
    width: int
    height: int
    ticks: list[int]
    samples: dict[int, np.ndarray]


def check_encoder() -> None:
    """Raises a SumlError where PyAV comes without x264."""
    import av

    try:
        av.Codec("libx264", "w")
    except av.codec.codec.UnknownCodecError as error:
        raise SumlError(
            "PyAV",
            "cannot encode H.264",
            got=f"PyAV {av.__version__} without libx264",
            expected="a build with it",
            fix="Install PyAV from its own wheels: pip install --force-reinstall av",
        ) from error


def encode(
    frames: Iterable[tuple[int, VideoFrame]],
    tick: Fraction,
    settings: EncodeSettings,
    sample_at: Iterable[int],
) -> Encoded:
    """Scales frames down, turns them upright and encodes them; their timestamps are kept exactly.

    Args:
        frames: at least one, each with its timestamp in ticks, ascending.
        tick: seconds of one tick.
        settings: size and quality.
        sample_at: ascending; a copy is kept of the first frame at or after each, or of the last
            frame where all are earlier.
    """
    import av
    from av.video.frame import PictureType
    from av.video.reformatter import VideoReformatter

    from sumlctl.video.upright import Upright, orientation

    buffer, reformatter = io.BytesIO(), VideoReformatter()
    upright: Upright | None = None
    stream: Any = None
    ticks: list[int] = []
    samples: dict[int, np.ndarray] = {}
    due = list(sample_at)
    # An edit list would end before the last frame where ticks are coarse.
    exactly = {"video_track_timescale": str(tick.denominator), "use_editlist": "0"}
    with av.open(buffer, "w", format="mp4", container_options=exactly) as sink:
        for pts, frame in frames:
            upright = upright or Upright(orientation(frame))
            turned = upright(frame)
            stream = stream or _stream(sink, turned, settings)
            size = stream.width, stream.height
            small = reformatter.reformat(
                turned, *size, "yuv420p", interpolation="BILINEAR", threads=1
            )
            if due and pts >= due[0]:
                samples[pts] = _rgb(small, reformatter)
                due = [other for other in due if other > pts]
            small.pts, small.time_base = len(ticks), 1 / _STEADY_RATE
            small.pict_type = PictureType.NONE  # else x264 repeats the original's types
            ticks.append(pts)
            sink.mux(_restamped(stream.encode(small), ticks, tick))
        assert stream is not None
        if not samples:
            samples[pts] = _rgb(small, reformatter)
        sink.mux(_restamped(stream.encode(), ticks, tick))
        width, height = stream.width, stream.height
    return Encoded(buffer.getvalue(), width, height, ticks, samples)


def _rgb(frame: VideoFrame, reformatter: VideoReformatter) -> np.ndarray:
    return reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()


def _restamped(packets: list[Packet], ticks: Sequence[int], tick: Fraction) -> list[Packet]:
    """Gives packets that count frames the timestamps of these frames."""
    for packet in packets:
        assert packet.pts is not None and packet.dts is not None
        # The first are to be decoded before the time of any frame.
        early, decoded_as = min(packet.dts, 0), ticks[max(packet.dts, 0)]
        packet.dts = (decoded_as - ticks[0]) * tick.numerator + early
        packet.pts = (ticks[packet.pts] - ticks[0]) * tick.numerator
        packet.time_base = Fraction(1, tick.denominator)
    return packets


def _stream(sink: OutputContainer, frame: VideoFrame, settings: EncodeSettings) -> Any:
    options = _OPTIONS | {"crf": str(settings.crf)}
    stream: Any = sink.add_stream("libx264", rate=_STEADY_RATE, options=options)
    stream.width, stream.height = _size(frame, settings.short_side)
    stream.pix_fmt, stream.thread_count = "yuv420p", 1
    codec = stream.codec_context
    codec.color_range, codec.color_primaries = frame.color_range, frame.color_primaries
    codec.color_trc = frame.color_trc
    if not frame.format.is_rgb:
        codec.colorspace = frame.colorspace
    return stream


def _size(frame: VideoFrame, short_side: int) -> tuple[int, int]:
    """Width and height of an upright frame's copy: even numbers, as 4:2:0 needs."""
    scale = min(1.0, short_side / min(frame.width, frame.height))
    width, height = (max(2 * round(side * scale / 2), 2) for side in (frame.width, frame.height))
    return width, height
