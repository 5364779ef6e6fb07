"""The worker pool against functions that answer, raise, hang, die and swell.

The function is `eval` and the items are what the worker is to do.
"""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sumlctl.errors import SumlError
from sumlctl.jobs import pool as supervise
from sumlctl.jobs.pool import Failure, Pool
from tests.processes import workers

DEAF = "__import__('signal').signal(15, __import__('signal').SIG_IGN)"
HANG = f"{DEAF}, __import__('time').sleep(600)"
SPIN = f"{DEAF}, all(n == 0 for n in iter(int, 1))"
SWELL = "[bytearray(10**7) for _ in range(10**6)]"
EXIT = "__import__('os')._exit(7)"
ABORT = "__import__('os').abort()"
linux = pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
SEGFAULT = "__import__('os').kill(__import__('os').getpid(), 11)"
PID = "__import__('os').getpid()"
STOP = f"__import__('os').kill({PID}, {int(signal.SIGSTOP)}) or 2"


def test_every_item_is_answered_once_whatever_happens_to_its_worker():
    answers = {
        **{f"{i} * {i}": i * i for i in range(12)},
        "1 / 0": Failure("ZeroDivisionError: division by zero"),
        "int('a\\n  b')": Failure(r"ValueError: invalid literal for int() with base 10: 'a\n b'"),
        "lambda: 0": None,
        SPIN: Failure("no answer within 1 s of processor time", lost=True),
        EXIT: Failure("worker died, exit code 7", lost=True),
        ABORT: Failure("worker died, signal 6 (Aborted)", lost=True),
        SEGFAULT: Failure("worker died, signal 11 (Segmentation fault)", lost=True),
    }
    items = sorted(answers)
    found = list(supervise.run(eval, items, jobs=2, deadline_s=1))
    assert sorted(item for item, _ in found) == items
    by_item = dict(found)
    unpicklable = by_item.pop("lambda: 0")
    assert isinstance(unpicklable, Failure) and "pickle" in unpicklable.reason
    del answers["lambda: 0"]
    assert by_item == answers
    assert not workers()


def test_run_worker_that_only_sleeps_is_given_up_as_stuck():
    """It uses no processor time, so only the clock can tell: five times the deadline."""
    began = time.monotonic()
    found = dict(supervise.run(eval, [HANG, "1"], jobs=2, deadline_s=0.3))
    assert found == {HANG: Failure("no sign of work for 1.5 s", lost=True, stuck=True), "1": 1}
    assert time.monotonic() - began >= 1.5


READS = """[
    (file.seek(0), file.read(1), __import__('time').sleep(0.1))
    for file in [open('/dev/zero', 'rb', buffering=0)]
    for _ in range(40)
] and 1"""


@linux
def test_run_worker_that_waits_for_a_slow_disk_is_waited_for():
    """It gets a byte every tenth of a second for 4 s and hardly computes; stuck would be 1.5 s."""
    assert dict(supervise.run(eval, [READS], jobs=1, deadline_s=0.3)) == {READS: 1}


def test_pool_worker_that_is_stopped_and_goes_on_answers():
    with Pool(eval, 1, deadline_s=1) as pool:
        worker = _ask(pool, PID)
        pool.submit("", STOP)
        began = time.monotonic()
        while time.monotonic() < began + 2.5:  # past the deadline by the clock
            assert pool.wait(0.2) == []
        os.kill(worker, signal.SIGCONT)
        assert _answer(pool) == 2
        assert _ask(pool, PID) == worker


def test_pool_worker_that_stays_stopped_is_replaced():
    with Pool(eval, 1, deadline_s=0.3) as pool:
        assert _ask(pool, STOP) == Failure("no sign of work for 1.5 s", lost=True, stuck=True)
        assert _ask(pool, "1 + 1") == 2


def test_the_deadline_is_for_one_item_not_for_all():
    items = ["__import__('time').sleep(0.4)"] * 4
    found = list(supervise.run(eval, items, jobs=1, deadline_s=1))
    assert found == [(items[0], None)] * 4


def test_a_result_that_waits_for_a_slow_reader_is_not_overdue():
    found = supervise.run(eval, ["1", "2", "3"], jobs=2, deadline_s=0.5)
    first = next(found)
    time.sleep(1)
    assert sorted([first, *found]) == [("1", 1), ("2", 2), ("3", 3)]


def test_a_large_result_arrives_whole():
    [(_, result)] = supervise.run(eval, ["b'x' * 5_000_000"], jobs=1, deadline_s=10)
    assert len(result) == 5_000_000


def test_no_items_start_no_worker():
    assert list(supervise.run(eval, [], jobs=2, deadline_s=1)) == []


def test_no_jobs_is_an_error():
    with pytest.raises(ValueError, match="0 workers"):
        next(supervise.run(eval, ["1"], jobs=0, deadline_s=1))


def test_closing_the_generator_ends_the_workers():
    found = supervise.run(eval, ["1", HANG, HANG], jobs=2, deadline_s=600)
    assert next(found) == ("1", 1)
    found.close()
    assert not workers()


@linux
def test_a_worker_that_swells_is_replaced():
    with Pool(eval, 1, deadline_s=60, memory_mb=300) as pool:
        before, swollen, within, after = (
            _ask(pool, item) for item in (PID, SWELL, "len(bytearray(2 * 10**8))", PID)
        )
    assert swollen == Failure("needs more than 300 MiB of memory", lost=True)
    assert within == 2 * 10**8
    assert before != after


@linux
def test_memory_that_is_used_up_beneath_another_error_counts_too():
    raises = f"(_ for _ in ()).throw(ValueError() if {SWELL} else None)"
    with Pool(eval, 1, deadline_s=60, memory_mb=300) as pool:
        assert _ask(pool, raises).lost


def _ask(pool, item):
    pool.submit(item, item)
    return _answer(pool)


def _answer(pool):
    while not (answers := pool.wait()):
        pass
    [(_, answer)] = answers
    return answer


def test_arrays_come_back_whole_and_keep():
    sizes = [3, 10**6, 0, 5 * 10**6, 7]
    items = [f"__import__('numpy').arange({n}, dtype='i4'), {n}" for n in sizes]
    found = dict(supervise.run(eval, items, jobs=1, deadline_s=30))
    for item, n in zip(items, sizes, strict=True):
        array, told = found[item]
        assert told == n
        np.testing.assert_array_equal(array, np.arange(n, dtype="i4"))


def test_borrowed_arrays_hold_until_the_next_answers():
    with Pool(eval, 1, deadline_s=30, borrow=True) as pool:
        for n in range(6):
            pool.submit(n, f"__import__('numpy').full(100_000, {n})")
        seen = 0
        while pool.pending:
            for n, array in pool.wait():
                time.sleep(0.05)  # the next one is being written
                assert (array == n).all()
                seen += 1
    assert seen == 6


def test_requests_that_are_dropped_give_no_answer():
    with Pool(eval, 2, deadline_s=600) as pool:
        for item in (HANG, "1", HANG, "2"):
            pool.submit(item, item)
        assert pool.wait() is not None
        pool.drop()
        assert (pool.pending, pool.room) == (0, 4)
        assert _ask(pool, "3") == 3


def test_an_urgent_request_goes_first():
    with Pool(eval, 1, deadline_s=30) as pool:
        for item in ("1", "2", "3"):
            pool.submit(item, item)
        pool.submit("4", "4", first=True)
        order = []
        while pool.pending:
            order += [key for key, _ in pool.wait()]
    assert order == ["1", "4", "2", "3"]


def test_a_worker_that_died_between_two_items_costs_neither():
    with Pool(eval, 1, deadline_s=30) as pool:
        worker = _ask(pool, PID)
        os.kill(worker, signal.SIGKILL)
        os.waitid(os.P_PID, worker, os.WEXITED | os.WNOWAIT)
        assert _ask(pool, "1 + 1") == 2


# A shell starts what runs in the background with SIGINT ignored, and children inherit that.
SCRIPT = f"""
import pathlib
import signal
import time
from sumlctl.jobs import pool as supervise
from tests.processes import workers

signal.signal(signal.SIGINT, signal.default_int_handler)
for _ in supervise.run(eval, ["1", {HANG!r}, {HANG!r}], jobs=2, deadline_s=600):
    while len(workers()) < 2:
        time.sleep(0.01)
    pathlib.Path("beside").write_text(" ".join(map(str, workers())))
    pathlib.Path("beside").rename("workers")
"""


@pytest.fixture
def script(tmp_path):
    """A process whose two workers hang, and their ids."""
    path, told = tmp_path / "script.py", tmp_path / "workers"
    path.write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, path],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
    )
    try:
        began = time.monotonic()
        while not told.exists() and time.monotonic() < began + 30:
            time.sleep(0.05)
        pids = [int(pid) for pid in told.read_text().split()]
        assert len(pids) == 2
        yield process, pids
    finally:
        process.kill()


def gone(pids, within_s=20):
    began = time.monotonic()
    while time.monotonic() < began + within_s:
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return True
        time.sleep(0.05)
    return False


def test_an_interrupt_ends_the_workers_and_only_the_parent_speaks(script):
    process, pids = script
    os.killpg(process.pid, signal.SIGINT)  # as a terminal's Ctrl-C: to the whole group
    _, said = process.communicate(timeout=20)
    assert said.count(b"Traceback") == 1 and said.rstrip().endswith(b"KeyboardInterrupt")
    assert gone(pids)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_a_parent_that_is_killed(script, number):
    process, pids = script
    process.send_signal(number)
    assert process.wait(timeout=20) == -number
    assert gone(pids)


def test_workers_leave_sigterm_to_their_parent():
    with Pool(eval, 1, deadline_s=30) as pool:
        pid = _ask(pool, PID)
        os.kill(pid, signal.SIGTERM)
        assert _ask(pool, PID) == pid


def test_workers_that_do_not_start_are_no_fault_of_the_items(tmp_path, monkeypatch):
    module = "import os\nassert 'ELSEWHERE' not in os.environ\ndef function(item): return item\n"
    (tmp_path / "only_here.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    function = importlib.import_module("only_here").function
    assert list(supervise.run(function, [1], jobs=1, deadline_s=30)) == [(1, 1)]
    monkeypatch.setenv("ELSEWHERE", "1")
    with pytest.raises(SumlError, match="worker processes: do not start, got worker died, exit co"):
        list(supervise.run(function, [1], jobs=1, deadline_s=30))
    assert not workers()


@pytest.mark.parametrize("program", ["list(found)", "next(found)"])
def test_a_program_may_come_from_anywhere_and_end_in_mid_iteration(program):
    """Workers do not import it, and it does not wait for them."""
    script = f"""
from sumlctl.jobs import pool as supervise
found = supervise.run(eval, ["1", "2"], jobs=2, deadline_s=600)
print({program})
"""
    done = subprocess.run(
        [sys.executable], input=script, capture_output=True, text=True, timeout=60, check=True
    )
    assert "('1', 1)" in done.stdout or "('2', 2)" in done.stdout
