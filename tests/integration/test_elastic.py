"""Training under torchrun and sumlctl's own launcher while processes and nodes come and go."""

from __future__ import annotations

import math
import os
import signal
import socket
from pathlib import Path

import pytest

from sumlctl.workspace import Workspace
from tests import forked
from tests.integration import trainings
from tests.integration.trainings import ended, lines, same, steps, weights
from tests.processes import children
from tests.unit.learning import small_world

EPOCHS, PAIRS = 20, 9
# Nine pairs, four to a step: one is left over in each epoch.
SETTINGS = ("stage_one.batch_size=2", "stage_two.batch_size=2", f"stage_two.epochs={EPOCHS}")
SETTINGS += ("log.every=1", "head.dropout=0.3", "cache_mb=0", "optimiser.schedule=cosine")
OFTEN = "checkpoints.latest_every_s=0.1"
# What a process reads in stage one and in an epoch of stage two: batches, samples, views.
STAGE_ONE, EPOCH = 2 * 2 * 2, 2 * 2 * 2


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    workspace = Workspace(tmp_path_factory.mktemp("elastic"))
    small_world.build(workspace, PAIRS)
    return workspace


@pytest.fixture(scope="module")
def read(world, tmp_path_factory):
    """What each of two processes that nothing disturbs reads: videos and times, in its order."""
    notes = tmp_path_factory.mktemp("read")
    words = trainings.words(world, "whole", *SETTINGS)
    ended(forked.as_ranks(2, lambda e: forked.Process(_noting, [notes, words], e)))
    (world.run("whole") / "checkpoints" / "stage_one.pt").unlink()  # nobody is to reuse it
    return [(notes / rank).read_text().splitlines() for rank in ("0", "1")]


def _noting(notes: Path, words: list[str]) -> None:
    from sumlctl.learning.data import requests

    decode = requests.read_frames

    def noted(path, times_s, **options):
        with (notes / os.environ["RANK"]).open("a") as file:
            file.write(f"{path.parts[-3]}/{path.stem} {times_s}\n")
        return decode(path, times_s, **options)

    requests.read_frames = noted
    forked.command_here(words)


def test_each_process_reads_its_share_and_no_window_is_read_twice(read):
    assert [len(noted) for noted in read] == [STAGE_ONE + EPOCHS * EPOCH] * 2
    left_out = set()
    for epoch in range(EPOCHS):
        first = STAGE_ONE + epoch * EPOCH
        shares = [noted[first : first + EPOCH] for noted in read]
        windows = [window for share in shares for window in share]
        videos = {window.split()[0] for window in windows}
        assert len(videos) == len(windows) == 16
        (ego,) = {f"ego/v{i}" for i in range(PAIRS)} - videos
        (exo,) = {f"exo/v{i}" for i in range(PAIRS)} - videos
        assert exo == ego.replace("ego", "exo")
        left_out.add(ego)
    assert len(left_out) > PAIRS / 2  # another one in another epoch
    every = [window for noted in read for window in noted]
    assert len(set(every)) == len(every)


def test_torchrun_restarts_what_lost_a_process_and_it_ends_as_if_nothing_had_been(world, read):
    words = trainings.words(world, "lost", *SETTINGS, OFTEN)
    agent = forked.Process(_torchrun, ["localhost:0", ["--nproc-per-node=2"], words])
    agent.wait_until(lambda: steps(world, "lost") >= 8)
    os.kill(max(children(agent.pid)), signal.SIGKILL)
    agent.over(0)  # torchrun tells of lost workers with a traceback
    assert "another process, or the way to it, was lost" in agent.said
    assert [line["stage"] for line in lines(world, "lost", "resumed")] == ["stage_two"]
    assert len(lines(world, "lost", "begun")) == 1
    assert same(weights(world, "lost"), weights(world, "whole"))


def test_a_node_that_is_taken_away_comes_back_and_it_ends_as_if_nothing_had_been(world, read):
    port, words = forked.free_port(), trainings.words(world, "away", *SETTINGS)
    one_of_two = [f"localhost:{port}", ["--nnodes=2", "--nproc-per-node=1"], words]
    stays = forked.Process(_torchrun, one_of_two)
    stays.wait_until(lambda: _listens(port))
    goes = forked.Process(_torchrun, one_of_two)
    goes.wait_until(lambda: steps(world, "away") >= 8)
    goes.send(signal.SIGTERM)
    goes.over(1)
    assert stays.code is None
    back = forked.Process(_torchrun, one_of_two)
    back.ended()
    stays.over(0)
    assert "interrupted: stopped at stage_two" in stays.said + goes.said
    assert [line["stage"] for line in lines(world, "away", "resumed")] == ["stage_two"]
    assert same(weights(world, "away"), weights(world, "whole"))


def _torchrun(endpoint: str, nodes: list[str], words: list[str]) -> None:
    """torchrun as the README has it, but that its workers are forked from it."""
    from torch.distributed.launcher.api import elastic_launch
    from torch.distributed.run import config_from_args, parse_args

    meeting = ["--rdzv-backend=c10d", f"--rdzv-endpoint={endpoint}", "--max-restarts=3"]
    # Nodes that are lost are missed sooner than after the usual 15 s.
    meeting += ["--rdzv-conf=keep_alive_interval=1,keep_alive_max_attempt=3"]
    line = [*nodes, *meeting, "-m", "--", "sumlctl", *words]
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    config, _, worker = config_from_args(parse_args(line))
    assert worker[-len(words) - 2 :] == ["-m", "sumlctl", *words]
    config.start_method = "fork"
    elastic_launch(config, forked.command_here)(words)


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def test_without_torchrun_a_lost_process_ends_all_with_one_line_that_says_how_to_go_on(world, read):
    words = trainings.words(world, "ended", *SETTINGS, OFTEN, devices=2)
    launcher = forked.command(*words, environment={"PYTHONPATH": str(trainings.ROOT)})
    launcher.wait_until(lambda: steps(world, "ended") >= 8)
    os.kill(max(children(launcher.pid)), signal.SIGKILL)
    *_, last = launcher.ended(1).splitlines()
    assert last == (
        "error: process 1: it was killed, and the training with it, got SIGKILL; expected all "
        "processes until the end. If nobody did it, the memory did not suffice; `sumlctl train "
        "--resume ended` goes on from the last savepoint."
    )
    assert "the run exists" in forked.command(*words).ended(1)
    ended(trainings.ranks(world, "ended", *SETTINGS, resume=True))
    assert same(weights(world, "ended"), weights(world, "whole"))


def test_fewer_processes_go_on_with_the_same_steps(world, read, tmp_path):
    fewer = trainings.ranks(world, "fewer", *SETTINGS)
    fewer[0].wait_until(lambda: steps(world, "fewer") >= 8)
    fewer[0].send(signal.SIGTERM)
    ended(fewer, 128 + signal.SIGTERM)
    words = trainings.words(world, "fewer", *SETTINGS, resume=True, devices=1)
    said = forked.Process(_noting, [tmp_path, words], {"RANK": "alone"}).ended()
    assert "processes: 1, began with 2; each adds up 2 batches for a step, was 1" in said

    (resumed,) = lines(world, "fewer", "resumed")
    done = resumed["epoch"] * 2 + resumed["step"] // 2
    expected = []
    for step in range(done, EPOCHS * 2):
        first = STAGE_ONE + step * EPOCH // 2
        expected += [window for noted in read for window in noted[first : first + EPOCH // 2]]
    assert (tmp_path / "alone").read_text().splitlines() == expected
    rates = [line["learning_rate"] for line in lines(world, "fewer")][-2 * (2 * EPOCHS - done) :]
    course = [0.05 * (1 + math.cos(math.pi * s / 2 / EPOCHS)) / 2 for s in range(done, 2 * EPOCHS)]
    assert rates == pytest.approx([rate for rate in course for _ in range(2)])
