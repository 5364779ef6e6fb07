"""Two commands at once: the second is told, and a killed one locks nobody out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sumlctl.errors import SumlError
from sumlctl.jobs.locks import alone
from tests.unit.learning import small_world

HOLD = """
import sys, time
from sumlctl.jobs.locks import alone
from sumlctl.workspace import Workspace
with alone(Workspace(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def hold(workspace):
    """Starts another process that holds a lock."""
    started = []

    def start(work):
        words = [sys.executable, "-c", HOLD, str(workspace.root), work]
        paths = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": paths}
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_the_same_work_is_not_done_twice_at_once(workspace, hold):
    process = hold("index ek55")
    again = pytest.raises(SumlError, match=r"index ek55: another sumlctl command is doing this")
    with again, alone(workspace, "index ek55"):
        pass
    with alone(workspace, "index lemma"), alone(workspace, "embed ek55"):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    with alone(workspace, "index ek55"):
        pass


def test_a_lock_goes_when_the_work_fails(workspace):
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), alone(workspace, "train a/b: c"):
            raise ZeroDivisionError


@pytest.mark.parametrize(
    ("work", "words"),
    [
        ("index ego", ["index", "ego"]),
        ("embed ego", ["embed", "ego", "--encoder", "hashed"]),
        ("decode ego", ["decode", "ego"]),
        ("mine-pairs ego--exo", ["mine-pairs", "--fpv", "ego", "--tpv", "exo"]),
        ("train r", ["train", "small", "--run", "r"]),
    ],
)
def test_commands_say_that_another_is_at_it(workspace, sumlctl, hold, work, words):
    small_world.build(workspace)
    hold(work)
    begun = time.monotonic()
    refused = sumlctl(*words)
    assert refused.code == 1
    assert f"error: {work}: another sumlctl command is doing this" in refused.err
    assert "Wait until it is done, then run this again." in refused.err
    assert time.monotonic() - begun < 30


def test_a_workspace_that_cannot_be_written_to(workspace):
    workspace.root.mkdir(parents=True)
    workspace.locks.write_text("in the way")
    with pytest.raises(SumlError, match=r"\.locks"), alone(workspace, "index ek55"):
        pass
