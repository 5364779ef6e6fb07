"""A worker's side of `supervise`: answers one item after another, within its limits."""

from __future__ import annotations

import os
import pickle
import select
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sumlctl.errors import SumlError
from sumlctl.jobs.shared_block import SharedBlock


@dataclass(frozen=True)
class Failure:
    """Why an item has no result.

    Args:
        reason: on one line.
        lost: whether the worker was lost with it: it hung, died or outgrew its memory.
        stuck: whether it hung without computing: the machine may be at fault as well as the item.
        error: the fault itself, where it is one that the user can mend.
    """

    reason: str
    lost: bool = False
    stuck: bool = False
    error: SumlError | None = field(default=None, compare=False)


def answer(function: Callable[[Any], Any], item: Any) -> Any:
    """The result of an item in this process, or a Failure."""
    try:
        return function(item)
    except Exception as error:
        return _failure(error, None)


def main() -> None:
    """Says that this process is up, then answers item after item until its parent is gone.

    On the command line are the files, by number, of the connection to the parent and of two shared
    blocks, for the arrays of one answer and of the next.
    """
    number, *blocks = map(int, sys.argv[1:])
    threading.Thread(target=_end_with_parent, args=(number,), daemon=True).start()
    with suppress(EOFError, ConnectionError), Connection(number) as connection:
        function, memory_mb = connection.recv()
        if memory_mb is not None:
            _limit_memory(memory_mb)
        connection.send((None, [], time.process_time()))
        for block in cycle(map(SharedBlock, blocks)):
            answered = _answer(function, connection.recv_bytes(), block, memory_mb)
            connection.send((*answered, time.process_time()))


def _answer(
    function: Callable[[Any], Any], item: bytes, block: SharedBlock, memory_mb: int | None
) -> tuple[bytes, list[int]]:
    """The result, or a Failure, pickled; arrays go to the shared block, and their sizes here."""
    arrays: list[pickle.PickleBuffer] = []
    try:
        result = function(pickle.loads(item))
        pickled = pickle.dumps(result, protocol=5, buffer_callback=arrays.append)
        return pickled, block.write(arrays)
    except Exception as error:
        failure = _failure(error, memory_mb)
    return pickle.dumps(failure), []


def _failure(error: Exception, memory_mb: int | None) -> Failure:
    text = str(error) if isinstance(error, SumlError) else f"{type(error).__name__}: {error}"
    if memory_mb is not None and out_of_memory(error):
        return Failure(f"needs more than {memory_mb:,} MiB of memory", lost=True)
    told = error if isinstance(error, SumlError) else None
    return Failure(" ".join(text.split()), error=told)


def out_of_memory(error: BaseException) -> bool:
    """Say whether memory that was used up is at the bottom of an error."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _end_with_parent(connection: int) -> None:
    """Waits for nothing but that the other end of the connection is closed."""
    parent = select.poll()
    parent.register(connection, 0)
    parent.poll()
    os._exit(1)


def _limit_memory(mb: int) -> None:
    """Lets this process's own memory grow by so much and no more.

    Of all limits RLIMIT_DATA alone counts neither libraries nor what is shared; what is there at
    the start, such as the stacks of many idle threads, differs with the machine.
    """
    if sys.platform != "linux":
        return
    import resource

    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    (used,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmData:"))
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (int(used) * 2**10 + mb * 2**20, hard))
