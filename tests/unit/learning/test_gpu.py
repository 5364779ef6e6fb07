"""What only a CUDA device can show: a step that never waits for it, and training in bf16."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from sumlctl import config
from sumlctl.config import Pipeline
from sumlctl.config.parsing import Component
from sumlctl.config.sections import Input, Optimiser
from sumlctl.learning import two_view
from sumlctl.learning.data.batches import padded
from sumlctl.learning.data.transforms import Augmentation
from sumlctl.learning.losses import suml
from sumlctl.learning.tasks import Block, Task
from sumlctl.learning.training import optimisation, stages
from sumlctl.learning.training.launch import launch
from sumlctl.learning.training.meter import weighted_sum
from sumlctl.learning.training.train import train
from tests.unit.learning import small_world

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="NO GPU: needs a CUDA device"),
]
TASKS = {
    "fpv": [Task("noun", True, (Block("d", "nouns", ("a", "b", "c")),))],
    "tpv": [Task("noun", False, (Block("d", "nouns", ("a", "b", "c")),))],
}


@pytest.mark.parametrize("backbone", ["tiny", "slowfast50"])
def test_a_step_never_waits_for_the_device(backbone):
    size = Input(frames=8, crop=64, short_side=[64, 80])
    pipeline = Pipeline(backbone=Component(backbone), input=size)
    fabric = launch(1, "bf16-mixed")
    model = two_view.build(pipeline, TASKS, 16).to(memory_format=torch.channels_last_3d)
    module, optimizer = fabric.setup(model, optimisation.build(model, Optimiser()))
    random = np.random.default_rng(0)
    batch = {"vectors": {}}
    for view in TASKS:
        windows = random.integers(0, 256, (4, 8, 72, 96, 3), dtype=np.uint8)
        clips, sizes = padded(list(windows))
        target = torch.tensor([0, 1, 2, 0])
        target = target if view == "fpv" else functional.one_hot(target, 3)
        batch[view] = {"clips": clips, "sizes": sizes, "targets": {"noun": target}}
    for name in ("d_f", "d_t"):
        batch["vectors"][name] = functional.normalize(torch.rand(4, 16), dim=1)
    batch["vectors"]["similarity"] = torch.ones(4)
    batch = fabric.to_device(batch)
    terms = stages.stage_two_terms(Augmentation(size, 0), TASKS, suml.build())

    def step(number: int) -> None:
        fabric.backward(weighted_sum(terms(module, batch, 0, number)))
        optimizer.step()
        optimizer.zero_grad()

    step(0)  # the first one allocates and chooses kernels
    torch.cuda.set_sync_debug_mode("error")
    try:
        step(1)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_mixed_precision_learns_eight_clips(workspace, precision):
    small_world.build(workspace)
    settings = (f"precision={precision}", "stage_two.epochs=50")
    pipeline = config.load(workspace.pipelines / "small.toml", settings)
    folder = train(workspace, pipeline)
    weights = torch.load(folder / "checkpoints" / "stage_two.pt", weights_only=True)["model"]
    assert all(torch.isfinite(weight).all() for weight in weights.values())
