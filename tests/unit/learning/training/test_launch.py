"""What is said when processes are lost, and what a restart needs to know."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest
from torch import distributed

from sumlctl.config import Pipeline
from sumlctl.config.sections import Optimiser
from sumlctl.errors import Interrupted, SumlError
from sumlctl.learning.training import launch, runs


@pytest.mark.parametrize(
    ("codes", "told"),
    [
        # The killed one is the cause: others lost it, or were stopped because of it.
        ({0: 1, 1: -9}, "process 1: it was killed, .* got SIGKILL;"),
        ({0: -15, 1: -9}, "process 1: it was killed, .* got SIGKILL;"),
        ({0: -15, 1: 1}, "process 1: training failed, got exit code 1;"),
        ({0: -15, 1: -11}, "process 1: it was killed, .* got SIGSEGV;"),
    ],
)
def test_the_cause_of_an_end_is_named(codes, told):
    with pytest.raises(SumlError, match=f"{told}.* `sumlctl train --resume mine` goes on"):
        raise launch._what_became(codes, "mine")


@pytest.mark.parametrize("codes", [{0: 143, 1: 143}, {0: 143, 1: -15}, {0: -15}])
def test_processes_that_were_asked_to_stop_were_interrupted(codes):
    became = launch._what_became(codes, None)
    assert isinstance(became, Interrupted)
    assert became.signal_number == signal.SIGTERM


def test_faults_of_what_processes_do_together_say_that_one_was_lost():
    gloo = "[/src/gloo/transport/tcp/pair.cc:545] Connection reset by peer. This is typically ..."
    for error in (RuntimeError(gloo), distributed.DistBackendError("NCCL error in: x")):
        with (
            pytest.raises(SumlError, match=r"lost, got .*--resume mine"),
            launch.report_lost_peers("mine"),
        ):
            raise error
    with pytest.raises(RuntimeError, match="shapes"), launch.report_lost_peers("mine"):
        raise RuntimeError("shapes cannot be multiplied")


def test_what_a_restart_by_torchrun_needs(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    launch.check_restarts(None)
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "0")
    launch.check_restarts(None)
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
    with pytest.raises(SumlError, match=r"--run: a restart could not tell .*Name the run"):
        launch.check_restarts(None)
    with pytest.raises(SumlError, match=r"^TORCH_DISABLE_SHARE_RDZV_TCP_STORE: .*Set it to 1"):
        launch.check_restarts("mine")
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "False")
    launch.check_restarts("mine")


@pytest.mark.parametrize(
    ("began", "now", "accumulate"),
    [
        ((2, 1, 1), (1, 1), 2),
        ((8, 2, 1), (4, 2), 2),
        ((8, 2, 1), (8, 1), 2),
        ((2, 1, 2), (4, 1), 1),
        ((8, 1, 3), (2, 4), 3),
        ((4, 1, 3), (6, 1), 2),
    ],
)
def test_a_step_has_the_same_batches_on_other_processes(began, now, accumulate):
    devices, nodes, added_up = began
    before = Pipeline(devices=devices, nodes=nodes, optimiser=Optimiser(accumulate=added_up))
    there_are = replace(before, devices=now[0], nodes=now[1])
    shared = runs.on_other_processes(there_are, before)
    assert shared == replace(there_are, optimiser=replace(before.optimiser, accumulate=accumulate))
    assert now[0] * now[1] * accumulate == devices * nodes * added_up


def test_batches_that_cannot_be_shared_evenly_are_refused():
    before = Pipeline(devices=4)
    with pytest.raises(SumlError, match=r"got 3 processes; expected 1 or 2 or 4; .* began with 4"):
        runs.on_other_processes(replace(before, devices=3), before)
    other = replace(before, devices=3, optimiser=Optimiser(accumulate=5))
    assert runs.on_other_processes(other, before) == other  # a change of its own
