"""The training step against the same two backbones alone, and against the released code's way.

* `bare`: forward, backward and optimiser of both encoders on tensors already in memory.
* `ours`: the whole step of `sumlctl train` on uint8 batches: chance drawn anew, crops, both
  encoders, projections, heads, all losses, the optimiser, the notes for the log.
* `released code's way`: the same in float32, with Sentence-BERT eight times over the batch's
  narrations in each step.

The two sides take turns in one process. Data loading is not in it; its share is told beside, from
a run on generated videos.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benchmarks.common import report
from sumlctl.config import Pipeline
from sumlctl.config.parsing import Component
from sumlctl.config.sections import Input, Optimiser
from sumlctl.learning import backbones, two_view
from sumlctl.learning.data.batches import padded
from sumlctl.learning.data.transforms import Augmentation
from sumlctl.learning.losses import suml
from sumlctl.learning.tasks import Block, Task
from sumlctl.learning.training import optimisation, stages
from sumlctl.learning.training.launch import launch
from sumlctl.learning.training.meter import Meter, weighted_sum
from sumlctl.learning.training.randomness import seed_everything
from sumlctl.learning.training.runlog import RunLog

_TURNS = 7
_NARRATIONS = ("open the drawer", "wash the cup under the tap", "put the pan on the hob", "stir")
_DIMENSION = 384


def main() -> None:
    gpu = torch.cuda.is_available()
    cases = [("tiny", 8, 112, 16), ("r3d50", 8, 112, 2)]
    if gpu:
        cases = [("r3d50", 8, 256, 16), ("slowfast50", 32, 256, 16), ("slowfast101", 32, 256, 8)]
    rows = []
    for name, frames, crop, batch_size in cases:
        rows += _case(name, frames, crop, batch_size)
    report("train", "one training step, both views (ratio to bare)", rows)


def _case(name: str, frames: int, crop: int, batch_size: int) -> list[dict[str, Any]]:
    size = Input(frames=frames, crop=crop, short_side=[crop, round(crop * 1.25)])
    pipeline = Pipeline(backbone=Component(name), input=size, optimiser=Optimiser())
    fabric = launch(1, "auto")
    batch = fabric.to_device(_batch(frames, crop, batch_size))
    sides = {
        "bare": _bare(pipeline, fabric, batch_size),
        "ours": _ours(pipeline, fabric, batch),
        "released code's way": _released(pipeline, fabric, batch),
    }
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(_TURNS + 1):
        for side, step in sides.items():
            start = time.perf_counter()
            step()
            if fabric.device.type == "cuda":
                torch.cuda.synchronize()
            if turn:
                seconds[side].append(time.perf_counter() - start)
    return [
        {
            "backbone": name,
            "clips": f"{batch_size} pairs of {frames} x {crop} x {crop}",
            "step": side,
            "seconds": statistics.median(taken),
            "ratio": statistics.median(t / b for t, b in zip(taken, seconds["bare"], strict=True)),
            "clips_per_s": 2 * batch_size / statistics.median(taken),
            "spread": (max(taken) - min(taken)) / statistics.median(taken),
        }
        for side, taken in seconds.items()
    ]


def _batch(frames: int, crop: int, count: int) -> dict[str, Any]:
    """A batch as the loader gives it: uint8 windows somewhat larger than the crop."""
    random = np.random.default_rng(0)
    height, width = crop, round(crop * 16 / 9)
    batch: dict[str, Any] = {"vectors": {}}
    for viewpoint in ("fpv", "tpv"):
        windows = random.integers(0, 256, (count, frames, height, width, 3), dtype=np.uint8)
        clips, sizes = padded(list(windows))
        labels = torch.from_numpy(random.integers(0, 2, (count, 89)).astype(np.int8))
        targets = {"noun": labels[:, 0].long() if viewpoint == "fpv" else labels}
        batch[viewpoint] = {"clips": clips, "sizes": sizes, "targets": targets}
    for name in ("d_f", "d_t"):
        vectors = torch.from_numpy(random.normal(size=(count, _DIMENSION)).astype(np.float32))
        batch["vectors"][name] = functional.normalize(vectors, dim=1)
    d_f, d_t = batch["vectors"]["d_f"], batch["vectors"]["d_t"]
    batch["vectors"]["similarity"] = (d_f * d_t).sum(dim=1)
    return batch


def _tasks() -> dict[str, list[Task]]:
    classes = tuple(map(str, range(89)))
    block = (Block("d", "nouns", classes),)
    return {"fpv": [Task("noun", True, block)], "tpv": [Task("noun", False, block)]}


def _bare(pipeline: Pipeline, fabric: Any, count: int) -> Callable[[], Any]:
    size = pipeline.input
    torch.manual_seed(0)
    pair = torch.nn.ModuleList([backbones.build(pipeline.backbone.name) for _ in range(2)])
    pair = pair.to(memory_format=torch.channels_last_3d)
    module, optimizer = fabric.setup(pair, optimisation.build(pair, pipeline.optimiser))
    clips = torch.randn(count, 3, size.frames, size.crop, size.crop, device=fabric.device)
    clips = clips.to(memory_format=torch.channels_last_3d)
    module.train()

    def step() -> None:
        with fabric.autocast():
            loss = sum(encoder(clips).float().mean() for encoder in pair)
        fabric.backward(loss)
        optimizer.step()
        optimizer.zero_grad()

    return step


def _ours(pipeline: Pipeline, fabric: Any, batch: dict[str, Any]) -> Callable[[], Any]:
    torch.manual_seed(0)
    model = two_view.build(pipeline, _tasks(), _DIMENSION)
    model = model.to(memory_format=torch.channels_last_3d)
    module, optimizer = fabric.setup(model, optimisation.build(model, pipeline.optimiser))
    module.train()
    augment = Augmentation(pipeline.input, 0)
    terms = stages.stage_two_terms(augment, _tasks(), suml.build(threshold=-1.0))
    steps = iter(range(1 << 30))
    with tempfile.TemporaryDirectory() as folder:
        log = RunLog(Path(folder), False)
    meter = Meter("stage_two", log, len(batch["vectors"]["d_f"]), 1 << 30, fabric.device)

    def step() -> None:
        number = next(steps)
        seed_everything(0, 0, number, 0)
        found = terms(module, batch, 0, number)
        loss = weighted_sum(found)
        fabric.backward(loss)
        meter.add(found, loss, 0.0, 0.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def _released(pipeline: Pipeline, fabric: Any, batch: dict[str, Any]) -> Callable[[], Any]:
    from sentence_transformers import SentenceTransformer

    from sumlctl.narrations import choose

    choice = choose.choose(choose.PACKAGED)
    encoder = SentenceTransformer(str(choice.folder), device=str(fabric.device))
    plain = launch(1, "32-true")
    step_of_encoders = _ours(pipeline, plain, batch)
    count = len(batch["vectors"]["d_f"])
    said = [f"{_NARRATIONS[i % 4]} {i}" for i in range(count)]

    def step() -> None:
        for _ in range(8):
            encoder.encode(said)
        step_of_encoders()

    return step
