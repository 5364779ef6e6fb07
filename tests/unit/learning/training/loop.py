"""The training loop over a model of one weight, whose every gradient is known."""

from __future__ import annotations

import json

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.utils.data import DataLoader

from sumlctl.config import Pipeline
from sumlctl.config.sections import Checkpoints, Optimiser, Stage
from sumlctl.learning.data.batches import EpochBatches
from sumlctl.learning.data.reader import Reader
from sumlctl.learning.losses.terms import Term
from sumlctl.learning.training.quarantine import Quarantine
from sumlctl.learning.training.runlog import RunLog
from sumlctl.learning.training.savepoints import CheckpointWriter
from sumlctl.learning.training.trainer import StageTrainer


class Line(nn.Module):
    """y = w x, so that every gradient is known."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(1.0))

    def forward(self, x):
        return self.w * x


def batch_of(failed):
    return {"failed": list(failed), "vectors": {}}


def trainer(folder, terms, epochs=2, failed=(), batches=2, validate=None, plugins=None, **settings):
    optimiser = {"schedule": "constant", "weight_decay": 0.0} | settings.pop("optimiser", {})
    kept = Checkpoints(**settings.pop("checkpoints", {}))
    pipeline = Pipeline(optimiser=Optimiser(**optimiser), checkpoints=kept, **settings)
    fabric = Fabric(accelerator="cpu", devices=1, plugins=plugins)
    order = EpochBatches(2 * batches, 2, seed=0, group=pipeline.optimiser.accumulate)
    items = [(e, i) for e in range(epochs) for i in range(2 * batches)]
    feed = DataLoader(
        dict.fromkeys(items), batch_sampler=order, collate_fn=lambda _: batch_of(failed)
    )
    log, reader = RunLog(folder, True), Reader(0, 60, 512)
    return StageTrainer(
        Stage(epochs=epochs, batch_size=2, learning_rate=0.5),
        pipeline,
        fabric,
        Line(),
        order,
        feed,
        terms,
        CheckpointWriter(
            fabric, folder / "checkpoints", "stage_two", {"tasks": {}}, kept, order.group
        ),
        log,
        Quarantine(fabric, log, "stage_two", reader),
        validate,
    )


def descend(module, batch, epoch, step):
    """Terms with the gradient 2."""
    y = module(torch.tensor(1.0))
    return {"a": Term(1.0, y), "b": Term(0.5, 2 * y), "idle": Term(0.0, 7 * y)}


def lines(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
