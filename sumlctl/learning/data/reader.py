"""Reads windows in processes that a video can hang, crash or swell without harm to this one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import count
from threading import Event
from typing import Any, TypeVar

import numpy as np

from sumlctl import console
from sumlctl.config import Pipeline
from sumlctl.errors import InstallationError, ProgramError, SumlError
from sumlctl.jobs import pool
from sumlctl.learning.data import requests
from sumlctl.learning.data.decoded_clips import ClipCache
from sumlctl.learning.data.requests import Failure, Request, Window
from sumlctl.video import quarantine
from sumlctl.workspace import Workspace

T = TypeVar("T")
# What reads a file after PyAV cost a worker; arm64 has no decord.
_OTHER_DECODER = "decord" if find_spec("decord") else "pyav"
_LOOK_UP_S = 0.2
# Batches that wait while another is used.
_AHEAD = 2
_END: Any = object()

# When a window's turn is: the number of the sample that wants it, and which try of it this is.
Turn = tuple[int, int]
_BEFORE: Turn = (-1, 0)


@contextmanager
def open_reader(workspace: Workspace, pipeline: Pipeline) -> Iterator[Reader]:
    """A reader with a pipeline's settings; what it puts in quarantine is marked in the tables."""
    with Reader.of(pipeline) as reader:
        is_sound = True
        try:
            yield reader
        except InstallationError:
            is_sound = False  # what it made of any file says nothing about the file
            raise
        finally:
            if is_sound:
                _mark(workspace, reader)


def _mark(workspace: Workspace, reader: Reader) -> None:
    found = {failure.file: (failure.clip_id, failure.reason) for failure in reader.quarantined}
    if reader.lost > len(reader.sound):
        console.warn(
            f"{reader.lost:,} videos cost the processes that decoded them, {len(reader.sound):,} "
            "did not: that looks like a fault of this machine, and none is marked unreadable"
        )
        return
    try:
        marked = quarantine.put(workspace, found)
    except SumlError as error:
        console.warn(f"videos in quarantine could not be marked: {error}")
        return
    if marked:
        console.warn(
            f"{marked:,} videos are marked unreadable and left out from now on; "
            "`sumlctl index --retry unreadable` tries them again"
        )


def _other_decoder(window: Window) -> str:
    """Return who reads a file after the choice of its clip cost a worker."""
    return _OTHER_DECODER if window.clip.decoder == "auto" else "pyav"


class _Stopped(Exception):  # noqa: N818, a wish and no error
    pass


@dataclass(frozen=True, eq=False)
class _Asked:
    """A window on its way: by itself, or as a part of its whole clip."""

    turn: Turn
    key: Any
    window: Window
    whole: bool = False
    again: bool = False
    decoder: str | None = None

    def request(self) -> Request:
        clip, times_s, short_side, _ = self.window
        request = Request.of(clip, clip.every_frame() if self.whole else times_s, short_side)
        # What cost a worker may be the stored file.
        request = request._replace(whole=self.whole)
        return request._replace(stored=(), decoder=self.decoder) if self.decoder else request


class Reader:
    """Decodes windows; used as a context.

    A file that costs a worker is read with the other decoder from then on; where that fails too,
    it is in quarantine and not read any more. Quarantine holds for the turns after the one that
    it came from: what is read does not depend on which worker was quicker.

    A worker that was stuck without computing may have waited for a disk: its window is asked for
    once more, after the others, before that counts against the file. And it does not count where
    nothing else was read in all that time either. Nor does an error of the program, which is shown.

    Args:
        workers: processes that decode; with 0 this one does, and has no help against a file that
            hangs, crashes or swells.
        timeout_s: seconds of processor time for one window; see `supervise.Pool`.
        memory_mb: by how much a worker may grow, in MiB.
        cache_mb: room for whole decoded clips, in MiB.

    `sound` holds the files that frames were read from.
    """

    def __init__(self, workers: int, timeout_s: float, memory_mb: int, cache_mb: int = 0) -> None:
        self._pool: pool.Pool | None = None
        if workers:
            self._pool = pool.Pool(
                requests.answer, workers, deadline_s=timeout_s, memory_mb=memory_mb, borrow=True
            )
        # A clip is in memory twice while a worker puts its frames together.
        self._cache = ClipCache(cache_mb * 2**20, memory_mb * 2**20 // 4)
        self._ready: list[tuple[Any, np.ndarray | Failure]] = []
        self._first_loss: dict[str, str] = {}
        self._read = 0
        self._stuck_since: dict[str, int] = {}  # file -> windows read when it was stuck first
        self._quarantine: dict[str, tuple[Turn, Failure]] = {}
        self._shown: set[str] = set()
        self.sound: set[str] = set()
        self.numbers = count()
        self._stop = Event()
        self._thread: ThreadPoolExecutor | None = None

    @classmethod
    def of(cls, pipeline: Pipeline) -> Reader:
        """A reader with the settings of a pipeline."""
        p = pipeline
        return cls(p.workers, p.decode_timeout_s, p.decode_memory_mb, p.cache_mb)

    @property
    def room(self) -> int:
        """How many more windows keep the workers busy."""
        if self._ready:
            return 0
        return self._pool.room if self._pool else 1

    @property
    def quarantined(self) -> list[Failure]:
        """What put files in quarantine."""
        return [failure for _, failure in self._quarantine.values()]

    @property
    def lost(self) -> int:
        """How many files are in quarantine because of what they did here."""
        return sum(since > _BEFORE for since, _ in self._quarantine.values())

    def quarantine(self, failures: list[Failure]) -> None:
        """Puts files in quarantine for all turns that are still to come."""
        for failure in failures:
            self._quarantine.setdefault(failure.file, (_BEFORE, failure))

    def barred(self, turn: Turn, window: Window) -> Failure | None:
        """Why a window is not read in its turn, where its file is in quarantine."""
        since, failure = self._quarantine.get(window.file, (turn, None))
        if failure is None or since >= turn:
            return None
        return Failure(window.clip.clip_id, f"in quarantine: {failure.reason}")

    def ask(self, turn: Turn, key: Any, window: Window) -> None:
        """Takes a window; its answer comes with the key."""
        answer = self.barred(turn, window) or self._cache.window(window)
        if answer is not None:
            self._ready.append((key, answer))
        elif window.file in self._first_loss:
            self._submit(_Asked(turn, key, window, decoder=_other_decoder(window)))
        else:
            self._submit(_Asked(turn, key, window, whole=self._cache.reserve(window)))

    def answers(self) -> list[tuple[Any, np.ndarray | Failure]]:
        """Waits for windows: keys with pixels, uint8 [T, H, W, 3], or with what was in the way.

        Pixels hold until the next call.
        """
        while not self._ready:
            if self._stop.is_set():
                raise _Stopped
            assert self._pool is not None, "nothing was asked for"
            for asked, answer in self._pool.wait(_LOOK_UP_S):
                self._hear(asked, answer)
        answers, self._ready = self._ready, []
        return answers

    def ahead(self, items: Iterator[T]) -> Iterator[T]:
        """Yields the items of an iterator that reads here, made by a thread some items ahead."""
        self._thread = thread = ThreadPoolExecutor(1, "reading ahead")
        try:
            made: deque[Future[T]] = deque(thread.submit(next, items, _END) for _ in range(_AHEAD))
            while (item := made.popleft().result()) is not _END:
                made.append(thread.submit(next, items, _END))
                yield item
        finally:
            if self._thread is thread:
                self._end_round()

    def _end_round(self) -> None:
        """Stops the thread and gives up all windows that are on their way."""
        if self._thread is not None:
            self._stop.set()
            self._thread.shutdown(cancel_futures=True)
            self._stop.clear()
            self._thread = None
        self._ready.clear()
        self._cache.reserved = 0
        if self._pool:
            self._pool.drop()

    def _submit(self, asked: _Asked, *, first: bool = False) -> None:
        if self._pool:
            self._pool.submit(asked, asked.request(), first=first)
            return
        try:
            self._hear(asked, requests.answer(asked.request()))
        except SumlError as error:
            self._hear(asked, pool.Failure(str(error), error=error))

    def _hear(self, asked: _Asked, answer: Any) -> None:
        if asked.whole:
            self._cache.release(asked.window)
        if isinstance(answer, pool.Failure):
            self._hear_failure(asked, answer)
            return
        self.sound.add(asked.window.file)
        self._read += 1
        self._stuck_since.pop(asked.window.file, None)
        pixels, times_s = answer
        if asked.whole:
            self._cache.put(asked.window, pixels.copy(), times_s.copy())
            pixels = self._cache.window(asked.window)
        self._ready.append((asked.key, pixels))

    def _hear_failure(self, asked: _Asked, failure: pool.Failure) -> None:
        if isinstance(failure.error, InstallationError):
            raise failure.error
        clip_id, file = asked.window.clip.clip_id, asked.window.file
        told = self.barred(asked.turn, asked.window)
        if told is None and failure.stuck and not asked.again:
            self._stuck_since[file] = self._read
            self._submit(replace(asked, whole=False, again=True))
            return
        if told is None and asked.whole:
            self._submit(replace(asked, whole=False), first=True)
            return
        if told is None and isinstance(failure.error, ProgramError):
            if failure.reason not in self._shown:
                self._shown.add(failure.reason)
                console.warn(failure.reason)
            told = Failure(clip_id, failure.reason)
        if told is None and failure.lost and asked.decoder is None:
            self._first_loss.setdefault(file, failure.reason)
            other = _other_decoder(asked.window)
            if asked.window.clip.decoder == "decord":
                console.warn(
                    f"{clip_id}: decord cost its process ({failure.reason}); {other} reads"
                )
            self._submit(replace(asked, decoder=other), first=True)
            return
        if told is None and asked.decoder:
            reason = f"{self._first_loss.get(file, '')}; with {asked.decoder}: {failure.reason}"
            if self._stuck_since.get(file) == self._read:  # so is the machine, for all we know
                del self._stuck_since[file]
                self._first_loss.pop(file, None)
                self._ready.append((asked.key, Failure(clip_id, reason)))
                return
            told = Failure(clip_id, reason, file)
            self._quarantine[file] = (asked.turn, told)
        self._ready.append((asked.key, told or Failure(clip_id, failure.reason)))

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._end_round()
        if self._pool:
            self._pool.close()
