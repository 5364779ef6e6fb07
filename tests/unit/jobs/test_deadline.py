"""Who has had its time: processes as /proc or ps would describe them, by a clock of the test's."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from sumlctl.jobs import deadline
from sumlctl.jobs.deadline import Activity, Deadline

NOTHING = Activity(7.0, False, (0.0,))


class Machine:
    """A clock, and what the process does while it goes on."""

    def __init__(self, monkeypatch):
        self.now, self.seen = 1000.0, NOTHING
        monkeypatch.setattr(deadline.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(deadline, "activity", lambda pid: self.seen)

    def expires(self, allowed_s, after, within_s=1000):
        """What `after(passed)` lets the process do each tenth of a second, until it is given up.

        Returns:
            Seconds by the clock, and why; None where it is still waited for in the end.
        """
        watched, passed = Deadline(1, allowed_s, used_s=7.0), 0
        while passed < within_s * 10:
            passed += 1
            self.now += 0.1
            self.seen = after(passed / 10)
            if found := watched.expired():
                return passed / 10, found
        return None


@pytest.fixture
def machine(monkeypatch):
    return Machine(monkeypatch)


def computes(share):
    return lambda t: Activity(7.0 + share * t, True, (share * t,))


def test_expired_process_that_computes_has_its_seconds_of_processor_time(machine):
    alone, why = machine.expires(2, computes(1.0))
    assert (why.reason, why.stuck) == ("no answer within 2 s of processor time", False)
    assert 2 <= alone <= 2.2
    crowded, why = machine.expires(2, computes(0.1))
    assert not why.stuck
    assert 20 <= crowded <= 21.1


def test_expired_many_threads_do_not_shorten_the_time_by_the_clock(machine):
    alone, why = machine.expires(2, computes(16.0))
    assert 2 <= alone <= 2.2
    assert not why.stuck


def test_expired_process_that_gets_no_processor_is_waited_for(machine):
    """A thousandth of one, as at the lowest priority: 2000 s for its two seconds."""
    assert machine.expires(2, computes(0.001)) is None
    _, why = machine.expires(2, computes(0.001), within_s=2100)
    assert (why.reason, why.stuck) == ("no answer within 2 s of processor time", False)


def test_expired_process_that_does_nothing_is_stuck(machine):
    passed, why = machine.expires(2, lambda t: NOTHING)
    assert (why.reason, why.stuck) == ("no sign of work for 10 s", True)
    assert 10 <= passed <= 2 + 10 + 1.1


def test_expired_process_that_reads_now_and_then_is_waited_for(machine):
    """A byte every five seconds, where ten without one would be too many."""
    passed, why = machine.expires(2, lambda t: Activity(7.0, False, (t // 5,)))
    assert (why.reason, why.stuck) == ("no answer within 100 s", True)
    assert passed >= 100


def test_expired_where_nothing_can_be_seen_only_the_clock_counts(machine):
    passed, why = machine.expires(2, lambda t: None)
    assert (why.reason, why.stuck) == ("no sign of work for 10 s", True)
    assert 10 <= passed <= 11.1


def test_expired_time_in_which_nobody_looked_does_not_count(machine):
    """As when this process was stopped for an hour together with the one that it watches."""
    watched = Deadline(1, 2, used_s=7.0)
    machine.now += 3600
    assert watched.expired() is None
    machine.now += 3600
    assert watched.expired() is None


def test_activity_of_a_process_is_what_it_says_itself():
    script = (
        "import sys, time\nwhile time.process_time() < 1.5: pass\nprint(1, flush=True)\ninput()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        child.stdout.readline()
        time.sleep(0.1)
        for seen in (deadline.activity(child.pid), deadline._from_ps(child.pid)):
            assert 1 <= seen.cpu_s < 4  # ps may cut off at whole seconds
            assert not seen.waits_for_cpu
    finally:
        child.communicate(b"\n")
    assert deadline.activity(child.pid) is None


@pytest.mark.parametrize(
    ("printed", "cpu_s", "runs"),
    [
        ("S      0:01.25\n", 1.25, False),  # macOS
        ("R+   12:00.50\n", 720.5, True),
        ("Ss 01:02:03\n", 3723, False),  # Linux
        ("D 1-01:00:00\n", 90000, False),
    ],
)
def test_activity_from_ps_reads_its_forms_of_a_time(monkeypatch, printed, cpu_s, runs):
    told = subprocess.CompletedProcess([], 0, printed, "")
    monkeypatch.setattr(deadline.subprocess, "run", lambda *_, **__: told)
    monkeypatch.setattr(deadline.sys, "platform", "darwin")
    assert deadline.activity(os.getpid()) == Activity(cpu_s, runs, (cpu_s,))
