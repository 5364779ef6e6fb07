"""The loop: its steps by hand, what stops it, what it logs, and how it goes on."""

from __future__ import annotations

import os
import signal

import pytest
import torch

from sumlctl.config.sections import Log
from sumlctl.errors import Interrupted, SumlError
from sumlctl.learning.data.requests import Failure
from sumlctl.learning.losses.terms import Term
from sumlctl.learning.training import interrupt
from sumlctl.learning.training.runlog import RunLog
from tests.unit.learning.training.loop import batch_of, descend, lines, trainer


def test_weighted_sum_goes_down_the_gradient_with_momentum(tmp_path):
    run = trainer(tmp_path, descend, optimiser={"momentum": 0.5})
    run.fit()
    # The gradient is 2. Velocities: 2, 3, 3.5, 3.75; w = 1 - 0.5 * (2 + 3 + 3.5 + 3.75).
    assert run.model.w.item() == pytest.approx(1 - 0.5 * 12.25)
    first, second = lines(tmp_path)
    # w is 1, then 0: means of the terms over the two steps of the first epoch.
    assert first["terms"] == {"a": 0.5, "b": 1.0, "idle": 3.5}
    assert (first["loss"], first["learning_rate"]) == (1.0, 0.5)
    assert (second["epoch"], second["step"], second["stage"]) == (1, 1, "stage_two")
    assert 0 <= first["data_wait_share"] <= 1 and first["memory_mb"] > 10


def test_accumulated_batches_make_one_step_of_their_mean(tmp_path):
    def terms(module, batch, epoch, step):
        return {"a": Term(1.0, module(torch.tensor(float(step))))}

    run = trainer(
        tmp_path, terms, epochs=1, batches=5, optimiser={"momentum": 0.0, "accumulate": 2}
    )
    run.fit()
    # Steps of the gradients (0 + 1) / 2 and (2 + 3) / 2; the fifth batch waits.
    assert run.model.w.item() == pytest.approx(1 - 0.5 * (0.5 + 2.5))


def test_the_gradient_is_clipped(tmp_path):
    run = trainer(tmp_path, descend, epochs=1, optimiser={"momentum": 0.0, "clip_norm": 0.25})
    run.fit()
    assert run.model.w.item() == pytest.approx(1 - 2 * 0.5 * 0.25)


def test_a_loss_that_is_not_finite_stops_and_is_named(tmp_path):
    def terms(module, batch, epoch, step):
        y = module(torch.tensor(1.0))
        bad = torch.tensor(float("nan") if (epoch, step) == (1, 0) else 1.0)
        return {"l_f": Term(1.0, y), "l_aw": Term(0.1, y * bad)}

    always = {"latest_every_s": 1e-9}
    with pytest.raises(SumlError, match="epoch 1, step 0: term l_aw of the loss is not finite"):
        trainer(tmp_path, terms, checkpoints=always).fit()
    latest = torch.load(tmp_path / "checkpoints" / "latest.pt", weights_only=True)
    assert latest["position"] == (0, 2)
    assert torch.isfinite(latest["model"]["w"])


def test_what_is_not_finite_is_never_kept(tmp_path):
    def terms(module, batch, epoch, step):
        return {"l_f": Term(1.0, module(torch.tensor(float("inf"))))}

    always = {"latest_every_s": 1e-9}
    with pytest.raises(SumlError, match="step 0: term l_f"):
        trainer(tmp_path, terms, checkpoints=always).fit()
    assert not (tmp_path / "checkpoints").exists()


def test_replaced_clips_are_counted_and_named(tmp_path, capsys):
    failed = [Failure("d/3", "broken")]
    trainer(tmp_path, descend, epochs=1, failed=failed, max_failed_share=0.5).fit()
    named = [line for line in lines(tmp_path) if line["event"] == "clip_replaced"]
    assert [line["clip_id"] for line in named] == ["d/3", "d/3"]
    said = "stage_two: 2 undecodable clips replaced, 1 different"
    assert said in capsys.readouterr().err


def test_too_many_replaced_clips_stop_the_run(tmp_path):
    failed = [Failure("d/3", "broken")]
    with pytest.raises(SumlError, match=r"too many clips.*got 2 of an epoch's 4; .* at most 49%"):
        trainer(tmp_path, descend, failed=failed, max_failed_share=0.49).fit()
    # The share is of an epoch: one in four clips in each of many epochs goes through.
    few = iter([failed, [], failed, []])

    def terms(module, batch, epoch, step):
        return descend(module, batch, epoch, step)

    run = trainer(tmp_path, terms, max_failed_share=0.25)
    run.loader.collate_fn = lambda _: batch_of(next(few))
    run.fit()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("group", [1, 2])
def test_a_signal_ends_the_step_and_the_rest_is_as_if_it_had_not_come(tmp_path, number, group):
    """Each step depends on where it is, so that a step left out or done twice would show."""

    def terms(module, batch, epoch, step):
        noise = torch.rand(())  # as dropout would draw it
        return {"a": Term(1.0, module(noise + epoch + step / 10) ** 2)}

    def stopped(module, batch, epoch, step):
        if (epoch, step) == (1, 2):
            os.kill(os.getpid(), number)
        return terms(module, batch, epoch, step)

    settings = {"epochs": 3, "batches": 6, "optimiser": {"accumulate": group, "clip_norm": 0.1}}
    for run in ("whole", "parts"):
        (tmp_path / run).mkdir()
    whole = trainer(tmp_path / "whole", terms, **settings)
    whole.fit()
    with pytest.raises(Interrupted, match=r"stage_two, epoch 1, step [34]; .*--resume parts") as e:
        trainer(tmp_path / "parts", stopped, **settings).fit()
    assert e.value.signal_number == number
    assert signal.getsignal(number) != stopped
    torch.manual_seed(99)
    again = trainer(tmp_path / "parts", terms, **settings)
    again.fit()
    assert again.model.w.item() == whole.model.w.item()
    resumed = [line for line in lines(tmp_path / "parts") if line["event"] == "resumed"]
    assert [(line["epoch"], line["step"]) for line in resumed] == [(1, 2 + group)]
    assert {p.name for p in (tmp_path / "parts" / "checkpoints").iterdir()} == {"stage_two.pt"}


def test_a_second_signal_is_not_held_back(tmp_path, monkeypatch):
    monkeypatch.setattr(interrupt, "_SAME_WISH_S", -1.0)

    def terms(module, batch, epoch, step):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the second one had no effect")

    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path, terms).fit()


def test_weights_that_are_not_finite_are_never_kept(tmp_path):
    def terms(module, batch, epoch, step):
        y = module(torch.tensor(1.0))
        return {"l_f": Term(1.0, (y - y.detach()).abs().sqrt() + 1)}  # its slope is infinite

    with pytest.raises(SumlError, match="stage_two: the weights are not finite"):
        trainer(tmp_path, terms, epochs=1, batches=1).fit()
    assert not (tmp_path / "checkpoints").exists()


def test_a_score_that_is_no_number_is_never_the_best(tmp_path):
    scores = iter([float("nan"), 0.2, float("nan"), 0.1])
    kept = {"validate_every": 1}
    run = trainer(
        tmp_path, descend, epochs=4, validate=lambda *_: {"verb": next(scores)}, checkpoints=kept
    )
    run.fit()
    assert torch.load(tmp_path / "checkpoints" / "best.pt", weights_only=True)["score"] == 0.2


def test_a_row_of_clips_that_cannot_be_decoded_stops_the_run(tmp_path):
    run = trainer(tmp_path, descend)
    run.loader.collate_fn = lambda _: {"failed": [Failure("d/3", "broken")]}
    with pytest.raises(SumlError, match=r"many clips in a row .* got d/3: broken"):
        run.fit()


def test_a_signal_passed_on_twice_at_once_is_one_wish(tmp_path):
    def terms(module, batch, epoch, step):
        if (epoch, step) == (0, 1):
            for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
                os.kill(os.getpid(), number)
        return descend(module, batch, epoch, step)

    with pytest.raises(Interrupted, match="epoch 0, step 2"):
        trainer(tmp_path, terms).fit()
    assert (tmp_path / "checkpoints" / "latest.pt").is_file()


def test_kept_epochs_and_the_best_one(tmp_path, capsys):
    scores = iter([0.5, 0.9, 0.2, 0.9])

    def validate(model, fabric):
        return {"verb": next(scores), "noun": 0.1}

    kept = {"keep_every": 2, "validate_every": 1}
    run = trainer(tmp_path, descend, epochs=4, validate=validate, checkpoints=kept)
    run.fit()
    files = {p.name: torch.load(p, weights_only=True) for p in (tmp_path / "checkpoints").iterdir()}
    assert files.keys() == {
        "stage_two.pt",
        "stage_two.epoch_2.pt",
        "stage_two.epoch_4.pt",
        "best.pt",
    }
    assert files["best.pt"]["epochs"] == 2
    assert torch.equal(files["best.pt"]["model"]["w"], files["stage_two.epoch_2.pt"]["model"]["w"])
    told = [line for line in lines(tmp_path) if line["event"] == "validation"]
    assert [(line["epoch"], line["best"]) for line in told] == [
        (1, True),
        (2, True),
        (3, False),
        (4, False),
    ]
    assert "after epoch 2: verb 90.0%, noun 10.0% (best)" in capsys.readouterr().err


def test_out_of_memory_says_what_to_lower(tmp_path):
    def terms(module, batch, epoch, step):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    with pytest.raises(SumlError, match=r"out of memory, got CUDA.*Lower stage_two\.batch_size"):
        trainer(tmp_path, terms).fit()


def test_other_faults_keep_their_names(tmp_path):
    def terms(module, batch, epoch, step):
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="multiplied"):
        trainer(tmp_path, terms).fit()


def test_a_scaled_rate_is_said(tmp_path, capsys):
    optimiser = {"rate_for_batch": 8, "momentum": 0.0}
    run = trainer(tmp_path, descend, epochs=1, optimiser=optimiser)
    run.fit()
    assert "learning rate 0.5 x 2 clips per step / 8 = 0.125" in capsys.readouterr().err
    assert run.model.w.item() == pytest.approx(1 - 2 * 0.125 * 2)


def test_logs_without_their_package_are_refused(tmp_path, monkeypatch):
    for module in ("torch.utils.tensorboard", "wandb"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(SumlError, match=r"log\.tensorboard: tensorboard is not installed"):
        RunLog(tmp_path, True, Log(tensorboard=True))
    with pytest.raises(SumlError, match=r"log\.wandb: wandb is not installed"):
        RunLog(tmp_path, True, Log(wandb="project"))
    RunLog(tmp_path, False, Log(tensorboard=True, wandb="project"))
