"""Units of work on a Ray cluster: its nodes see the same files under the same names."""

from __future__ import annotations

import logging
import os
import pickle
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import cycle, islice
from typing import Any, TypeVar

from sumlctl.errors import SumlError
from sumlctl.jobs import pool as supervise
from sumlctl.jobs.executors import Limits
from sumlctl.jobs.worker import Failure

Item = TypeVar("Item")

_ANSWERS_WITHIN_S = 5.0
_AHEAD = 2  # calls per processor that are on their way, so that none waits for the next


class Cluster:
    """Ray tasks, one processor each; what wants a GPU is done by one actor per GPU of the cluster.

    A call is answered by a process that Ray's own worker supervises, as on a single machine: limits
    and their wording are the same, and a crash costs neither the worker nor what it has imported.
    """

    def run(
        self, function: Callable[[Any], Any], items: Iterable[Item], limits: Limits
    ) -> Iterator[tuple[Item, Any]]:
        """See `Executor`."""
        import ray

        give, places = _actors(function, limits) if limits.on_device else _tasks(function, limits)
        queue, asked = iter(items), {}
        try:
            for item in islice(queue, places):
                asked[give(item)] = item
            while asked:
                (ready,), _ = ray.wait([*asked], num_returns=1)
                item = asked.pop(ready)
                for following in islice(queue, 1):
                    asked[give(following)] = following
                yield item, _answer(ready)
        finally:
            for call in asked:
                with suppress(ray.exceptions.RayError, TypeError):  # a call of an actor goes on
                    ray.cancel(call, force=True)


def _answer(call: Any) -> Any:
    """The answer of a call, or a Failure where the worker or its node is gone."""
    import ray

    try:
        return ray.get(call)
    except ray.exceptions.RayError as error:
        return Failure(f"Ray lost it: {str(error).splitlines()[0]}", lost=True)


def _tasks(function: Callable[[Any], Any], limits: Limits) -> tuple[Callable[[Any], Any], int]:
    """What gives an item to the cluster, and how many it can have at a time."""
    import ray

    task: Any = ray.remote(num_cpus=1, max_retries=0)(_in_process)
    places = _AHEAD * max(int(ray.cluster_resources().get("CPU", 1)), 1)
    pickled = pickle.dumps(function)
    return lambda item: task.remote(pickled, item, limits), places


def _actors(function: Callable[[Any], Any], limits: Limits) -> tuple[Callable[[Any], Any], int]:
    import ray

    gpus = int(ray.cluster_resources().get("GPU", 0))
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    whole = min(int(node.get("CPU", 1)) for node in nodes)
    wants: Any = {"num_gpus": 1, "num_cpus": 1} if gpus else {"num_cpus": whole}
    kind: Any = ray.remote(**wants, max_restarts=-1, scheduling_strategy="SPREAD")(_Device)
    actors = [kind.remote() for _ in range(gpus or len(nodes))]
    turn, pickled = cycle(actors), pickle.dumps(function)
    return lambda item: next(turn).do.remote(pickled, item, limits), _AHEAD * len(actors)


class _Device:
    """Answers call after call on one GPU, or with all processors of a node."""

    def do(self, function: bytes, item: Any, limits: Limits) -> Any:
        return _in_process(function, item, limits)


def _in_process(function: bytes, item: Any, limits: Limits) -> Any:
    """The answer of a process that this one keeps for the function, which comes pickled."""
    pool = _pool(function, limits)
    pool.submit(0, item)
    while pool.pending:
        for _, answer in pool.wait():
            return answer
    raise AssertionError("a pool answers what it is asked")


@cache
def _pool(function: bytes, limits: Limits) -> supervise.Pool:
    deadline_s, memory_mb = limits.deadline_s, limits.memory_mb
    return supervise.Pool(pickle.loads(function), 1, deadline_s=deadline_s, memory_mb=memory_mb)


@contextmanager
def cluster(address: str | None) -> Iterator[Cluster]:
    """A connection to a cluster; without an address to a new one, of this machine alone.

    Args:
        address: of a head node, or `auto` for the cluster that runs on this machine.

    Raises:
        SumlError: Ray is not installed, or no cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise SumlError(
            "--engine ray",
            "Ray is not installed",
            got=str(error),
            expected="the package ray",
            fix="Run `pip install 'sumlctl[cluster]'`.",
        ) from error
    try:
        _knock(address)
        logging.getLogger("ray").setLevel(logging.ERROR)
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ray.exceptions.RayError, ValueError, RuntimeError) as error:
        raise SumlError(
            "--address",
            "no Ray cluster answers",
            got=str(error).splitlines()[0],
            expected="the address of a head node, such as 10.0.0.1:6379",
            fix="Start it with `ray start --head`, or correct the address.",
        ) from error
    try:
        yield Cluster()
    finally:
        ray.shutdown()


def _knock(address: str | None) -> None:
    """Connects to a head node once: Ray itself would wait for minutes for one that is not there."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=_ANSWERS_WITHIN_S).close()
