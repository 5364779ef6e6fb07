"""Which processes there are; Linux only."""

from __future__ import annotations

import os
from pathlib import Path


def workers() -> list[int]:
    """Live workers of `sumlctl.jobs.pool` that this process has started."""
    return [
        pid
        for pid, parent, _ in _live()
        if parent == os.getpid() and b"sumlctl.jobs.worker" in _command(pid)
    ]


def of_group(group: int) -> list[int]:
    """Live processes of a process group."""
    return [pid for pid, _, its_group in _live() if its_group == group]


def children(parent: int) -> list[int]:
    """Live processes that a process has started."""
    return [pid for pid, its_parent, _ in _live() if its_parent == parent]


def _live() -> list[tuple[int, int, int]]:
    """Process, parent and group of all that run; those that ended and wait for that to be noticed
    do not.
    """
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        except OSError:  # it ended meanwhile
            continue
        state, parent, group, *_ = fields
        if state != "Z":
            found.append((int(folder.name), int(parent), int(group)))
    return found


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
