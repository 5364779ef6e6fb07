"""Batches of decoded windows: which clips, which window of each, with labels and vectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sumlctl.learning.data.clips import Clip
from sumlctl.learning.data.labels import Targets
from sumlctl.learning.data.ordered_reads import read_in_order
from sumlctl.learning.data.reader import Reader
from sumlctl.learning.data.requests import Failure, Window
from sumlctl.learning.training.randomness import generator

Batch = dict[str, Any]
_TRIES = 100  # samples in a row before one gives up to find another that decodes


@dataclass(frozen=True)
class SampleView:
    """One viewpoint of the samples.

    Args:
        clips: the clips to draw from.
        rows: int64 [n], the clip of each sample.
        targets: task -> targets of windows of the clips.
    """

    clips: Sequence[Clip]
    rows: np.ndarray
    targets: Mapping[str, Targets]


class Samples:
    """Training samples: one window of each side's clip, drawn by (seed, epoch, index).

    Args:
        sides: viewpoint -> side, all with the same number of samples.
        vectors: name -> vectors of the samples [n, d].
        frames: frames per window.
        stride: video frames from one frame of the window to the next.
        short_side: largest short side of the frames, in pixels.
        seed: of the run.
    """

    def __init__(
        self,
        sides: Mapping[str, SampleView],
        vectors: Mapping[str, np.ndarray],
        frames: int,
        stride: int,
        short_side: int,
        seed: int,
    ) -> None:
        self.sides, self.vectors = sides, vectors
        self.frames, self.stride, self.short_side, self.seed = frames, stride, short_side, seed

    def __len__(self) -> int:
        return min(len(side.rows) for side in self.sides.values())

    def windows(self, epoch: int, index: int) -> dict[str, Window]:
        """The sample's window of each viewpoint."""
        positions = generator(self.seed, epoch, index).random(len(self.sides))
        windows = {}
        for (viewpoint, side), position in zip(self.sides.items(), positions, strict=True):
            clip = side.clips[side.rows[index]]
            times_s = clip.window(self.frames, self.stride, position)
            windows[viewpoint] = Window(clip, times_s, self.short_side, keep=True)
        return windows

    def labels(self, index: int, windows: Mapping[str, Window]) -> Batch:
        """The sample's vectors, and for each viewpoint the targets of its window."""
        labels: Batch = {"vectors": {name: v[index] for name, v in self.vectors.items()}}
        for viewpoint, side in self.sides.items():
            row, times_s = side.rows[index], windows[viewpoint].times_s
            targets = {task: each.at(row, times_s) for task, each in side.targets.items()}
            labels[viewpoint] = {"targets": targets}
        return labels


class Clips:
    """Clips of several sizes in one tensor: uint8 [B, T, H, W, 3], pinned where a GPU takes it.

    `sizes` [B, 2] holds each clip's height and width; padding right and below repeats the edge.

    Args:
        count: number of clips.
    """

    def __init__(self, count: int) -> None:
        self.sizes = np.zeros((count, 2), dtype=np.int64)
        self._pixels = torch.empty(count, 0, 0, 0, 3, dtype=torch.uint8)

    def put(self, place: int, pixels: np.ndarray) -> None:
        """Copies one clip, uint8 [T, H, W, 3], to its place; whatever was there is replaced."""
        frames, height, width, _ = pixels.shape
        count, _, tallest, widest, _ = self._pixels.shape
        if height > tallest or width > widest:
            before, shape = self._pixels, (count, frames, max(height, tallest), max(width, widest))
            self._pixels = _empty((*shape, 3))
            self._pixels[:, : before.shape[1], :tallest, :widest] = before
        self._pixels.numpy()[place, :, :height, :width] = pixels
        self.sizes[place] = height, width

    def padded(self) -> torch.Tensor:
        """All clips."""
        height, width = self.sizes.max(axis=0)
        whole = self._pixels[:, :, :height, :width]
        for clip, (h, w) in zip(whole, self.sizes.tolist(), strict=True):
            clip[:, h:, :w] = clip[:, h - 1 : h, :w]
            clip[:, :, w:] = clip[:, :, w - 1 : w]
        return whole


def _empty(shape: tuple[int, ...]) -> torch.Tensor:
    if torch.cuda.is_available():
        return torch.empty(shape, dtype=torch.uint8, pin_memory=True)
    # NumPy asks for large pages: filling these costs a fifth of filling PyTorch's.
    return torch.from_numpy(np.empty(shape, dtype=np.uint8))


def padded(clips: Sequence[np.ndarray]) -> tuple[torch.Tensor, np.ndarray]:
    """Clips of several sizes in one tensor, and their heights and widths, as `Clips` has them."""
    together = Clips(len(clips))
    for place, clip in enumerate(clips):
        together.put(place, clip)
    return together.padded(), together.sizes


def collate(samples: Sequence[Batch]) -> Batch:
    """Stacks dictionaries of arrays: arrays become tensors [B, ...]."""
    return {
        key: collate([sample[key] for sample in samples])
        if isinstance(value, dict)
        else torch.from_numpy(np.stack([sample[key] for sample in samples]))
        for key, value in samples[0].items()
    }


class _Sample:
    """A sample on its way to its place in a batch.

    One that cannot be decoded is replaced by the next that can; after many in a row there is
    nothing else.
    """

    def __init__(
        self, samples: Samples, clips: Mapping[str, Clips], place: int, key: tuple[int, int]
    ) -> None:
        self._samples, self.clips, self._place = samples, clips, place
        self._epoch, self._first = key
        self.failures: Sequence[Failure] = ()
        self.labels: Batch = {}

    def windows(self, attempt: int) -> dict[str, Window]:
        if attempt == min(len(self._samples), _TRIES):
            return {}
        return self._samples.windows(self._epoch, self._index(attempt))

    def take(self, name: str, pixels: np.ndarray) -> None:
        self.clips[name].put(self._place, pixels)

    def done(self, attempt: int, failures: Sequence[Failure]) -> None:
        self.failures = failures
        if windows := self.windows(attempt):
            self.labels = self._samples.labels(self._index(attempt), windows)

    def _index(self, attempt: int) -> int:
        return (self._first + attempt) % len(self._samples)


class EpochBatches:
    """Batches of (epoch, index) in an order drawn by (seed, epoch), shared among processes.

    Samples short of a whole batch wait for another epoch's order; a set smaller than a batch is
    one batch. `epoch` and `first`, the batch to begin with, are set before an iteration.

    Args:
        count: number of samples.
        batch_size: samples per process and batch.
        seed: of the run.
        rank: this process.
        world_size: number of processes.
        group: batches of one step; an epoch's batches are a multiple of it, or one such group.
    """

    def __init__(
        self,
        count: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        group: int = 1,
    ) -> None:
        self.count, self.seed, self.epoch, self.first = count, seed, 0, 0
        self.batch_size = min(batch_size, count // world_size)
        self.rank, self.world_size = rank, world_size
        self.group = min(group, self._whole_batches())

    def _whole_batches(self) -> int:
        return self.count // (self.batch_size * self.world_size)

    def __len__(self) -> int:
        return self._whole_batches() // self.group * self.group

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = generator(self.seed, self.epoch).permutation(self.count)
        for batch in range(self.first, len(self)):
            begin = (batch * self.world_size + self.rank) * self.batch_size
            yield [(self.epoch, int(i)) for i in order[begin : begin + self.batch_size]]


class Loader:
    """Batches in the order of `batches`, read ahead.

    A batch is `vectors` name -> [B, d]; viewpoint -> `clips`, `sizes` (see `Clips`) and `targets`;
    and `failed`, what had to be replaced. Without anything that decodes, `failed` is all there is.

    Args:
        samples: what batches are made of.
        batches: their order.
        reader: decodes.
    """

    def __init__(self, samples: Samples, batches: EpochBatches, reader: Reader) -> None:
        self.samples, self.batches, self.reader = samples, batches, reader

    def __iter__(self) -> Iterator[Batch]:
        return self.reader.ahead(self._batches())

    def _batches(self) -> Iterator[Batch]:
        batch: list[_Sample] = []
        for sample in read_in_order(self.reader, self._in_order(), 2 * self.batches.batch_size):
            batch.append(sample)
            if len(batch) == self.batches.batch_size:
                yield _together(batch)
                batch = []

    def _in_order(self) -> Iterator[_Sample]:
        for keys in self.batches:
            clips = {viewpoint: Clips(len(keys)) for viewpoint in self.samples.sides}
            for place, key in enumerate(keys):
                yield _Sample(self.samples, clips, place, key)


def _together(samples: Sequence[_Sample]) -> Batch:
    failed = [failure for sample in samples for failure in sample.failures]
    if not all(sample.labels for sample in samples):
        return {"failed": failed}
    batch = collate([sample.labels for sample in samples])
    for viewpoint, clips in samples[0].clips.items():
        batch[viewpoint] |= {"clips": clips.padded(), "sizes": clips.sizes}
    return batch | {"failed": failed}
