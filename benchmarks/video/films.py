"""The videos that are read: generated ones and real ones, each with its store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks.common import shared_data
from sumlctl.learning.data.clips import Clip
from sumlctl.video.clip_cache.encode import EncodeSettings
from sumlctl.video.clip_cache.make import Job, Made, make
from sumlctl.video.clip_cache.spans import whole
from sumlctl.video.clip_cache.stored import Segment
from sumlctl.video.probe import probe

_LONG_ENOUGH = 66  # frames: 32 at stride 2, and room to begin at another
_NAMES = 500


def generated(path: Path, width: int, height: int, fps: int, seconds: int) -> Path:
    """A textured picture that wanders, with the noise of a camera; one keyframe in 250."""
    random = np.random.default_rng(0)
    picture = _texture(random, height + 256, width + 256)
    noise = random.normal(0, 2, (8, height, width, 1)).round().astype(np.int16)
    with av.open(str(path), "w") as container:
        options = {"preset": "faster", "x264-params": "keyint=250:scenecut=0"}
        stream: Any = container.add_stream("libx264", rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(fps * seconds):
            top, left = (round(120 + 110 * turn(i / fps)) for turn in (np.sin, np.cos))
            seen = picture[top : top + height, left : left + width] + noise[random.integers(8)]
            frame = av.VideoFrame.from_ndarray(seen.clip(0, 255).astype(np.uint8), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _texture(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Noise whose power falls with frequency, as that of photographs does; int16 [H, W, 3]."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    spectrum = np.fft.rfft2(random.normal(size=(height, width, 3)), axes=(0, 1))
    smooth = np.fft.irfft2(spectrum / (frequency + 1e-3)[..., None], (height, width), axes=(0, 1))
    return (128 + 50 * smooth / smooth.std()).clip(0, 255).astype(np.int16)


def real() -> Iterator[Path]:
    """Real clips in H.264 that are long enough and tick evenly, so that an index is a time."""
    for path in sorted((shared_data() / "videos").glob("[ft]pv/*")):
        found = probe(path, ask_decord=False)
        if found.codec != "h264" or found.n_frames < _LONG_ENOUGH:
            continue
        if abs(found.duration_s * found.fps - found.n_frames) < 0.01:
            yield path


def stored(path: Path, folder: Path) -> Clip:
    """A whole video as a clip that is read from a store made for it."""
    found = probe(path, ask_decord=False)
    segments = []
    for span in whole(found.duration_s):
        job = Job(path, span, EncodeSettings(256, 22), folder / f"{path.name}.{span.start_ms}.mp4")
        made = make(job)
        assert isinstance(made, Made), made
        stretch = job.target, span.start_s, span.stop_s
        ticks = made.first_tick, made.last_tick, made.tick
        segments.append(Segment(*stretch, *ticks))
    return Clip(path.name, path, 0.0, found.duration_s, found.fps, tuple(segments))


def renamed(clip: Clip, folder: Path) -> Iterator[Clip]:
    """A clip and its store under many other names, as if they were so many videos."""
    folder.mkdir(exist_ok=True)
    for number in range(_NAMES):
        segments = []
        for segment in clip.stored:
            segments.append(replace(segment, path=folder / f"{number}.{segment.path.name}"))
            os.link(segment.path, segments[-1].path)
        path = folder / f"{number}.original.{clip.path.name}"
        os.link(clip.path, path)
        yield replace(clip, path=path, stored=tuple(segments))
