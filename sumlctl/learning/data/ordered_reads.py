"""Reads what is made of windows, many at a time, and gives it in its order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Generic, Protocol, TypeVar

import numpy as np

from sumlctl.learning.data.reader import Reader
from sumlctl.learning.data.requests import Failure, Window


class ReadJob(Protocol):
    """Something made of windows, such as a sample with one of each view."""

    def windows(self, attempt: int) -> Mapping[str, Window]:
        """What to read, by name; for attempt 1, 2, ... what to read instead, or nothing."""

    def take(self, name: str, pixels: np.ndarray) -> None:
        """Copies a window's pixels, uint8 [T, H, W, 3]; a later attempt's replace them."""

    def done(self, attempt: int, failures: Sequence[Failure]) -> None:
        """Hears which attempt counts, and what failed before it."""


T = TypeVar("T")
W = TypeVar("W", bound=ReadJob)


def read_in_order(reader: Reader, wanted: Iterable[W], at_once: int) -> Iterator[W]:
    """Reads everything wanted, many windows at a time; yields it in its order.

    Args:
        reader: decodes.
        wanted: taken as there is room.
        at_once: how many may be under way, so that a slow file does not fill the memory.
    """
    following = iter(wanted)
    under_way: deque[_PendingRead[W]] = deque()
    while True:
        while reader.room > 0 and len(under_way) < at_once:
            one = next(following, None)
            if one is None:
                break
            under_way.append(_PendingRead(reader, one))
        if not under_way:
            return
        if under_way[0].settled():
            yield under_way.popleft().wanted
            continue
        for (asker, attempt, name), answer in reader.answers():
            asker.hear(attempt, name, answer)


class _PendingRead(Generic[W]):
    """Something wanted whose windows are being read."""

    def __init__(self, reader: Reader, wanted: W) -> None:
        self.wanted = wanted
        self._reader, self._number = reader, next(reader.numbers)
        self._asked: list[Mapping[str, Window]] = []
        self._heard: list[dict[str, Failure | None]] = []
        self._ask()

    def hear(self, attempt: int, name: str, answer: np.ndarray | Failure) -> None:
        if isinstance(answer, Failure):
            self._heard[attempt][name] = answer
        else:
            self._heard[attempt][name] = None
            self.wanted.take(name, answer)
        if self._complete and self._failures(attempt):
            self._ask()

    def settled(self) -> bool:
        """Whether all is read, now that everything before it is."""
        while self._complete:
            last = len(self._asked) - 1
            if not self._failures(last):
                failures = [f for attempt in range(last) for f in self._failures(attempt)]
                self.wanted.done(last, failures)
                return True
            self._ask()  # something before it has put a file in quarantine
        return False

    @property
    def _complete(self) -> bool:
        return self._heard[-1].keys() == self._asked[-1].keys()

    def _ask(self) -> None:
        attempt = len(self._asked)
        self._asked.append(self.wanted.windows(attempt))
        self._heard.append({})
        for name, window in self._asked[attempt].items():
            self._reader.ask((self._number, attempt), (self, attempt, name), window)

    def _failures(self, attempt: int) -> list[Failure]:
        turn, heard = (self._number, attempt), self._heard[attempt]
        windows = self._asked[attempt].items()
        found = (self._reader.barred(turn, window) or heard[name] for name, window in windows)
        return [failure for failure in found if failure]


class SingleWindow(Generic[T]):
    """One window of its own, and what is made of it, or what was in the way.

    Args:
        window: the window.
        make: from pixels, uint8 [T, H, W, 3], that it does not keep.
    """

    result: T | Failure

    def __init__(self, window: Window, make: Callable[[np.ndarray], T]) -> None:
        self._window, self._make = window, make

    def windows(self, attempt: int) -> dict[str, Window]:
        return {} if attempt else {"": self._window}

    def take(self, name: str, pixels: np.ndarray) -> None:
        self.result = self._make(pixels)

    def done(self, attempt: int, failures: Sequence[Failure]) -> None:
        if failures:
            self.result = failures[0]


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items; the last may be shorter."""
    following = iter(items)
    while batch := list(islice(following, size)):
        yield batch
