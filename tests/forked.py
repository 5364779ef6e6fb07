"""`sumlctl` commands in processes of their own, forked from one that has imported everything."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(
    [
        "sumlctl.cli.app",
        "sumlctl.learning.training.train",
        "sumlctl.evaluation.validation",
        "torch.distributed.run",
    ]
)
_FOLDER = tempfile.TemporaryDirectory(prefix="sumlctl.said.")
_NUMBERS = count()


class Process:
    """A function in a process and a process group of its own, with what it says.

    Args:
        function: what it does; picklable.
        arguments: of the function.
        environment: what is different for it.
    """

    def __init__(
        self,
        function: Callable[..., None],
        arguments: Sequence[Any],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._said = Path(_FOLDER.name) / str(next(_NUMBERS))
        self._said.touch()
        given = (function, arguments, dict(environment or {}), self._said)
        self._process = _FORKING.Process(target=_alone, args=given)
        self._process.start()
        self.pid = int(self._process.pid or 0)
        atexit.register(self._end)

    def _end(self) -> None:
        """Ends it before the end of this process, which would wait for it."""
        if self.code is None:
            os.killpg(self.pid, signal.SIGKILL)

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.exitcode

    @property
    def said(self) -> str:
        """What it said so far."""
        return self._said.read_text(encoding="utf-8")

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    def over(self, code: int, timeout_s: float = 120) -> None:
        """Waits for its end with an exit code."""
        self._process.join(timeout_s)
        assert self.code == code, self.said

    def ended(self, code: int = 0) -> str:
        """Waits for its end; what it said, without a traceback."""
        self.over(code)
        assert "Traceback" not in self.said, self.said
        return self.said

    def wait_until(self, true: Callable[[], bool], timeout_s: float = 120) -> None:
        """Waits for something to become true while it runs."""
        deadline = time.monotonic() + timeout_s
        while not true():
            assert self.code is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.02)


def command(*words: str, environment: Mapping[str, str] | None = None) -> Process:
    """`sumlctl WORDS`."""
    return Process(command_here, [words], environment)


def as_ranks(number: int, start: Callable[[Mapping[str, str]], Process]) -> list[Process]:
    """Processes that know of each other as if torchrun had started them.

    Args:
        number: of processes.
        start: starts one in an environment.
    """
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    shared |= {"TORCHELASTIC_RUN_ID": "test"}
    shared |= {"WORLD_SIZE": str(number), "LOCAL_WORLD_SIZE": str(number)}
    return [start(shared | {"RANK": str(i), "LOCAL_RANK": str(i)}) for i in range(number)]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _alone(
    function: Callable[..., None],
    arguments: Sequence[Any],
    environment: Mapping[str, str],
    said: Path,
) -> None:
    os.setsid()
    with said.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.update(environment)
    function(*arguments)


def command_here(words: Sequence[str]) -> None:
    """`sumlctl WORDS` in this process, which it ends where it fails."""
    from sumlctl.cli.app import main

    sys.argv = ["sumlctl", *words]
    try:
        main()
    except SystemExit as stop:
        if stop.code:
            raise
