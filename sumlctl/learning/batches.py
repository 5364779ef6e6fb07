"""Batches of decoded windows: which clips, which window of each, with labels and vectors."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from sumlctl.errors import SumlError
from sumlctl.learning.clips import Clip
from sumlctl.learning.labels import Targets
from sumlctl.learning.randomness import generator
from sumlctl.learning.reading import ClipReader

Batch = dict[str, Any]
_TRIES = 100  # samples in a row before one gives up to find another that decodes


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
        targets: task -> targets of windows of the clips.
    """

    clips: Sequence[Clip]
    rows: np.ndarray
    targets: Mapping[str, Targets]


class Samples(Dataset[Batch]):
    """Training samples: one window of each side's clip, drawn by (seed, epoch, index).

    A sample is asked for as (epoch, index). One that cannot be decoded is replaced by the next
    that can; the clip at fault is named in `failed`. After many in a row there is nothing else.

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
        for offset in range(min(len(self), _TRIES)):
            sample = self._sample(epoch, (first + offset) % len(self))
            if not isinstance(sample, Failure):
                return {**sample, "failed": failed}
            failed.append(sample)
        return {"failed": failed}

    def _sample(self, epoch: int, index: int) -> Batch | Failure:
        sample: Batch = {"vectors": {name: v[index] for name, v in self.vectors.items()}}
        positions = generator(self.seed, epoch, index).random(len(self.sides))
        for (viewpoint, side), position in zip(self.sides.items(), positions, strict=True):
            row = side.rows[index]
            clip = side.clips[row]
            times_s = clip.window(self.frames, self.stride, position)
            try:
                window = self.reader.window(clip, times_s)
            except SumlError as error:
                return Failure(clip.clip_id, str(error))
            targets = {task: labels.at(row, times_s) for task, labels in side.targets.items()}
            sample[viewpoint] = {"clips": window, "targets": targets}
        return sample


def collate(samples: Sequence[Batch]) -> Batch:
    """Stacks samples: arrays become tensors [B, ...], clips are padded to one size.

    `sizes` [B, 2] beside `clips` holds each clip's height and width; padding repeats the edge.
    `failed` becomes one list; it is all there is where a sample has nothing else.
    """
    if any(sample.keys() == {"failed"} for sample in samples):
        return {"failed": [failure for sample in samples for failure in sample["failed"]]}
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


def padded(clips: Sequence[np.ndarray]) -> tuple[torch.Tensor, np.ndarray]:
    """Clips of several sizes in one tensor [B, T, H, W, 3], and their heights and widths [B, 2].

    The sizes stay on the host, where boxes are drawn.
    """
    sizes = np.array([clip.shape[1:3] for clip in clips])
    height, width = sizes.max(axis=0)
    same = [
        clip
        if (h, w) == (height, width)
        else np.pad(clip, ((0, 0), (0, height - h), (0, width - w), (0, 0)), mode="edge")
        for clip, (h, w) in zip(clips, sizes, strict=True)
    ]
    return torch.from_numpy(np.stack(same)), sizes


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


def loader(samples: Samples, batches: EpochBatches, workers: int) -> DataLoader[Batch]:
    """Reads batches ahead in worker processes, into pinned memory where a GPU will take them."""
    return DataLoader(
        samples,
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_leave_interrupts_to_the_parent,
    )


def _leave_interrupts_to_the_parent(worker: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
