"""Memory that two processes share: arrays pass from one to the other without a pipe."""

from __future__ import annotations

import mmap
import os
import pickle
import sys
import tempfile
from collections.abc import Sequence


class SharedBlock:
    """A nameless file in memory: it grows as needed, and ends with the last process that has it.

    Args:
        fd: an open file that another process has too; None for a new one.
    """

    def __init__(self, fd: int | None = None) -> None:
        self.fd = _nameless_file() if fd is None else fd
        self._map: mmap.mmap | None = None

    def __del__(self) -> None:
        os.close(self.fd)

    def write(self, buffers: Sequence[pickle.PickleBuffer]) -> list[int]:
        """Puts buffers one after the other; returns their sizes in bytes."""
        parts = [buffer.raw() for buffer in buffers]
        sizes = [part.nbytes for part in parts]
        size = os.fstat(self.fd).st_size
        if not sum(sizes) <= size <= 4 * sum(sizes):  # neither too small nor a waste
            os.ftruncate(self.fd, sum(sizes))
            self._map = None
        for part, place in zip(parts, self.read(sizes), strict=True):
            place[:] = part
        return sizes

    def read(self, sizes: Sequence[int]) -> list[memoryview]:
        """The buffers of the given sizes; they hold until the next `write`."""
        if not sum(sizes):
            return [memoryview(bytearray()) for _ in sizes]
        if self._map is None or len(self._map) < sum(sizes):
            self._map = mmap.mmap(self.fd, sum(sizes))
        whole, parts, begin = memoryview(self._map), [], 0
        for size in sizes:
            parts.append(whole[begin : begin + size])
            begin += size
        return parts


def _nameless_file() -> int:
    if sys.platform == "linux":
        return os.memfd_create("sumlctl")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
