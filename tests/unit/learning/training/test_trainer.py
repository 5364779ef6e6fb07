"""The loop: what stops it and what it logs."""

from __future__ import annotations

import json

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn
from torch.utils.data import DataLoader

from sumlctl.config import Optimiser, Stage
from sumlctl.errors import SumlError
from sumlctl.learning.batches import EpochBatches, Failure
from sumlctl.learning.losses.terms import Term
from sumlctl.learning.trainer import RunLog, StageTrainer


class Line(nn.Module):
    """y = w x, so that every gradient is known."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(1.0))

    def forward(self, x):
        return self.w * x


def trainer(path, terms, saved, epochs=2, failed=(), **optimiser):
    batches = EpochBatches(4, 2, seed=0)
    items = [(e, i) for e in range(epochs) for i in range(4)]
    feed = DataLoader(
        dict.fromkeys(items), batch_sampler=batches, collate_fn=lambda _: {"failed": list(failed)}
    )
    return StageTrainer(
        "stage_two",
        Fabric(accelerator="cpu", devices=1),
        Line(),
        batches,
        feed,
        terms,
        Stage(epochs=epochs, batch_size=2, learning_rate=0.5),
        Optimiser(schedule="constant", weight_decay=0.0, **optimiser),
        RunLog(path, True),
        10,
        saved.append,
    )


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_weighted_sum_goes_down_the_gradient_with_momentum(tmp_path):
    def terms(module, batch, epoch, step):
        y = module(torch.tensor(1.0))
        return {"a": Term(1.0, y), "b": Term(0.5, 2 * y), "logged_only": Term(0.0, 7 * y)}

    saved, path = [], tmp_path / "log.jsonl"
    run = trainer(path, terms, saved, momentum=0.5)
    run.fit()
    # The gradient is 2. Velocities: 2, 3, 3.5, 3.75; w = 1 - 0.5 * (2 + 3 + 3.5 + 3.75).
    assert run.model.w.item() == pytest.approx(1 - 0.5 * 12.25)
    assert saved == [1, 2]
    first, second = lines(path)
    # w is 1, then 0: means of the terms over the two steps of the first epoch.
    assert first["terms"] == {"a": 0.5, "b": 1.0, "logged_only": 3.5}
    assert (first["loss"], first["learning_rate"]) == (1.0, 0.5)
    assert (second["epoch"], second["step"], second["stage"]) == (1, 1, "stage_two")


def test_a_loss_that_is_not_finite_stops_and_is_named(tmp_path):
    def terms(module, batch, epoch, step):
        y = module(torch.tensor(1.0))
        bad = torch.tensor(float("nan") if (epoch, step) == (1, 0) else 1.0)
        return {"l_f": Term(1.0, y), "l_aw": Term(0.1, y * bad)}

    saved = []
    with pytest.raises(SumlError, match="epoch 1, step 0: term l_aw of the loss is not finite"):
        trainer(tmp_path / "log.jsonl", terms, saved).fit()
    assert saved == [1]


def test_replaced_clips_are_counted_and_named(tmp_path, capsys):
    def terms(module, batch, epoch, step):
        return {"a": Term(1.0, module(torch.tensor(1.0)))}

    path = tmp_path / "log.jsonl"
    trainer(path, terms, [], epochs=1, failed=[Failure("d/3", "broken")]).fit()
    named = [line for line in lines(path) if line["event"] == "clip_replaced"]
    assert [line["clip_id"] for line in named] == ["d/3", "d/3"]
    assert "stage_two: 2 undecodable clips replaced" in capsys.readouterr().err
