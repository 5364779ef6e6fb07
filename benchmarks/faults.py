"""What becomes of awkward and broken videos here, and with the decoders that others use.

Every frame shows its own number. Of each video every frame is asked for by its time, in random
order, and is right, another one, or refused with an error; a damaged one is right where its number
can still be read. A decoder that hangs or dies refuses all frames of the video.

decord is asked by the timestamps that it lists itself, which count from its first picture,
torchcodec by `get_frame_played_at` from the file's own start on, as FFmpeg tells it, pytorchvideo
by `EncodedVideo.get_clip`; each video is opened once.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

from benchmarks.common import report
from sumlctl.jobs import pool
from sumlctl.video.read import read_frames
from tests.unit.video import clocks, numbered, several
from tests.unit.video.awkward import AWKWARD, HIDDEN

_FRAMES = 40
_DEADLINE_S, _MEMORY_MB = 60.0, 2048
_RIGHT, _WRONG, _REFUSED = "right", "wrong", "refused"
# When the frames of a video of variable rate come on screen, in tenths of a second.
_UNEVEN = np.cumsum(np.random.default_rng(0).integers(1, 6, _FRAMES)).tolist()
Ask = Callable[[float], np.ndarray]


class Case(NamedTuple):
    """A video, when to ask for its frames, and the number that each should show."""

    kind: str
    path: Path
    times_s: tuple[float, ...]
    numbers: tuple[int, ...]


class Job(NamedTuple):
    """A case for one reader."""

    reader: str
    case: Case


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        cases = [*_awkward(Path(folder)), *_clocks(Path(folder)), *_broken(Path(folder))]
        readers = [name for name, load in READERS.items() if _loads(load)]
        jobs = [Job(reader, case) for case in cases for reader in readers]
        tally: dict[str, Counter[tuple[str, str]]] = {case.kind: Counter() for case in cases}
        limits = {"deadline_s": _DEADLINE_S, "memory_mb": _MEMORY_MB}
        for job, found in pool.run(outcomes, jobs, jobs=2, **limits):
            lost = isinstance(found, pool.Failure)
            for outcome in [_REFUSED] * len(job.case.times_s) if lost else found:
                tally[job.case.kind][job.reader, outcome] += 1
    every = [_row("all", readers, sum(tally.values(), Counter()))]
    rows = [_row(kind, readers, counted) for kind, counted in tally.items()]
    report("faults", "frames of awkward and broken videos", rows + every)


def _row(kind: str, readers: list[str], counted: Counter[tuple[str, str]]) -> dict[str, Any]:
    asked = sum(n for (reader, _), n in counted.items() if reader == readers[0])
    columns = {
        f"{reader} {outcome}": counted[reader, outcome]
        for reader in readers
        for outcome in (_RIGHT, _WRONG)
    }
    return {"kind": kind, "asked": asked} | columns


def outcomes(job: Job) -> list[str]:
    """What becomes of each frame of a case."""
    found = []
    try:
        ask = READERS[job.reader](job.case.path)
    except Exception:
        return [_REFUSED] * len(job.case.times_s)
    frames = list(zip(job.case.times_s, job.case.numbers, strict=True))
    random.Random(0).shuffle(frames)
    for time_s, number in frames:
        try:
            picture = ask(time_s)
        except Exception:
            found.append(_REFUSED)
            continue
        high_enough = picture.shape[0] >= 2 * numbered.SQUARE
        wide_enough = picture.shape[1] >= numbered.BITS * numbered.SQUARE
        shown = numbered.read_off(picture[None]) if high_enough and wide_enough else None
        found.append(_RIGHT if shown == [number] else _WRONG)
    return found


def _awkward(folder: Path) -> Iterator[Case]:
    numbers = range(_FRAMES)
    for name, options in AWKWARD.items():
        path = numbered.write(folder / name, _FRAMES, **options)
        shown = numbers[HIDDEN.get(name, 0) :]
        kind = "odd names" if not options else path.stem.replace("_", " ") + path.suffix
        yield Case(kind, path, tuple(n / 10 + 0.05 for n in range(len(shown))), tuple(shown))
    path = numbered.write(folder / "uneven.mp4", _FRAMES, stamps=_UNEVEN)
    times_s = [(stamp - _UNEVEN[0]) / 10 + 0.05 for stamp in _UNEVEN]
    yield Case("variable rate", path, tuple(times_s), tuple(numbers))
    path = numbered.write(folder / "one.mp4", 1)
    yield Case("one frame", path, (0.05,), (0,))
    for name, streams in several.CASES.items():
        for ending in ("mp4", "mkv"):
            path = several.write(folder / f"{name}.{ending}", streams)
            times_s = tuple(n / 10 + 0.05 for n in numbers)
            yield Case(f"streams: {name.replace('_', ' ')}", path, times_s, tuple(numbers))


def _clocks(folder: Path) -> Iterator[Case]:
    """Videos whose pictures do not begin with the file, or whose clock is not one."""
    numbers = tuple(range(_FRAMES))
    for name in ("late.mp4", "late.mov", "late.mkv", "late.ts"):
        path = clocks.with_sound(folder / name, _FRAMES, pictures_s=1.0)
        # AAC begins 21 ms before the first sample, which some containers pass on.
        times_s = (0.5, *(n / 10 + 1.07 for n in numbers))
        yield Case("pictures after the sound", path, times_s, (0, *numbers))
    times_s = tuple(n / 10 + 0.05 for n in numbers)
    path = clocks.with_sound(folder / "fragments.mp4", _FRAMES, movflags="frag_keyframe")
    yield Case("fragments", path, tuple(n / 10 + 0.27 for n in numbers), numbers)
    for name in ("joined.ts", "joined.mkv"):
        path = clocks.joined(folder / name, _FRAMES)
        yield Case("clock that starts anew", path, times_s, numbers)
    for name in ("early.mp4", "early.mkv", "early.ts"):
        path = clocks.without_first(folder / name, 5, _FRAMES)
        shown = numbers[8:]  # where the next keyframe is; the file begins with frame 5
        yield Case(
            "begins before a keyframe", path, tuple((n - 5) / 10 + 0.05 for n in shown), shown
        )
    for name, parts in (
        ("two.mp4", [(1, 0.5), (1, 2.5)]),
        ("within.mp4", [(1, 0.55), (1, 2.55)]),
        ("pause.mp4", [(1, 0.5), (0.5, None), (0.5, 2.5)]),
    ):
        path = clocks.edited(folder / name, parts, n=_FRAMES)
        if name == "within.mp4":  # each part begins in the middle of a frame
            asked, shown = tuple(n / 10 for n in range(1, 10)), numbers[6:15]
        elif name == "pause.mp4":
            asked, shown = times_s[:10], numbers[5:15]
        else:
            asked, shown = times_s[:20], numbers[5:15] + numbers[25:35]
        yield Case("edit list of several parts", path, asked, shown)
    for name, rate in (("fast.mp4", 1200), ("fast.mov", 4000), ("fast.mkv", 960)):
        path = numbered.write(folder / name, _FRAMES, ticks=rate)
        times_s = tuple((n + 0.5) / rate for n in numbers[:-1])
        yield Case("1,000 pictures a second", path, times_s, numbers[:-1])


def _broken(folder: Path) -> Iterator[Case]:
    """Videos of which no frame, or not every one, can be right."""
    times_s, numbers = tuple(n / 10 + 0.05 for n in range(_FRAMES)), tuple(range(_FRAMES))
    for name in ("cut.mp4", "cut.mkv", "cut.avi"):
        whole = numbered.write(folder / name, _FRAMES, paint=numbered.noisy)
        if name == "cut.mp4":
            numbered.put_index_first(whole)
        content = whole.read_bytes()
        for tenth in range(1, 10):
            path = folder / f"{tenth}.{name}"
            path.write_bytes(content[: len(content) * tenth // 10])
            yield Case("cut at each tenth", path, times_s, numbers)
    for flips in (5, 300):
        for name in ("flipped.mp4", "flipped.avi"):
            content = numbered.write(folder / name, _FRAMES, paint=numbered.noisy).read_bytes()
            for seed in range(10):
                path = folder / f"{flips}.{seed}.{name}"
                path.write_bytes(_flipped(content, flips, seed))
                yield Case(f"{flips} flipped bits", path, times_s, numbers)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "page.mp4").write_bytes(b"<html>404</html>" * 100)
    yield Case("no video", folder / "empty.mp4", times_s[:1], numbers[:1])
    yield Case("no video", folder / "page.mp4", times_s[:1], numbers[:1])
    bare = numbered.write(folder / "bare.h264", _FRAMES, b_frames=0)
    yield Case("no timestamps", bare, times_s, numbers)


def _flipped(content: bytes, flips: int, seed: int) -> bytes:
    draw, flipped = random.Random(seed), bytearray(content)
    for _ in range(flips):
        flipped[draw.randrange(len(flipped))] ^= 1 << draw.randrange(8)
    return bytes(flipped)


def _start_s(path: Path, first_s: float) -> float:
    """The file's own start, seconds; where FFmpeg has none, and in AVI, that of its pictures."""
    try:
        with av.open(str(path)) as container:
            known = container.start_time is not None and container.format.name != "avi"
            return container.start_time / av.time_base if known else first_s
    except av.FFmpegError:
        return first_s


def _ours(path: Path) -> Ask:
    return lambda time_s: read_frames(path, [time_s]).pixels[0]


def _decord(path: Path) -> Ask:
    import decord

    video = decord.VideoReader(str(path), num_threads=1)
    begins_s = video.get_frame_timestamp(range(len(video)))[:, 0]

    def ask(time_s: float) -> np.ndarray:
        place = int(np.searchsorted(begins_s - begins_s[0], time_s + 1e-4, side="right")) - 1
        return video.get_batch([max(place, 0)]).asnumpy()[0]

    return ask


def _torchcodec(path: Path) -> Ask:
    from torchcodec.decoders import VideoDecoder

    video = VideoDecoder(str(path), num_ffmpeg_threads=1, dimension_order="NHWC")
    start_s = _start_s(path, video.metadata.begin_stream_seconds or 0.0)
    return lambda time_s: video.get_frame_played_at(start_s + time_s).data.numpy()


def _pytorchvideo(path: Path) -> Ask:
    from pytorchvideo.data.encoded_video import EncodedVideo

    video = EncodedVideo.from_path(str(path), decode_audio=False)

    def ask(time_s: float) -> np.ndarray:
        frames = video.get_clip(time_s - 0.06, time_s)["video"]
        return frames[:, -1].permute(1, 2, 0).numpy().astype(np.uint8)

    return ask


READERS: dict[str, Callable[[Path], Ask]] = {
    "ours": _ours,
    "decord": _decord,
    "torchcodec": _torchcodec,
    "pytorchvideo": _pytorchvideo,
}


@cache
def _sound() -> Path:
    return numbered.write(Path(tempfile.mkdtemp()) / "sound.mp4", 2)


def _loads(load: Callable[[Path], Ask]) -> bool:
    try:
        load(_sound())
    except (ImportError, RuntimeError):
        return False
    return True
