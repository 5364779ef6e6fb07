"""Batches of decoded windows: which clips, which window of each, with labels and vectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from sumlctl.errors import SumlError
from sumlctl.learning.clips import Clip
from sumlctl.learning.randomness import generator
from sumlctl.video.read import read_frames

# Frames held at full size at once while a clip is scaled down.
_CHUNK = 64
# Timestamps of containers are rounded, to milliseconds at worst.
_TICK_S = 0.001
Batch = dict[str, Any]


def decode(clip: Clip, times_s: np.ndarray, short_side: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames of a clip, scaled down until the short side is at most `short_side` pixels.

    Args:
        clip: the clip.
        times_s: ascending times inside it, seconds.
        short_side: pixels.

    Returns:
        uint8 [T, H, W, 3], and the frames' own times [T].

    Raises:
        SumlError: the video cannot be decoded there.
    """
    pixels, stamps = [], []
    for chunk in np.split(times_s, range(_CHUNK, len(times_s), _CHUNK)):
        frames = read_frames(clip.path, chunk.tolist())
        pixels.append(_scaled(frames.pixels, short_side))
        stamps.append(frames.times_s)
    return np.concatenate(pixels), np.concatenate(stamps)


def _scaled(pixels: np.ndarray, short_side: int) -> np.ndarray:
    if min(pixels.shape[1:3]) <= short_side:
        return pixels
    from torchvision.transforms.v2 import functional

    images = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)
    scaled = functional.resize(images, [short_side], antialias=True)
    return scaled.permute(0, 2, 3, 1).contiguous().numpy()


@dataclass
class ClipReader:
    """Decodes windows of clips and keeps whole short clips while there is room.

    Args:
        short_side: largest short side in pixels.
        room: bytes for decoded clips, in each process that reads.
    """

    short_side: int
    room: int
    _kept: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def window(self, clip: Clip, times_s: np.ndarray) -> np.ndarray:
        """Frames of a clip on screen at given times: uint8 [T, H, W, 3].

        Raises:
            SumlError: the video cannot be decoded there.
        """
        if clip.clip_id not in self._kept and not self._keep(clip):
            return decode(clip, times_s, self.short_side)[0]
        pixels, stamps = self._kept[clip.clip_id]
        places = np.searchsorted(stamps, times_s + _TICK_S, side="right") - 1
        return pixels[places.clip(min=0)]

    def _keep(self, clip: Clip) -> bool:
        times_s = clip.every_frame()
        # Width is not known before decoding; 16:9 is as wide as videos usually are.
        if len(times_s) * 3 * self.short_side**2 * 16 // 9 > self.room:
            return False
        pixels, stamps = decode(clip, times_s, self.short_side)
        self._kept[clip.clip_id] = pixels, stamps
        self.room -= pixels.nbytes
        return True


class Failure(NamedTuple):
    """A clip that could not be decoded, and why."""

    clip_id: str
    reason: str


@dataclass(frozen=True)
class Side:
    """One viewpoint of the samples.

    Args:
        clips: the clips to draw from.
        rows: int64 [n], the clip of each sample.
        targets: task -> targets of the clips, first dimension as `clips`.
    """

    clips: Sequence[Clip]
    rows: np.ndarray
    targets: Mapping[str, np.ndarray]


class Samples(Dataset[Batch]):
    """Training samples: one window of each side's clip, drawn by (seed, epoch, index).

    A sample is asked for as (epoch, index). One that cannot be decoded is replaced by the next
    that can; the clip at fault is named in `failed`.

    Args:
        sides: viewpoint -> side, all with the same number of samples.
        vectors: name -> vectors of the samples [n, d].
        reader: decodes.
        frames: frames per window.
        stride: video frames from one frame of the window to the next.
        seed: of the run.
    """

    def __init__(
        self,
        sides: Mapping[str, Side],
        vectors: Mapping[str, np.ndarray],
        reader: ClipReader,
        frames: int,
        stride: int,
        seed: int,
    ) -> None:
        self.sides, self.vectors, self.reader = sides, vectors, reader
        self.frames, self.stride, self.seed = frames, stride, seed

    def __len__(self) -> int:
        return min(len(side.rows) for side in self.sides.values())

    def __getitem__(self, key: tuple[int, int]) -> Batch:
        epoch, first = key
        failed: list[Failure] = []
        for offset in range(len(self)):
            sample = self._sample(epoch, (first + offset) % len(self))
            if not isinstance(sample, Failure):
                return {**sample, "failed": failed}
            failed.append(sample)
        raise SumlError(
            "training clips",
            "none can be decoded",
            got=failed[0].reason,
            expected="readable videos",
            fix="Run `sumlctl index` again: it finds the videos at fault.",
        )

    def _sample(self, epoch: int, index: int) -> Batch | Failure:
        sample: Batch = {"vectors": {name: v[index] for name, v in self.vectors.items()}}
        positions = generator(self.seed, epoch, index).random(len(self.sides))
        for (viewpoint, side), position in zip(self.sides.items(), positions, strict=True):
            row = side.rows[index]
            clip = side.clips[row]
            try:
                window = self.reader.window(clip, clip.window(self.frames, self.stride, position))
            except SumlError as error:
                return Failure(clip.clip_id, str(error))
            targets = {task: values[row] for task, values in side.targets.items()}
            sample[viewpoint] = {"clips": window, "targets": targets}
        return sample


def collate(samples: Sequence[Batch]) -> Batch:
    """Stacks samples: arrays become tensors [B, ...], clips are padded to one size.

    `sizes` [B, 2] beside `clips` holds each clip's height and width; padding repeats the edge.
    `failed` becomes one list.
    """
    batch: Batch = {}
    for key in samples[0]:
        values = [sample[key] for sample in samples]
        if key == "failed":
            batch[key] = [failure for failures in values for failure in failures]
        elif key == "clips":
            batch["clips"], batch["sizes"] = padded(values)
        elif isinstance(values[0], dict):
            batch[key] = collate(values)
        else:
            batch[key] = torch.from_numpy(np.stack(values))
    return batch


def padded(clips: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips of several sizes in one tensor [B, T, H, W, 3], and their heights and widths [B, 2]."""
    sizes = np.array([clip.shape[1:3] for clip in clips])
    height, width = sizes.max(axis=0)
    same = [
        clip
        if (h, w) == (height, width)
        else np.pad(clip, ((0, 0), (0, height - h), (0, width - w), (0, 0)), mode="edge")
        for clip, (h, w) in zip(clips, sizes, strict=True)
    ]
    return torch.from_numpy(np.stack(same)), torch.from_numpy(sizes)


class EpochBatches:
    """Batches of (epoch, index) in an order drawn by (seed, epoch), shared among processes.

    Samples short of a whole batch wait for another epoch's order; a set smaller than a batch is
    one batch.

    Args:
        count: number of samples.
        batch_size: samples per process and batch.
        seed: of the run.
        rank: this process.
        world_size: number of processes.
    """

    def __init__(
        self, count: int, batch_size: int, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self.count, self.seed, self.epoch = count, seed, 0
        self.batch_size = min(batch_size, count // world_size)
        self.rank, self.world_size = rank, world_size

    def __len__(self) -> int:
        return self.count // (self.batch_size * self.world_size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = generator(self.seed, self.epoch).permutation(self.count)
        for batch in range(len(self)):
            first = (batch * self.world_size + self.rank) * self.batch_size
            yield [(self.epoch, int(i)) for i in order[first : first + self.batch_size]]


def loader(samples: Samples, batches: EpochBatches, workers: int) -> DataLoader[Batch]:
    """Reads batches ahead in worker processes, into pinned memory where a GPU will take them.

    Setting `batches.epoch` before an iteration chooses the epoch.
    """
    return DataLoader(
        samples,
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )
