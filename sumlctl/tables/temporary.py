"""Names of unfinished files, and the removal of those whose process was killed."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

_MANY = 1000  # files in a folder that is not listed again at every write
_listed_once: set[Path] = set()


def temporary(path: Path) -> Path:
    """Return the hidden path that this process writes to before it becomes `path`."""
    return path.with_name(f".{path.name}.{_machine()}.{os.getpid()}.tmp")


def remove_stale(path: Path) -> None:
    """Remove the unfinished files, or folders, of `path` that killed processes left.

    The name says whose they are: only those of this machine, and of this container where there are
    several, are removed, and only once no process has their number. On a shared file system another
    machine may be writing. Folders of very many files are looked through once by each process.
    """
    if path.parent in _listed_once:
        return
    stale = re.compile(rf"\.{re.escape(path.name)}\.{_machine()}\.(\d+)\.tmp")
    with suppress(OSError):  # no such folder yet, or one that cannot be read: the write will say
        listed = [*path.parent.iterdir()]
        if len(listed) > _MANY:
            _listed_once.add(path.parent)
        for one in listed:
            if (found := stale.fullmatch(one.name)) and not _is_running(int(found[1])):
                _remove(one)


def _remove(left: Path) -> None:
    if left.is_dir() and not left.is_symlink():
        shutil.rmtree(left, ignore_errors=True)
    else:
        with suppress(OSError):  # another process removed it, or nobody may
            left.unlink()


@functools.cache
def _machine() -> str:
    """Return what tells the processes of this machine and container from others of same numbers.

    Containers may share the machine's name and still count processes from one; the namespace tells
    them apart (pid_namespaces(7)).
    """
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # not Linux
        namespace = ""
    return hashlib.sha256(f"{os.uname().nodename}\0{namespace}".encode()).hexdigest()[:8]


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # signal 0 asks and does nothing
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
