"""Feeds damaged and hostile input to a reader and watches what comes of it.

Whatever the bytes, there is a result or a SumlError in one line, within seconds and within bounded
memory, and nothing is started, connected to or written elsewhere. `SUMLCTL_FUZZ_S` makes each
target go on for so many seconds; without it each has a few examples, the same ones every time.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import hypothesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from sumlctl.config import registry
from sumlctl.errors import SumlError

# Libraries that look about when they are imported do so before anyone watches.
for _kind in registry.KINDS:
    for _name in registry.names(_kind):
        registry.load(_kind, _name)

FUZZ_S = float(os.environ.get("SUMLCTL_FUZZ_S", "0"))
_EXAMPLES, _BATCH = 50, 300
_DEADLINE_S = 20
_MOST_MIB = 768  # by which one example may raise the peak of this process's memory
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_NEVER = ("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect")
_CHANGING = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "shutil.")


class Broken(BaseException):
    """What no input may bring about; no `except Exception` takes it for its own."""


class _Watch:
    """What an example does beside returning, by Python's audit events."""

    root: Path | None = None
    seen: str = ""


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _Watch.root is None:
        return
    if event.startswith(_NEVER):
        _Watch.seen = f"{event} {arguments}"
    elif event.startswith(_CHANGING) or (event == "open" and _writes(arguments)):
        outside = [
            a for a in arguments if isinstance(a, str | bytes | os.PathLike) and not _inside(a)
        ]
        if outside:
            _Watch.seen = f"{event} {outside}"


sys.addaudithook(_audit)


def _writes(arguments: tuple[Any, ...]) -> bool:
    _, mode, flags = arguments
    return any(c in mode for c in "wax+") if isinstance(mode, str) else bool(flags & _WRITING)


def _inside(path: Any) -> bool:
    name = os.fsdecode(path)
    scratch = os.path.realpath(_Watch.root or ".")
    if "/" not in name:  # a mode, or a name beside an open folder
        return True
    return os.path.realpath(name).startswith((scratch, "/dev/null"))


@contextmanager
def watched(root: Path) -> Iterator[None]:
    """Insists on what the module says of one example, files under `root` aside."""

    def late(number: int, frame: FrameType | None) -> None:
        raise Broken(f"no answer within {_DEADLINE_S} s")

    before = _peak_mib()
    _Watch.root, _Watch.seen = root, ""
    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, _DEADLINE_S)
    try:
        yield
    except SumlError as error:
        _check_wording(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _Watch.root = None
    if _Watch.seen:
        raise Broken(_Watch.seen)
    if (grown := _peak_mib() - before) > _MOST_MIB:
        raise Broken(f"{grown:,} MiB of memory")


def _peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2**10


def _check_wording(error: SumlError) -> None:
    text = str(error)
    assert len(text.splitlines()) == 1, text
    assert ", got " in text and "; expected " in text, text
    assert len(text) < 4000, f"{len(text):,} letters: {text[:200]}"


def fuzz(
    group: str, target: Callable[[Any], Any], strategy: st.SearchStrategy[Any], root: Path, share=1
) -> None:
    """Runs a target on many inputs.

    Args:
        group: whose share of the time it takes, for the tally.
        target: takes one input.
        strategy: of the inputs.
        root: the folder that the target may write to.
        share: how many targets the group has.
    """
    count = 0

    def once(value: Any) -> None:
        nonlocal count
        count += 1
        with watched(root):
            target(value)

    begin, batch = time.monotonic(), 0
    while batch == 0 or time.monotonic() - begin < FUZZ_S / share:
        run = settings(
            max_examples=_BATCH if FUZZ_S else _EXAMPLES,
            deadline=None,
            database=None,
            derandomize=not FUZZ_S,
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        )(hypothesis.given(strategy)(once))
        if FUZZ_S:
            run = hypothesis.seed(time.time_ns())(run)
        run()
        batch += 1
    _tell(group, count, time.monotonic() - begin)


def _tell(group: str, count: int, seconds: float) -> None:
    if tally := os.environ.get("SUMLCTL_FUZZ_TALLY"):
        test = os.environ.get("PYTEST_CURRENT_TEST", "").split(" ")[0]
        line = {"group": group, "test": test, "examples": count, "seconds": round(seconds, 1)}
        with Path(tally).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
