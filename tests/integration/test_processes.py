"""Training in processes of its own: two at once, stopped by a signal, killed without warning."""

from __future__ import annotations

import signal

import pytest
import torch
from lightning_fabric import Fabric

from tests import forked
from tests.integration import gathered_step, trainings
from tests.integration.trainings import ended, ranks, same, steps, weights
from tests.unit.learning import small_world

SMALL_STEPS = ("stage_two.batch_size=2", "log.every=1", "head.dropout=0.3")


@pytest.fixture
def world(workspace):
    small_world.build(workspace)
    return workspace


@pytest.fixture(scope="module")
def gathered(tmp_path_factory):
    """What each of two processes made of every case."""
    path = tmp_path_factory.mktemp("gathered") / "gradients"
    ended(forked.as_ranks(2, lambda e: forked.Process(gathered_step.main, [path], e)))
    return [torch.load(f"{path}.{rank}", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("name", gathered_step.CASES)
def test_two_processes_with_gathered_negatives_take_the_step_of_one(gathered, name):
    alone = gathered_step.step(Fabric(accelerator="cpu", devices=1), name)
    own = ("term.l_f", "term.l_t")  # of a process's own clips
    for both in (each[name] for each in gathered):
        assert both.keys() == alone.keys()
        for key in alone.keys() - own:
            difference = (both[key] - alone[key]).norm() / alone[key].norm().clamp(min=1e-9)
            assert difference < 1e-5, key
    if "term.l_aw" in alone:
        assert (alone["term.l_aw"] == 0) == (name == "one kept of all")


def test_two_processes_stop_for_a_signal_and_go_on_to_the_same_weights(world):
    settings = (*SMALL_STEPS, "stage_two.epochs=20", "gather_negatives=true")
    said = ended(ranks(world, "whole", *settings))
    assert said.count("run: runs/whole") == 1
    assert steps(world, "whole") == 20 * 2  # 8 pairs, 2 processes, 2 a batch

    (world.run("whole") / "checkpoints" / "stage_one.pt").unlink()
    parts = ranks(world, "parts", *settings, "workers=1")
    parts[0].wait_until(lambda: steps(world, "parts") >= 6)
    parts[1].send(signal.SIGTERM)  # as where one of several machines is taken away
    assert ended(parts, 128 + signal.SIGTERM).count("interrupted") == 1
    latest = torch.load(world.run("parts") / "checkpoints" / "latest.pt", weights_only=True)
    assert latest["stage"] == "stage_two"
    said = ended(ranks(world, "parts", *settings))  # the same command, as a scheduler repeats it
    assert f"goes on at epoch {latest['position'][0]}" in said
    assert same(weights(world, "parts"), weights(world, "whole"))


def test_a_run_that_was_killed_goes_on_from_its_last_savepoint(world):
    settings = (*SMALL_STEPS, "stage_two.epochs=10")
    forked.command(*trainings.words(world, "whole", *settings)).ended()
    (world.run("whole") / "checkpoints" / "stage_one.pt").unlink()
    often = "checkpoints.latest_every_s=0.05"
    killed = forked.command(*trainings.words(world, "killed", *settings, often))
    killed.wait_until(lambda: steps(world, "killed") >= 8)
    killed.send(signal.SIGKILL)
    killed.ended(-signal.SIGKILL)
    again = forked.command(*trainings.words(world, "killed", *settings, resume=True))
    assert "stage_two: goes on at epoch" in again.ended()
    assert same(weights(world, "killed"), weights(world, "whole"))
