"""Small disks to fill."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(folder: Path, size: str, *unmount: str) -> Iterator[Path]:
    """A file system of so many bytes, such as `64k`; only root may mount one, else it skips.

    Args:
        folder: where it will be.
        size: as `mount` takes it.
        unmount: options of `umount`.
    """
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except OSError as error:
        pytest.skip(f"no small disk here: {error}")
    if done.returncode:
        pytest.skip(f"no small disk here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", *unmount, str(folder)], check=True)
