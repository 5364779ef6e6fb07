"""Class activation maps of 100 clips against a plain forward pass of the same clips.

Two tasks of EPIC-KITCHENS-100's sizes. Both sides run the same branch in batches and take turns,
batch by batch, on threads of one core; drawing is left out. X3D-S needs gradients for its maps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmarks.common import report, seconds
from sumlctl.evaluation.cam.class_maps import PREDICTED, ClassMaps, class_maps, resampled
from sumlctl.learning import backbones
from sumlctl.learning.tasks import Block, Task
from sumlctl.learning.two_view import Branch

CLIPS, BATCH = 100, 4
SIZES = {"verb": 97, "noun": 300}
# Backbone -> options, and frames, height and width of its clips.
SETUPS: dict[str, tuple[dict[str, Any], tuple[int, int, int]]] = {
    "tiny": ({"width": 16}, (8, 112, 200)),
    "r3d50": ({}, (4, 112, 200)),
    "x3d_s": ({}, (13, 112, 200)),
}


def main() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = [row for name in SETUPS for row in _compared(name)]
    finally:
        torch.set_num_threads(threads)
    title = f"class activation maps of {CLIPS} clips, one thread (ratio: to a forward pass)"
    report("cam", title, rows)


def _compared(name: str) -> list[dict[str, Any]]:
    options, (frames, height, width) = SETUPS[name]
    torch.manual_seed(0)
    tasks = [
        Task(task, True, (Block("d", f"{task}s", tuple(map(str, range(size)))),))
        for task, size in SIZES.items()
    ]
    branch = Branch(backbones.build(name, **options), tasks, dropout=0.4)
    branch = branch.to(memory_format=torch.channels_last_3d).eval().requires_grad_(False)
    wanted = {task: torch.full((BATCH,), PREDICTED) for task in SIZES}

    def plain(clips: Tensor) -> None:
        with torch.inference_mode():
            branch(clips)

    def maps(clips: Tensor) -> dict[str, ClassMaps]:
        return class_maps(branch, clips, wanted)

    def pixels(clips: Tensor) -> None:
        for found in maps(clips).values():
            resampled(found.maps, frames, height, width)

    ways = {"forward pass": plain, "class maps": maps, "class maps at every pixel": pixels}
    spent = dict.fromkeys(ways, 0.0)
    for batch in range(-1, CLIPS // BATCH):
        clips = torch.randn(BATCH, 3, frames, height, width)
        clips = clips.contiguous(memory_format=torch.channels_last_3d)
        # Whoever comes second finds warm caches, so that the order turns.
        turn = batch % len(ways)
        for what in [*ways][turn:] + [*ways][:turn]:
            taken = seconds(lambda what=what, clips=clips: ways[what](clips), 1)
            spent[what] += taken if batch >= 0 else 0.0
    return [
        {
            "backbone": name,
            "clip": f"{frames} x {height} x {width}",
            "what": what,
            "seconds": taken,
            "ratio": taken / spent["forward pass"],
        }
        for what, taken in spent.items()
    ]
