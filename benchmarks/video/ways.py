"""Ways to read one window, each as its library's documentation has it, the file opened anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import av
import numpy as np
import torch
from torch.nn import functional

from sumlctl import console
from sumlctl.learning.data.clips import Clip
from sumlctl.learning.data.requests import decode

SHORT_SIDE = 256
LIMIT = "limit: bare decoding from the store"
STORE, ORIGINAL = "ours, from the store", "ours, from the original"
Way = Callable[[Clip, np.ndarray], Any]


def ways(sample: Clip, times_s: np.ndarray) -> Iterator[tuple[str, Way]]:
    """Those that work on this machine, by trying the window given."""
    yield STORE, lambda clip, times_s: decode(clip, times_s, SHORT_SIDE)[0]
    yield ORIGINAL, lambda clip, times_s: decode(replace(clip, stored=()), times_s, SHORT_SIDE)[0]
    others: dict[str, Way] = {
        "decord": _decord,
        "decord with width and height": partial(_decord, own_scaling=True),
        "PyAV": _pyav,
        "torchcodec": _torchcodec,
        "pytorchvideo": _pytorchvideo,
    }
    for name, way in others.items():
        try:
            way(sample, times_s)
        except (ImportError, RuntimeError) as error:
            console.note(f"{name} does not work here: {str(error).strip().splitlines()[0]}")
        else:
            yield name, way


def bare(packets: Sequence[av.Packet], extradata: bytes) -> None:
    """Decodes packets and does nothing with the pictures."""
    codec: Any = av.CodecContext.create("h264", "r")
    codec.extradata, codec.thread_count = extradata, 1
    for packet in [*packets, None]:
        codec.decode(packet)


def needed(clip: Clip, times_s: np.ndarray) -> tuple[list[av.Packet], bytes]:
    """The packets of the store that a window is made of, by H.264's own marks of references."""
    packets: list[av.Packet] = []
    for segment in clip.stored:
        begin = segment.first_tick * segment.tick
        with av.open(str(segment.path)) as container:
            stream = container.streams.video[0]
            extradata, tick = stream.codec_context.extradata, stream.time_base
            every = [packet for packet in container.demux(stream) if packet.size]
        starts = np.array(sorted(float(packet.pts * tick + begin) for packet in every))
        inside = times_s[(times_s >= segment.start_s) & (times_s <= segment.stop_s)]
        wanted = set(starts[np.searchsorted(starts, inside + 5e-4, side="right") - 1])
        group: list[tuple[bool, av.Packet]] = []
        for packet in [*every, None]:
            if packet is None or packet.is_keyframe:
                last = max((i for i, (is_wanted, _) in enumerate(group) if is_wanted), default=-1)
                packets += [
                    p for is_wanted, p in group[: last + 1] if is_wanted or _is_reference(p)
                ]
                group = []
            if packet is not None:
                group.append((float(packet.pts * tick + begin) in wanted, packet))
    return packets, extradata


def _is_reference(packet: av.Packet) -> bool:
    """The mark of its first slice (H.264, 7.4.1: nal_ref_idc)."""
    data, at = bytes(packet), 0
    while data[at + 4] & 31 not in {1, 5}:
        at += 4 + int.from_bytes(data[at : at + 4], "big")
    return bool(data[at + 4] >> 5 & 3)


def _decord(clip: Clip, times_s: np.ndarray, own_scaling: bool = False) -> np.ndarray:
    import decord

    size = {}
    if own_scaling:
        width, height = small_size(clip)
        size = {"width": width, "height": height}
    reader = decord.VideoReader(str(clip.path), num_threads=1, **size)
    return _scaled(reader.get_batch(_indices(clip, times_s)).asnumpy())


def _pyav(clip: Clip, times_s: np.ndarray) -> np.ndarray:
    wanted = _indices(clip, times_s)
    width, height = small_size(clip)
    found: dict[int, np.ndarray] = {}
    with av.open(str(clip.path)) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        container.seek(int(times_s[0] / stream.time_base), stream=stream)
        for frame in container.decode(stream):
            index = round(frame.pts * float(stream.time_base) * clip.fps)
            if index in wanted:
                found[index] = frame.to_ndarray(format="rgb24", width=width, height=height)
            if index >= wanted[-1]:
                break
    return np.stack([found[index] for index in wanted])


def _torchcodec(clip: Clip, times_s: np.ndarray) -> np.ndarray:
    from torchcodec.decoders import VideoDecoder

    decoder = VideoDecoder(str(clip.path), num_ffmpeg_threads=1, dimension_order="NHWC")
    return _scaled(decoder.get_frames_at(_indices(clip, times_s)).data.numpy())


def _pytorchvideo(clip: Clip, times_s: np.ndarray) -> np.ndarray:
    from pytorchvideo.data.encoded_video import EncodedVideo

    video = EncodedVideo.from_path(str(clip.path), decode_audio=False)
    span_s = (times_s[-1] - times_s[0]) + 1 / clip.fps
    frames = video.get_clip(times_s[0], times_s[0] + span_s)["video"]
    places = torch.linspace(0, frames.shape[1] - 1, len(times_s)).long()
    width, height = small_size(clip)
    return functional.interpolate(frames[:, places], (height, width), mode="bilinear").numpy()


def _indices(clip: Clip, times_s: np.ndarray) -> list[int]:
    return np.floor(times_s * clip.fps + 1e-3).astype(int).tolist()


def small_size(clip: Clip) -> tuple[int, int]:
    """Width and height of a clip's frames once they are scaled down."""
    with av.open(str(clip.path)) as container:
        stream = container.streams.video[0]
        scale = min(1.0, SHORT_SIDE / min(stream.width, stream.height))
        return round(stream.width * scale), round(stream.height * scale)


def _scaled(pixels: np.ndarray) -> np.ndarray:
    if min(pixels.shape[1:3]) <= SHORT_SIDE:
        return pixels
    from torchvision.transforms.v2 import functional as transforms

    images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    return transforms.resize(images, [SHORT_SIDE], antialias=True).permute(0, 2, 3, 1).numpy()
