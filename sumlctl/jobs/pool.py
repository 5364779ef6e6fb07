"""Worker processes that may crash, hang or swell without harm to the process that asks them."""

from __future__ import annotations

import atexit
import multiprocessing.connection
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import cycle, islice, repeat
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from sumlctl.errors import InstallationError, SumlError
from sumlctl.jobs.deadline import Deadline
from sumlctl.jobs.shared_block import SharedBlock
from sumlctl.jobs.worker import Failure

Item = TypeVar("Item")
Result = TypeVar("Result")

# By how much a worker that decodes one file after another may grow; 8K video takes about half.
DECODING_MB = 2048
# A new worker first imports the function's module; that time is not the item's.
_START_S = 300.0
# A process that waits for a dead file server cannot even be killed; nobody waits for it longer.
_DEATH_S = 5.0
_MAIN = "from sumlctl.jobs.worker import main; main()"
_WORKING = object()


def run(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    jobs: int,
    deadline_s: float,
    memory_mb: int | None = None,
    environments: Sequence[Mapping[str, str]] = (),
) -> Iterator[tuple[Item, Result | Failure]]:
    """Yields each item once with its result, or with a Failure, in order of completion.

    Closing the generator, or an interrupt, ends all workers.

    Args:
        function: a picklable function of one item, importable by name.
        items: picklable; taken as workers become free.
        jobs, deadline_s, memory_mb, environments: as for `Pool`.

    Raises:
        SumlError: workers do not start.
        InstallationError: an item found the installation at fault; the others would as well.
        ValueError: `jobs` is less than 1.
    """
    queue = iter(items)
    limits: dict[str, Any] = {"deadline_s": deadline_s, "memory_mb": memory_mb}
    with Pool(function, jobs, environments=environments, **limits) as pool:
        for item in islice(queue, jobs):
            pool.submit(item, item)
        while pool.pending:
            for item, answer in pool.wait():
                for following in islice(queue, 1):
                    pool.submit(following, following)
                if isinstance(answer, Failure) and isinstance(answer.error, InstallationError):
                    raise answer.error
                yield item, answer


class Pool:
    """Workers that answer one request each at a time, and are replaced when they are lost.

    They start when they are needed. A pool is used by one thread at a time, as a context.

    Args:
        function: a picklable function of one item, importable by name; workers import its module,
            and not the program that is running.
        workers: number of processes, at least 1.
        deadline_s: seconds of processor time that one item may take; see `Deadline` for one that
            waits instead.
        memory_mb: by how much a worker's own memory may grow after its start, in MiB; enforced by
            the kernel, on Linux only. None for no limit.
        borrow: whether arrays in an answer stay in memory that is shared with the worker: they
            hold until `wait` is called again. Otherwise they are copied.
        environments: variables of each worker, beside those of this process.

    Raises:
        ValueError: `workers` is less than 1.
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        workers: int,
        *,
        deadline_s: float,
        memory_mb: int | None = None,
        borrow: bool = False,
        environments: Sequence[Mapping[str, str]] = (),
    ) -> None:
        if workers < 1:
            raise ValueError(f"{workers} workers; at least 1 is needed")
        self._workers = [
            _Worker(function, deadline_s, memory_mb, borrow, environment)
            for environment in environments or repeat({}, workers)
        ]
        self._queue: deque[tuple[Hashable, Any]] = deque()

    @property
    def pending(self) -> int:
        """Requests without an answer so far."""
        return len(self._queue) + sum(worker.busy for worker in self._workers)

    @property
    def room(self) -> int:
        """How many requests keep every worker at work, one in hand and one to follow."""
        return 2 * len(self._workers) - self.pending

    def submit(self, key: Hashable, item: Any, *, first: bool = False) -> None:
        """Takes a request; `first` puts it before those that wait."""
        put = self._queue.appendleft if first else self._queue.append
        put((key, item))
        self._hand_out()

    def wait(self, timeout_s: float | None = None) -> list[tuple[Any, Any]]:
        """Waits for answers, none if the time runs out: keys with results or Failures.

        Raises:
            SumlError: workers do not start.
        """
        busy = [worker for worker in self._workers if worker.busy]
        if not busy:
            return []
        left = max(0.0, min(worker.deadline.next_look for worker in busy) - time.monotonic())
        timeout_s = left if timeout_s is None else min(timeout_s, left)
        multiprocessing.connection.wait([worker.connection for worker in busy], timeout_s)
        answers = [(worker.key, worker.answer()) for worker in busy]
        self._hand_out()
        return [(key, answer) for key, answer in answers if answer is not _WORKING]

    def drop(self) -> None:
        """Forgets all requests; workers that are at one are replaced."""
        self._queue.clear()
        for worker in self._workers:
            if worker.busy:
                worker.stop()

    def close(self) -> None:
        """Ends all workers."""
        self._queue.clear()
        for worker in self._workers:
            worker.stop()

    def _hand_out(self) -> None:
        for worker in self._workers:
            if self._queue and not worker.busy:
                worker.give(*self._queue.popleft())

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Worker:
    """One place of the pool: a process once it has an item, and another when that one is lost."""

    connection: Connection
    deadline: Deadline
    key: Hashable

    def __init__(
        self,
        function: Callable[[Any], Any],
        deadline_s: float,
        memory_mb: int | None,
        borrow: bool,
        environment: Mapping[str, str],
    ) -> None:
        self._function, self._deadline_s, self._memory_mb = function, deadline_s, memory_mb
        self._borrow, self._environment = borrow, environment
        self._process: subprocess.Popen[bytes] | None = None
        self.busy = False

    def give(self, key: Hashable, item: Any) -> None:
        if self._process is not None and self._process.poll() is not None:
            self.stop()  # it died after its last answer
        self.key, self.busy = key, True
        if self._process is None:
            self._start()
        else:
            self._watch(self._deadline_s)
        with suppress(ConnectionError):  # a worker that died meanwhile shows in `answer`
            self.connection.send(item)

    def answer(self) -> Any:
        """The result or Failure of the item, or `_WORKING`."""
        if not self.connection.poll():
            expired = self.deadline.expired()
            if expired is None:
                return _WORKING
            self.stop()
            return self._lost(expired.reason, expired.stuck)
        try:
            pickled, sizes, self._cpu_s = self.connection.recv()
        except (EOFError, ConnectionError):
            return self._lost(self._death())
        if pickled is None:
            self._up = True
            self._watch(self._deadline_s)
            return _WORKING
        self.busy = False
        parts = next(self._blocks).read(sizes)
        result = pickle.loads(pickled, buffers=parts if self._borrow else map(bytearray, parts))
        if isinstance(result, Failure) and result.lost:
            self.stop()
        return result

    def stop(self) -> None:
        self.busy = False
        if self._process is not None:
            atexit.unregister(self._process.kill)
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_DEATH_S)
            self._process = None
            self.connection.close()

    def _watch(self, allowed_s: float) -> None:
        assert self._process is not None
        self.deadline = Deadline(self._process.pid, allowed_s, self._cpu_s)

    def _lost(self, reason: str, stuck: bool = False) -> Failure:
        if self._up:
            return Failure(reason, lost=True, stuck=stuck)
        raise SumlError(
            "worker processes",
            "do not start",
            got=reason,
            expected="processes that import what this one did",
            fix="Their own error is above.",
        )

    def _start(self) -> None:
        self._up, self._cpu_s = False, 0.0
        ours, theirs = socket.socketpair()
        self.connection = Connection(ours.detach())
        blocks = SharedBlock(), SharedBlock()  # one is written while the other is read
        self._blocks = cycle(blocks)
        shared = [theirs.fileno(), *(block.fd for block in blocks)]
        paths = [path or "." for path in sys.path] + [os.environ.get("PYTHONPATH", "")]
        # The worker inherits blocked signals: on Ctrl-C or SIGTERM only the parent decides.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _MAIN, *map(str, shared)],
                stdin=subprocess.DEVNULL,
                env={
                    **os.environ,
                    **self._environment,
                    "PYTHONPATH": os.pathsep.join(filter(None, paths)),
                },
                pass_fds=shared,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
        atexit.register(self._process.kill)
        self._watch(_START_S)
        with suppress(ConnectionError):
            self.connection.send((self._function, self._memory_mb))

    def _death(self) -> str:
        process = self._process
        assert process is not None
        with suppress(subprocess.TimeoutExpired):
            process.wait(1.0)
        self.stop()
        code = process.returncode or 0
        if code < 0:
            return f"worker died, signal {-code} ({signal.strsignal(-code)})"
        return f"worker died, exit code {code}"
