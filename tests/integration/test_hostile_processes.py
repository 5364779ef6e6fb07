"""Training in processes of its own over videos that harm the decoder, and its sudden end."""

from __future__ import annotations

import os
import signal
import time

import pytest

from sumlctl import tables
from tests import forked
from tests.integration import trainings
from tests.integration.trainings import lines
from tests.processes import of_group
from tests.unit.learning import hostile, small_world

STUB = {"PYTHONPATH": hostile.python_path()}


@pytest.fixture
def world(workspace):
    small_world.build(workspace)
    return workspace


def test_two_processes_finish_and_account_for_every_hostile_file(world):
    for number, (dataset, deed) in enumerate(zip(("ego", "exo") * 2, hostile.DEEDS, strict=True)):
        hostile.corrupt(world.data(dataset, "videos") / f"v{2 * number}.mp4", deed)
    settings = ("workers=1", "max_failed_share=1", "stage_two.batch_size=2", "stage_two.epochs=2")
    line = trainings.words(world, "run", *hostile.LIMITS, *settings)
    both = forked.as_ranks(2, lambda ranked: forked.command(*line, environment=ranked | STUB))
    trainings.ended(both)
    lost = lines(world, "run", "video_quarantined")
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
    assert not [pid for process in both for pid in of_group(process.pid)]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_a_training_that_is_killed(world, number):
    """One of the workers is at a file that hangs."""
    hostile.corrupt(world.data("exo", "videos") / "v3.mp4", "hang")
    settings = ("workers=3", "stage_one.batch_size=2", "decode_timeout_s=1")
    run = forked.command(*trainings.words(world, "run", *settings), environment=STUB)
    try:
        run.wait_until(lambda: len(of_group(run.pid)) > 3)
        time.sleep(1.0)  # for the workers to come to it
        run.send(number)
        run.ended(-number if number == signal.SIGKILL else 128 + number)
        deadline = time.monotonic() + 60
        while of_group(run.pid):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        for pid in of_group(run.pid):
            os.kill(pid, signal.SIGKILL)
