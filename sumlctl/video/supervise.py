"""Runs a function over items in worker processes that may crash or hang without harm."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# A spawned worker first imports the function's module; that time is not the item's.
_START_S = 60.0
_WORKING = object()


@dataclass(frozen=True)
class Failure:
    """Why an item has no result, on one line."""

    reason: str


def run(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    jobs: int,
    deadline_s: float,
) -> Iterator[tuple[Item, Result | Failure]]:
    """Yields each item once with its result, or with a Failure, in order of completion.

    A worker that dies or overruns the deadline is killed and replaced. Closing the generator,
    or an interrupt, ends all workers.

    Args:
        function: a picklable function of one item, importable by name.
        items: picklable; taken as workers become free.
        jobs: number of worker processes, at least 1.
        deadline_s: seconds that one item may take.

    Raises:
        ValueError: `jobs` is less than 1.
    """
    if jobs < 1:
        raise ValueError(f"jobs is {jobs}; at least 1 is needed")
    queue = iter(items)
    workers: list[_Worker] = []
    try:
        for item in islice(queue, jobs):
            workers.append(_Worker(function, deadline_s))
            workers[-1].give(item)
        while workers:
            first_due = min(worker.due for worker in workers)
            multiprocessing.connection.wait(
                [worker.connection for worker in workers], max(0.0, first_due - time.monotonic())
            )
            for worker in workers.copy():
                answer = worker.answer()
                if answer is _WORKING:
                    continue
                item = worker.item
                try:
                    worker.give(next(queue))
                except StopIteration:
                    worker.stop()
                    workers.remove(worker)
                yield item, answer
    finally:
        for worker in workers:
            worker.stop()


class _Worker:
    """One slot of the pool: a process when it has an item, and another when that one is lost."""

    connection: Connection
    due: float
    item: Any

    def __init__(self, function: Callable[[Any], Any], deadline_s: float) -> None:
        self._function, self._deadline_s = function, deadline_s
        self._process: BaseProcess | None = None

    def give(self, item: Any) -> None:
        self.item = item
        self.due = time.monotonic() + self._deadline_s
        if self._process is None:
            self._start()
            self.due += _START_S
        with suppress(ConnectionError):  # a worker that died meanwhile shows in `answer`
            self.connection.send(item)

    def answer(self) -> Any:
        """The result or Failure of the item, or `_WORKING`."""
        if not self.connection.poll():
            if time.monotonic() < self.due:
                return _WORKING
            self.stop()
            return Failure(f"no answer within {self._deadline_s:g} s")
        try:
            finished, result = self.connection.recv()
        except (EOFError, ConnectionError):
            return Failure(self._death())
        if finished:
            return result
        self.due = time.monotonic() + self._deadline_s
        return _WORKING

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None
            self.connection.close()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(self._function, theirs), daemon=True, name="sumlctl worker"
        )
        # The worker inherits the blocked signal: on Ctrl-C only the parent decides.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()

    def _death(self) -> str:
        process = self._process
        assert process is not None
        process.join(timeout=1.0)
        self.stop()
        code = process.exitcode or 0
        if code < 0:
            return f"worker died, signal {-code} ({signal.strsignal(-code)})"
        return f"worker died, exit code {code}"


def _serve(function: Callable[[Any], Any], connection: Connection) -> None:
    """The worker's side: says that it is up, then answers item after item."""
    with suppress(EOFError, ConnectionError):
        connection.send((False, None))
        while True:
            item = connection.recv()
            try:
                answer: Any = function(item)
            except Exception as error:
                answer = _failure(error)
            try:
                connection.send((True, answer))
            except ConnectionError:
                raise
            except Exception as error:  # a result that cannot be pickled
                connection.send((True, _failure(error)))


def _failure(error: Exception) -> Failure:
    return Failure(" ".join(f"{type(error).__name__}: {error}".split()))
