"""Training in processes of its own over videos that harm the decoder, and its sudden end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from sumlctl import tables
from tests.processes import of_group
from tests.unit.learning import hostile, small_world


@pytest.fixture
def world(workspace):
    small_world.build(workspace)
    return workspace


def start(world, *settings: str, devices: int = 1) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "sumlctl", "train", "small", "--run", "run"]
    words += ["--workspace", str(world.root), "--devices", str(devices)]
    words += [word for setting in settings for word in ("--set", setting)]
    environment = os.environ | {"PYTHONPATH": hostile.python_path(), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        words, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )


def lines(world, event: str) -> list[dict]:
    log = world.run("run") / "log.jsonl"
    every = map(json.loads, log.read_text().splitlines()) if log.exists() else ()
    return [line for line in every if line["event"] == event]


def wait_until(true, process: subprocess.Popen[str] | None = None) -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_two_processes_finish_and_account_for_every_hostile_file(world):
    for number, (dataset, deed) in enumerate(zip(("ego", "exo") * 2, hostile.DEEDS, strict=True)):
        hostile.corrupt(world.data(dataset, "videos") / f"v{2 * number}.mp4", deed)
    settings = ("workers=1", "max_failed_share=1", "stage_two.batch_size=2", "stage_two.epochs=3")
    run = start(world, *hostile.LIMITS, *settings, devices=2)
    _, err = run.communicate(timeout=240)
    assert run.returncode == 0, err
    assert "Traceback" not in err
    lost = lines(world, "video_quarantined")
    deeds = dict(zip(("ego/0", "exo/2", "ego/4", "exo/6"), hostile.DEEDS, strict=True))
    assert {line["clip_id"]: line["reason"] for line in lost} == {
        clip: hostile.REASONS[deed] for clip, deed in deeds.items()
    }
    # A process asks again for what another has lost in the same epoch, and no later.
    asked = {(line["clip_id"], line["process"]) for line in lost}
    assert len(asked) == len(lost)
    for dataset in ("ego", "exo"):
        table = tables.read(world.table(dataset, "videos"), "videos")
        marked = {
            f"{dataset}/{video.removeprefix('v')}": error
            for video, status, error in zip(
                *(table[name].to_pylist() for name in ("video_id", "status", "error")), strict=True
            )
            if status == "unreadable"
        }
        assert marked == {
            clip: hostile.REASONS[deed] for clip, deed in deeds.items() if dataset in clip
        }
    assert not of_group(run.pid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_a_training_that_is_killed(world, number):
    """One of the workers is at a file that hangs."""
    hostile.corrupt(world.data("exo", "videos") / "v3.mp4", "hang")
    run = start(world, "workers=3", "stage_one.batch_size=2", "decode_timeout_s=6")
    try:
        wait_until(lambda: len(of_group(run.pid)) > 3, run)
        time.sleep(1.0)  # for the workers to come to it
        run.send_signal(number)
        run.communicate(timeout=60)
        wait_until(lambda: not of_group(run.pid))
    finally:
        for pid in of_group(run.pid):
            os.kill(pid, signal.SIGKILL)
    expected = -number if number == signal.SIGKILL else 128 + number
    assert run.returncode == expected
