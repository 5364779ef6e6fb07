"""Class activation maps of clips with their frames, one branch of a run after another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sumlctl.evaluation.cam.class_maps import PREDICTED, ClassMaps, class_maps, resampled
from sumlctl.evaluation.cam.whole_frames import FrameWindow, WholeFrames, encoder_inputs
from sumlctl.evaluation.trained import Trained
from sumlctl.learning.data.clips import Clip
from sumlctl.learning.data.reader import Reader
from sumlctl.learning.data.requests import Failure
from sumlctl.learning.tasks import Task

_PICTURES = ("window", "maps")


@dataclass(frozen=True)
class Panel:
    """What one branch of a run sees of one class in one clip.

    Args:
        run: name of the run.
        method: its method, such as `sum-l`.
        viewpoint: whose branch.
        clip_id: the clip.
        narration: what it is said to show.
        similarity: cosine with the first-person clip's narration; None for that clip itself.
        task: `verb`, `noun` or `action`.
        class_name: the class.
        of: `truth` or `predicted`, whichever the class is.
        probability: softmax, or sigmoid where classes do not exclude each other.
        score: the class's logit, or how far it is above the mean logit of the task's classes.
        bias: the part of the score that comes from no place.
        relative: whether the score is above the mean.
        exact: whether means of the maps and bias add up to the score; otherwise it is a Grad-CAM.
        whole: whether the frames are whole, or their central squares.
        window: the frames.
        maps: of each pathway [T_i, H_i, W_i].
    """

    run: str
    method: str
    viewpoint: str
    clip_id: str
    narration: str
    similarity: float | None
    task: str
    class_name: str
    of: str
    probability: float
    score: float
    bias: float
    relative: bool
    exact: bool
    whole: bool
    window: FrameWindow
    maps: tuple[Tensor, ...]

    def heat(self, height: int, width: int) -> np.ndarray:
        """The map at every frame of the window, float32 [T, height, width]."""
        batch = [each[None] for each in self.maps]
        return resampled(batch, len(self.window.pixels), height, width)[0].numpy()

    def describe(self) -> dict[str, Any]:
        """The panel as plain values, without its pictures."""
        plain = {name: value for name, value in vars(self).items() if name not in _PICTURES}
        return plain | {"times_s": self.window.times_s.tolist()}


@dataclass(frozen=True)
class Source:
    """A branch and the clips that it looks at, one for each example.

    Args:
        trained: the run.
        viewpoint: whose branch.
        clips: the clips; None where an example has none.
        narrations: of the clips.
        similarities: of their narrations with those of the examples; None for the same clip.
        classes: task -> class for each clip; a task that is missing takes the predicted one.
        relative: as for `class_maps`.
    """

    trained: Trained
    viewpoint: str
    clips: Sequence[Clip | None]
    narrations: Sequence[str]
    similarities: Sequence[float | None]
    classes: Sequence[Mapping[str, int]]
    relative: bool

    def panels(self, device: torch.device) -> Iterator[list[Panel] | Failure | None]:
        """For each clip its panels, one per task, or why there are none; None without a clip."""
        branch, pipeline = self.trained.branch(self.viewpoint), self.trained.pipeline
        branch.to(device)
        frames = WholeFrames(self.clips, pipeline.input, self._square)
        first = 0
        with Reader.of(pipeline) as reader:
            for items in frames.batches(reader, pipeline.evaluation.batch_size):
                windows = {first + i: w for i, w in enumerate(items) if isinstance(w, FrameWindow)}
                seen = self._seen(windows, device)
                yield from (
                    seen[first + i] if isinstance(item, FrameWindow) else item
                    for i, item in enumerate(items)
                )
                first += len(items)

    @property
    def _square(self) -> bool:
        return hasattr(self.trained.branch(self.viewpoint).encoder, "clip_shape")

    def _seen(
        self, windows: Mapping[int, FrameWindow], device: torch.device
    ) -> dict[int, list[Panel]]:
        found: dict[int, list[Panel]] = {}
        branch = self.trained.branch(self.viewpoint)
        every = list(windows)
        short_side = self.trained.pipeline.input.crop
        for members, clips in encoder_inputs(list(windows.values()), short_side):
            places = [every[member] for member in members]
            classes = {
                task.name: torch.tensor([self.classes[p].get(task.name, PREDICTED) for p in places])
                for task in self.trained.tasks[self.viewpoint]
            }
            maps = class_maps(branch, clips.to(device), classes, self.relative)
            for i, place in enumerate(places):
                found[place] = [
                    self._panel(task, _one(maps[task.name], i), place, windows[place])
                    for task in self.trained.tasks[self.viewpoint]
                ]
        return found

    def _panel(self, task: Task, one: ClassMaps, place: int, window: FrameWindow) -> Panel:
        clip = self.clips[place]
        assert clip is not None
        logits = one.logits[0].float()
        number = int(one.classes[0])
        shares = logits.softmax(dim=0) if task.exclusive else logits.sigmoid()
        return Panel(
            run=self.trained.run,
            method=self.trained.pipeline.loss.name,
            viewpoint=self.viewpoint,
            clip_id=clip.clip_id,
            narration=self.narrations[place],
            similarity=self.similarities[place],
            task=task.name,
            class_name=[name for block in task.blocks for name in block.classes][number],
            of="truth" if task.name in self.classes[place] else "predicted",
            probability=float(shares[number]),
            score=float(one.score[0]),
            bias=float(one.bias[0]),
            relative=self.relative,
            exact=one.exact,
            whole=not self._square,
            window=window,
            maps=tuple(each[0] for each in one.maps),
        )


def _one(maps: ClassMaps, i: int) -> ClassMaps:
    """The i-th clip of a batch, on the host."""
    part = slice(i, i + 1)
    return ClassMaps(
        maps.classes[part].cpu(),
        maps.logits[part].cpu(),
        maps.score[part].cpu(),
        tuple(each[part].cpu() for each in maps.maps),
        maps.bias[part].cpu(),
        maps.exact,
    )
