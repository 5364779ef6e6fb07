"""The worker pool against functions that answer, raise, hang and die.

The function is `eval` and the items are what the worker is to do.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from sumlctl.video import supervise
from sumlctl.video.supervise import Failure

HANG = "__import__('time').sleep(600)"
EXIT = "__import__('os')._exit(7)"
ABORT = "__import__('os').abort()"
KILLED = "__import__('os').kill(__import__('os').getpid(), 9)"


def test_every_item_is_answered_once_whatever_happens_to_its_worker():
    answers = {
        **{f"{i} * {i}": i * i for i in range(12)},
        "1 / 0": Failure("ZeroDivisionError: division by zero"),
        "int('a\\n  b')": Failure(r"ValueError: invalid literal for int() with base 10: 'a\n b'"),
        "lambda: 0": None,
        HANG: Failure("no answer within 1 s"),
        EXIT: Failure("worker died, exit code 7"),
        ABORT: Failure("worker died, signal 6 (Aborted)"),
        KILLED: Failure("worker died, signal 9 (Killed)"),
    }
    items = sorted(answers)
    found = list(supervise.run(eval, items, jobs=2, deadline_s=1))
    assert sorted(item for item, _ in found) == items
    by_item = dict(found)
    unpicklable = by_item.pop("lambda: 0")
    assert isinstance(unpicklable, Failure) and "pickle" in unpicklable.reason
    del answers["lambda: 0"]
    assert by_item == answers
    assert not multiprocessing.active_children()


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
    with pytest.raises(ValueError, match="jobs is 0"):
        next(supervise.run(eval, ["1"], jobs=0, deadline_s=1))


def test_closing_the_generator_ends_the_workers():
    found = supervise.run(eval, ["1", HANG, HANG], jobs=2, deadline_s=600)
    assert next(found) == ("1", 1)
    found.close()
    assert not multiprocessing.active_children()


SCRIPT = f"""
import multiprocessing, pathlib
from sumlctl.video import supervise

if __name__ == "__main__":
    for _ in supervise.run(eval, ["1", {HANG!r}, {HANG!r}], jobs=2, deadline_s=600):
        workers = multiprocessing.active_children()
        pathlib.Path("beside").write_text(" ".join(str(worker.pid) for worker in workers))
        pathlib.Path("beside").rename("workers")
"""


def test_an_interrupt_ends_the_workers_and_only_the_parent_speaks(tmp_path):
    script, workers = tmp_path / "script.py", tmp_path / "workers"
    script.write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, script], cwd=tmp_path, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        began = time.monotonic()
        while not workers.exists() and time.monotonic() < began + 30:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal's Ctrl-C: to the whole group
        _, said = process.communicate(timeout=20)
    finally:
        process.kill()
    assert said.count(b"Traceback") == 1 and said.rstrip().endswith(b"KeyboardInterrupt")
    pids = [int(pid) for pid in workers.read_text().split()]
    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
