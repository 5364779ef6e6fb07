"""Open videos of a process, kept for the next request."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from sumlctl.video.decoders import Decoder

Key = tuple[Any, ...]


class _Idle(NamedTuple):
    stamp: Key
    decoder: Decoder


class Handles:
    """Decoders that stay open between requests; the one that rested longest is closed first.

    A decoder is lent to one caller at a time; one whose file has changed meanwhile, or whose
    caller failed, is closed. A forked process begins with none: those of its parent share the
    position in their files with it, and decord's have lost their threads.

    Args:
        most: number of decoders that rest open.
        most_bytes: memory that they take together, roughly.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._idle: OrderedDict[Key, _Idle] = OrderedDict()
        self._of_parent: list[OrderedDict[Key, _Idle]] = []
        self._lock = Lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin_anew)

    def _begin_anew(self) -> None:
        self._of_parent.append(self._idle)  # not even closed
        self._idle, self._lock = OrderedDict(), Lock()

    def __len__(self) -> int:
        return len(self._idle)

    @contextmanager
    def borrow(self, path: Path, kind: Key, open_it: Callable[[], Decoder]) -> Iterator[Decoder]:
        """Lends an open decoder of a file.

        Args:
            path: the file or folder.
            kind: what else tells one decoder of the file from another.
            open_it: opens the file where none rests.

        Raises:
            DecodeError: the file is not there.
        """
        from sumlctl.video.decoders import DecodeError

        try:
            found = path.stat()
        except OSError as error:
            raise DecodeError(
                path, "cannot be read", f"{type(error).__name__}: {error.strerror}"
            ) from error
        stamp = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        key = (str(path.absolute()), *kind)
        with self._lock:
            idle = self._idle.pop(key, None)
        if idle and idle.stamp != stamp:
            idle.decoder.close()
            idle = None
        decoder = idle.decoder if idle else open_it()
        del idle
        try:
            yield decoder
        except BaseException:
            decoder.close()
            raise
        self._rest(key, _Idle(stamp, decoder))

    def _rest(self, key: Key, idle: _Idle) -> None:
        with self._lock:
            surplus = [self._idle.pop(key)] if key in self._idle else []
            self._idle[key] = idle
            nbytes = sum(rested.decoder.nbytes for rested in self._idle.values())
            while len(self._idle) > self._most or nbytes > self._most_bytes:
                _, oldest = self._idle.popitem(last=False)
                nbytes -= oldest.decoder.nbytes
                surplus.append(oldest)
        for rested in surplus:
            rested.decoder.close()
