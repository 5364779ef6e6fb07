"""`sumlctl` commands in processes of their own, forked from one that has imported everything."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(
    ["sumlctl.cli.app", "sumlctl.learning.train", "sumlctl.evaluation.validation"]
    + ["torch.distributed.launcher.api", "torch.distributed.run"]
)


class Process:
    """A function in a process and a process group of its own, with what it says on stderr.

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
        handle, name = tempfile.mkstemp(prefix="stderr.")
        os.close(handle)
        self._said = Path(name)
        self._process = _FORKING.Process(
            target=_alone, args=(function, arguments, dict(environment or {}), name), daemon=True
        )
        self._process.start()
        self.pid = int(self._process.pid or 0)

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.exitcode

    @property
    def said(self) -> str:
        """What it said so far."""
        return self._said.read_text(encoding="utf-8")

    def ended(self, code: int = 0, timeout_s: float = 240) -> str:
        """Waits for its end; what it said, without a traceback."""
        self._process.join(timeout_s)
        said = self.said
        assert self.code == code, said
        assert "Traceback" not in said, said
        return said


def command(*words: str, environment: Mapping[str, str] | None = None) -> Process:
    """`sumlctl WORDS`."""
    return Process(_command, [words], environment)


def as_ranks(number: int, start: Callable[[Mapping[str, str]], Process]) -> list[Process]:
    """Processes that know of each other as if torchrun had started them.

    Args:
        number: of processes.
        start: starts one in an environment.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "test"}
    shared |= {"WORLD_SIZE": str(number), "LOCAL_WORLD_SIZE": str(number)}
    return [start(shared | {"RANK": str(i), "LOCAL_RANK": str(i)}) for i in range(number)]


def _alone(
    function: Callable[..., None],
    arguments: Sequence[Any],
    environment: Mapping[str, str],
    said: str,
) -> None:
    os.setsid()
    with open(said, "wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.update(environment)
    function(*arguments)


def _command(words: Sequence[str]) -> None:
    from sumlctl.cli.app import main

    sys.argv = ["sumlctl", *words]
    main()
