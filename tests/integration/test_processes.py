"""Training in processes of its own: two at once, stopped by a signal, killed without warning."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric

from tests.integration import gathered_step
from tests.unit.learning import small_world

ROOT = Path(__file__).parents[2]
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
SMALL_STEPS = ("stage_two.batch_size=2", "log.every=1", "head.dropout=0.3")


@pytest.fixture
def world(workspace):
    small_world.build(workspace)
    return workspace


def start(*words: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )


def train(world, run: str, *settings: str, devices: int = 1) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "sumlctl", "train", "--workspace", str(world.root)]
    words += ["--resume", run] if world.run(run).exists() else ["small", "--run", run]
    words += [word for setting in settings for word in ("--set", setting)]
    return start(*words, "--devices", str(devices))


def ended(process: subprocess.Popen[str], code: int = 0) -> str:
    _, err = process.communicate(timeout=240)
    assert process.returncode == code, err
    assert "Traceback" not in err
    return err


def lines(world, run: str) -> list[dict]:
    log = world.run(run) / "log.jsonl"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def wait_for_steps(world, run: str, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while sum(line.get("stage") == "stage_two" for line in lines(world, run)) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def weights(world, run: str, name: str = "stage_two.pt") -> dict[str, torch.Tensor]:
    return torch.load(world.run(run) / "checkpoints" / name, weights_only=True)["model"]


def test_two_processes_with_gathered_negatives_take_the_step_of_one(tmp_path):
    both = start(*TORCHRUN, str(Path(gathered_step.__file__)), str(tmp_path / "gradients.pt"))
    fabric = Fabric(accelerator="cpu", devices=1)
    alone = gathered_step.step(fabric, 0, 1)
    ended(both)
    together = torch.load(tmp_path / "gradients.pt", weights_only=True)
    assert together.keys() == alone.keys()
    for name, gradient in alone.items():
        difference = (together[name] - gradient).norm() / gradient.norm()
        assert difference < 1e-5, name


def test_two_processes_stop_for_a_signal_and_go_on_to_the_same_weights(world):
    settings = (*SMALL_STEPS, "stage_two.epochs=20", "gather_negatives=true", "workers=1")
    whole = train(world, "whole", *settings, devices=2)
    err = ended(whole)
    assert err.count("run: runs/whole") == 1
    steps = [line for line in lines(world, "whole") if line.get("stage") == "stage_two"]
    assert len(steps) == 20 * 2  # 8 pairs, 2 processes, 2 a batch

    (world.run("whole") / "checkpoints" / "stage_one.pt").unlink()
    parts = train(world, "parts", *settings, devices=2)
    wait_for_steps(world, "parts", 6, parts)
    os.killpg(parts.pid, signal.SIGTERM)  # as a batch system does: every process hears it
    assert "interrupted" in ended(parts, 128 + signal.SIGTERM)
    latest = torch.load(world.run("parts") / "checkpoints" / "latest.pt", weights_only=True)
    assert latest["stage"] == "stage_two"
    err = ended(train(world, "parts", *settings, devices=2))
    assert f"goes on at epoch {latest['position'][0]}" in err
    again, expected = weights(world, "parts"), weights(world, "whole")
    assert all(torch.equal(again[name], weight) for name, weight in expected.items())


def test_a_run_that_was_killed_goes_on_from_its_last_savepoint(world):
    settings = (*SMALL_STEPS, "stage_two.epochs=20", "checkpoints.latest_every_s=0.05")
    ended(train(world, "whole", *settings))
    (world.run("whole") / "checkpoints" / "stage_one.pt").unlink()
    killed = train(world, "killed", *settings)
    wait_for_steps(world, "killed", 12, killed)
    killed.kill()
    killed.communicate()
    err = ended(train(world, "killed", *settings))
    assert "stage_two: goes on at epoch" in err
    again, expected = weights(world, "killed"), weights(world, "whole")
    assert all(torch.equal(again[name], weight) for name, weight in expected.items())
