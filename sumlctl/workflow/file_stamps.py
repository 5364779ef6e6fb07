"""What a file or folder is known by, so that it is read again only where it may have changed."""

from __future__ import annotations

import functools
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from sumlctl.video import quarantine


@dataclass(frozen=True)
class FileStamp:
    """What a file or folder is known by.

    Args:
        sha256: of a file's content, or of a folder's listing; empty for what is not there.
        size: bytes, or files.
        mtime_ns: of a file.
    """

    sha256: str
    size: int = 0
    mtime_ns: int = 0


def file_stamp(path: Path, known: FileStamp | None = None) -> FileStamp:
    """Return the stamp of a file or folder, `known` where size and time are the same."""
    try:
        found = path.stat()
    except (OSError, ValueError):  # none, out of reach, or no name of a file
        return FileStamp("")
    if stat.S_ISDIR(found.st_mode):
        return _listing(path)
    if not stat.S_ISREG(found.st_mode):  # a device or a pipe need not end
        return FileStamp("")
    if known and (known.size, known.mtime_ns) == (found.st_size, found.st_mtime_ns):
        return known
    sha256 = _digest(path, found.st_size, found.st_mtime_ns)
    return FileStamp(sha256, found.st_size, found.st_mtime_ns)


@functools.lru_cache(maxsize=4096)
def _digest(path: Path, size: int, mtime_ns: int) -> str:
    return quarantine.digest(path)


def _listing(folder: Path) -> FileStamp:
    """Names, sizes and times of a folder's files; hidden ones are nobody's work."""
    seen = hashlib.sha256()
    count = 0
    for path in files_of(folder):
        found = path.stat()
        name = path.relative_to(folder).as_posix()
        seen.update(f"{name}\0{found.st_size}\0{found.st_mtime_ns}\n".encode())
        count += 1
    return FileStamp(seen.hexdigest(), count)


def files_of(folder: Path) -> list[Path]:
    """Return the files of a folder and those below, hidden ones aside."""
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = (Path(root, name) for name in sorted(names) if not name.startswith("."))
        found += [path for path in paths if path.is_file()]
    return found
