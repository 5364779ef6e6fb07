"""What is Ray's own: devices, workers that are lost, clusters that do not answer."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from sumlctl.errors import SumlError
from sumlctl.jobs.executors import Limits, Local, executor
from sumlctl.jobs.units import Unit, Work, fingerprint
from tests.unit.jobs.doings import meet, process


def lose_the_worker(notes):
    """Kills Ray's worker, which is this process's parent, the first time."""
    if not notes.exists():
        notes.touch()
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    return "done"


@pytest.fixture(scope="module")
def ray(ray_cluster):
    from sumlctl.jobs.ray import cluster

    with cluster(ray_cluster) as found:
        yield found


@pytest.mark.parametrize("on_device", [False, True])
def test_a_worker_that_is_lost_costs_one_more_attempt(ray, tmp_path, on_device):
    unit = Unit("a", tmp_path / "notes", fingerprint("a"))
    limits = Limits(20.0, on_device=on_device)
    (found,) = Work(tmp_path / "units").do(lose_the_worker, [unit], ray, limits)
    assert found.result == "done"


def test_without_gpus_each_node_is_a_device(ray, tmp_path):
    pids = {pid for _, pid in ray.run(meet, [tmp_path] * 2, Limits(60.0, on_device=True))}
    assert len(pids) == 2
    assert os.getpid() not in pids


def test_the_only_device_of_this_machine_needs_no_other_process():
    assert {pid for _, pid in Local(2).run(process, [0.0], Limits(1.0, on_device=True))} == {
        os.getpid()
    }


def test_faults_in_this_process_are_failures_too():
    ((_, found),) = Local(1).run(int, ["x"], Limits(1.0, on_device=True))
    assert found.reason == "ValueError: invalid literal for int() with base 10: 'x'"


def test_an_engine_that_does_not_exist():
    with pytest.raises(SumlError, match="no such engine, got 'rya'"):
        executor("rya", 1).__enter__()


def test_without_ray_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SumlError, match=r"pip install 'sumlctl\[cluster\]'"):
        executor("ray", 1).__enter__()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere.invalid:6379", "ray://127.0.0.1:1"])
def test_a_cluster_that_does_not_answer_is_not_waited_for(address):
    begun = time.monotonic()
    with pytest.raises(SumlError, match="--address: no Ray cluster answers"):
        executor("ray", 1, address).__enter__()
    assert time.monotonic() - begun < 20
