"""When a process has had its time: by what it computed, and not by the clock of a busy machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

# A process that shows no sign of work for so many times its deadline is stuck.
STUCK = 5
# One that reads now and then, and has not answered after so many deadlines, is given up too.
_LONGEST = 50
# From one look at an overdue process to the next.
_LOOK_S = 1.0
_PS_S = 5.0


class Activity(NamedTuple):
    """What a process has done so far.

    Args:
        cpu_s: seconds of processor time, of all its threads.
        waits_for_cpu: whether a thread of it runs, or could if there were a free processor.
        signs: numbers that change while it computes, reads files or is brought back from swap.
    """

    cpu_s: float
    waits_for_cpu: bool
    signs: tuple[float, ...]


class Expired(NamedTuple):
    """Why a process is not waited for any longer.

    Args:
        reason: on one line.
        stuck: whether it waited for something instead of computing: a disk or whoever stopped it
            may be at fault as well as what it was asked for.
    """

    reason: str
    stuck: bool


class Deadline:
    """The time that a process has for one item.

    A process on a crowded machine gets little of the processor, and one that reads from a slow disk
    waits for it: neither is at fault. So the process has expired when

    * it was given `allowed_s` by the clock and has used as much processor time, or
    * it neither computed, nor waited for a processor, nor read anything for `STUCK` times as long,
    * or it read now and then, but waited for something else than a processor 50 times as long.

    Only the clock is looked at before `allowed_s` have passed. Time in which nobody looked, as
    when this process was stopped itself, does not count as idle. Where the system does not say what
    a process does, it has `STUCK` times `allowed_s` by the clock.

    Args:
        pid: the process.
        allowed_s: seconds.
        used_s: processor time that it had used before.
    """

    def __init__(self, pid: int, allowed_s: float, used_s: float) -> None:
        self._pid, self._allowed_s, self._used_s = pid, allowed_s, used_s
        self._looked = time.monotonic()
        self._waited_s = self._idle_s = 0.0
        self._signs: tuple[float, ...] | None = None
        self._counts_s = allowed_s  # the most that counts as passed since the last look
        self.next_look = self._looked + allowed_s

    def expired(self) -> Expired | None:
        """Say why the process is given up; None while it is not."""
        now = time.monotonic()
        if now < self.next_look:
            return None
        since_s = min(now - self._looked, self._counts_s)
        self._looked, self._counts_s = now, 2 * _LOOK_S
        self._idle_s += since_s
        left_s = self._allowed_s
        if (seen := activity(self._pid)) is not None:
            left_s -= seen.cpu_s - self._used_s
            if left_s <= 0:
                reason = f"no answer within {self._allowed_s:g} s of processor time"
                return Expired(reason, stuck=False)
            self._waited_s += 0.0 if seen.waits_for_cpu else since_s
            if seen.waits_for_cpu or seen.signs != self._signs:
                self._idle_s, self._signs = 0.0, seen.signs
        if self._idle_s >= STUCK * self._allowed_s:
            return Expired(f"no sign of work for {STUCK * self._allowed_s:g} s", stuck=True)
        if self._waited_s >= _LONGEST * self._allowed_s:
            return Expired(f"no answer within {_LONGEST * self._allowed_s:g} s", stuck=True)
        self.next_look = now + min(max(left_s, 0.05), _LOOK_S)
        return None


def activity(pid: int) -> Activity | None:
    """Return what a process of this machine has done; None where the system does not say."""
    try:
        return _from_proc(Path(f"/proc/{pid}")) if sys.platform == "linux" else _from_ps(pid)
    except (OSError, ValueError, IndexError, subprocess.SubprocessError):
        return None


def _from_proc(folder: Path) -> Activity:
    """See proc(5): `stat`, `io` and the state of each thread."""
    fields = _stat(folder / "stat")
    faults, user, system = (int(fields[i]) for i in (9, 11, 12))
    states = [_stat(task)[0] for task in folder.glob("task/*/stat")]
    try:
        lines = (folder / "io").read_text(encoding="ascii").splitlines()
        read = [int(line.split()[1]) for line in lines if line.startswith(("rchar", "read_bytes"))]
    except OSError:
        read = []  # hidden from us in some containers
    ticks = user + system
    return Activity(
        ticks / os.sysconf("SC_CLK_TCK"), "R" in states, (float(ticks), float(faults), *read)
    )


def _stat(path: Path) -> list[str]:
    """The fields from the third on: the second, a name, may hold blanks and brackets."""
    return path.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()


def _from_ps(pid: int) -> Activity:
    """POSIX has no call for it, but the command `ps`; macOS gives hundredths of a second."""
    command = ["ps", "-o", "state=", "-o", "time=", "-p", str(pid)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=_PS_S, check=True)
    state, spent = found.stdout.split()
    days, _, clock = spent.rpartition("-")
    cpu_s = 86400.0 * int(days or 0)
    for power, part in enumerate(reversed(clock.split(":"))):
        cpu_s += float(part) * 60**power
    return Activity(cpu_s, state.startswith("R"), (cpu_s,))
