"""The 30 views of a clip from one decoding, against each view as a clip of its own.

The video is generated: 20 s of moving noise, 456x256 at 50 frames a second, one keyframe in 250
frames; the clip is 6 s of it, and a window 32 frames at stride 2, as for SlowFast.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from benchmarks.common import report, seconds
from sumlctl.evaluation.views import ClipViews, Views
from sumlctl.learning import backbones
from sumlctl.learning.data.clips import Clip
from sumlctl.learning.data.reader import Reader
from sumlctl.learning.data.requests import decode
from sumlctl.learning.data.transforms import crops, view_boxes

_FPS, _SECONDS = 50, 20
_FRAMES, _STRIDE, _CROP = 32, 2, 256
_VIEWS = Views(10, 3)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        _write(path)
        clip = Clip("d/0", path, 4.0, 10.0, float(_FPS))
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        encoder = backbones.build("tiny", width=8).eval().to(device)
        together = seconds(lambda: _last(_at_once(clip, device)))
        apart = seconds(lambda: _last(_one_by_one(clip, device)))
        whole_together = seconds(lambda: _predict(encoder, _at_once(clip, device)))
        whole_apart = seconds(lambda: _predict(encoder, _one_by_one(clip, device)))
    rows = [
        _row("prepare 30 views, each a clip of its own", apart, apart),
        _row("prepare 30 views, one decoding", together, apart),
        _row("evaluate (tiny backbone), each a clip of its own", whole_apart, whole_apart),
        _row("evaluate (tiny backbone), one decoding", whole_together, whole_apart),
    ]
    report("views", "10x3 views of a clip of 6 s, 456x256 at 50 fps", rows)


def _row(what: str, taken: float, beside: float) -> dict[str, Any]:
    return {"what": what, "seconds": taken, "clips_per_s": 1 / taken, "ratio": beside / taken}


def _at_once(clip: Clip, device: torch.device) -> Iterator[torch.Tensor]:
    with Reader(0, 120, 2048) as reader:
        (batch,) = ClipViews([clip], _VIEWS, _FRAMES, _STRIDE, _CROP).batches(reader, 1)
    frames, places = ([one.to(device) for one in batch[key]] for key in ("frames", "places"))
    # One view per batch on both sides: large new arrays cost a CPU more than what is put in them.
    yield from _VIEWS.crops(frames, places, _CROP, 1)


def _one_by_one(clip: Clip, device: torch.device) -> Iterator[torch.Tensor]:
    for times_s in _VIEWS.times(clip, _FRAMES, _STRIDE):
        for position in (0.0, 0.5, 1.0):
            pixels, _ = decode(clip, times_s, _CROP)
            window = torch.from_numpy(pixels)[None].to(device)
            sizes = np.array([pixels.shape[1:3]])
            yield crops(window, view_boxes(sizes, position), _CROP)


def _last(views: Iterator[torch.Tensor]) -> None:
    for view in views:
        del view
    if torch.cuda.is_available():
        torch.cuda.synchronize()


@torch.inference_mode()
def _predict(encoder: Any, views: Iterator[torch.Tensor]) -> torch.Tensor:
    features = [encoder(view) for view in views]
    return torch.cat(features).mean(dim=0).cpu()


def _write(path: Path) -> None:
    random = np.random.default_rng(0)
    picture = random.integers(0, 256, (256 + 64, 456 + 64, 3), dtype=np.uint8)
    picture = picture.repeat(8, 0).repeat(8, 1)[: 256 + 512, : 456 + 512]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=_FPS)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 456, 256, "yuv420p", 250
        for i in range(_FPS * _SECONDS):
            top, left = (i * 2) % 512, (i * 3) % 512
            frame = np.ascontiguousarray(picture[top : top + 256, left : left + 456])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())
