"""What goes on from a savepoint: fp16's scale, other processes, machines that see another file."""

from __future__ import annotations

import os
import signal

import pytest
import torch
from lightning_fabric.plugins import MixedPrecision

from sumlctl.config.sections import Checkpoints
from sumlctl.errors import Interrupted, SumlError
from sumlctl.learning.losses.terms import Term
from sumlctl.learning.training.savepoints import CheckpointWriter, Position
from tests.unit.learning.training.loop import descend, trainer


def test_the_scale_of_fp16_gradients_is_kept(tmp_path):
    """A gradient of 4e8 overflows at a scale of 2^100, and no longer at the 2^99 that follows."""

    def terms(module, batch, epoch, step):
        steep = 4e8 if (epoch, step) in ((0, 1), (2, 0)) else 1.0
        return {"a": Term(1.0, steep * module(torch.tensor(1.0)))}

    def stopped(module, batch, epoch, step):
        if (epoch, step) == (1, 0):
            os.kill(os.getpid(), signal.SIGTERM)
        return terms(module, batch, epoch, step)

    def fit(run, terms):
        (tmp_path / run).mkdir(exist_ok=True)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**100)
        fp16 = MixedPrecision("16-mixed", "cpu", scaler)
        optimiser = {"clip_norm": 0.1, "momentum": 0.0}
        made = trainer(tmp_path / run, terms, 3, plugins=[fp16], optimiser=optimiser)
        try:
            made.fit()
        finally:
            scales.append(scaler.get_scale())
        return made.model.w.item()

    scales: list[float] = []
    whole = fit("whole", terms)
    assert whole == pytest.approx(1 - 5 * 0.5 * 0.1)  # of six steps the one that overflows is none
    with pytest.raises(Interrupted):
        fit("parts", stopped)
    assert fit("parts", terms) == whole
    assert scales == [2.0**99] * 3


@pytest.mark.parametrize(("before", "now", "batch"), [(1, 2, 16), (2, 1, 4), (4, 2, 4)])
def test_what_counts_of_a_savepoint_is_the_steps_that_were_done(tmp_path, before, now, batch):
    run = trainer(tmp_path, descend, epochs=1)
    (model, optimizer), kept = (run.model, torch.optim.SGD(run.model.parameters())), Checkpoints()

    def savepoints(group):
        return CheckpointWriter(run.fabric, tmp_path, "stage_two", {}, kept, group)

    savepoints(before).latest(model, optimizer, Position(3, 8))
    assert savepoints(now).restore(model, optimizer) == (3, batch)


def test_a_machine_that_sees_an_older_savepoint_does_not_go_on(tmp_path, monkeypatch):
    run = trainer(tmp_path, descend, epochs=1)
    points = CheckpointWriter(run.fabric, tmp_path, "stage_two", {}, Checkpoints())
    optimizer = torch.optim.SGD(run.model.parameters())
    points.latest(run.model, optimizer, Position(3, 2))
    told = iter([True, Position(4, 0)])
    monkeypatch.setattr(run.fabric, "broadcast", lambda _: next(told))
    with pytest.raises(SumlError, match=r"another savepoint .* got epoch 3, step 2; .* epoch 4,"):
        points.restore(run.model, optimizer)
