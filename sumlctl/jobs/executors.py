"""Who does units of work: processes of this machine, or a Ray cluster."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sumlctl.errors import unknown_name
from sumlctl.jobs import pool, worker

Item = TypeVar("Item")

ENGINES = ("local", "ray")


@dataclass(frozen=True)
class Limits:
    """What one unit of work may take, and where it is done.

    Args:
        deadline_s: seconds of processor time, and never fewer by the clock; see `Deadline`.
        memory_mb: by how much the process that does it may grow, in MiB; None for no limit.
        attempts: at a unit whose process is lost; a fault of the data would only come again.
            One more is made at a unit whose process was stuck without computing.
        on_device: whether it wants a GPU for itself, or where there is none a whole machine.
    """

    deadline_s: float
    memory_mb: int | None = None
    attempts: int = 2
    on_device: bool = False


class Executor(Protocol):
    """Calls a function of one item, many items at a time."""

    def run(
        self, function: Callable[[Any], Any], items: Iterable[Item], limits: Limits
    ) -> Iterator[tuple[Item, Any]]:
        """Yields each item once with its result, or with a Failure, in order of completion.

        Closing the iterator ends what is under way.

        Args:
            function: of one item, importable by name.
            items: picklable.
            limits: of one item.
        """
        ...


class Local:
    """Processes of this machine.

    What wants a GPU is done in one process per GPU, which share the processors, and in this one
    where there is at most one GPU or one item.

    Args:
        jobs: processes for all else, at least 1.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def run(
        self, function: Callable[[Any], Any], items: Iterable[Item], limits: Limits
    ) -> Iterator[tuple[Item, Any]]:
        """See `Executor`."""
        gpus: list[str] = []
        if limits.on_device:
            items = list(items)
            gpus = _gpus() if len(items) > 1 else []
            if len(gpus) <= 1:
                for item in items:
                    yield item, worker.answer(function, item)
                return
        yield from pool.run(
            function,
            items,
            jobs=len(gpus) or self.jobs,
            deadline_s=limits.deadline_s,
            memory_mb=limits.memory_mb,
            environments=[{"CUDA_VISIBLE_DEVICES": gpu} | _share(len(gpus)) for gpu in gpus],
        )


THIS_MACHINE = Local(1)


def _share(processes: int) -> dict[str, str]:
    """What tells numerical libraries to leave the other processes their part of the processors."""
    threads = max(1, (os.cpu_count() or 1) // processes)
    return {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads))}


def _gpus() -> list[str]:
    """The GPUs of this machine, as CUDA_VISIBLE_DEVICES names them."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return []  # without torch, which takes longer to import than many a search
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(i) for i in range(torch.cuda.device_count())]
    return names[: torch.cuda.device_count()]


@contextmanager
def executor(engine: str, jobs: int, address: str | None = None) -> Iterator[Executor]:
    """An executor while it is needed.

    Args:
        engine: `local` or `ray`.
        jobs: processes of `local`; Ray counts the cluster's processors.
        address: of a Ray cluster, `auto` for the one that runs here; None for a new one.

    Raises:
        SumlError: no such engine, Ray is not installed, or no cluster answers.
    """
    if engine == "local":
        yield Local(jobs)
    elif engine == "ray":
        from sumlctl.jobs.ray import cluster

        with cluster(address) as found:
            yield found
    else:
        raise unknown_name("--engine", "engine", engine, ENGINES)
