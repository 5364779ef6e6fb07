"""Turns SIGTERM and Ctrl-C into a question that the training loop asks between two steps."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, distributed

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# A terminal and torchrun both pass a signal on; what comes so soon is the same wish.
_SAME_WISH_S = 2.0


class Interrupts:
    """Notes SIGTERM and a first Ctrl-C; a second Ctrl-C, some seconds later, goes through.

    Used as a context; outside the main thread, where Python allows no handlers, it notes nothing.
    """

    def __init__(self, fabric: Fabric) -> None:
        self._noted, self._noted_at = 0, 0.0
        several = fabric.world_size > 1
        # On the host, so that no step waits for a GPU.
        self._group: Any = distributed.new_group(backend="gloo") if several else None
        self._asked: tuple[Any, Tensor] | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = {s: signal.signal(s, self._note) for s in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def asked(self) -> int:
        """The signal to stop for, or 0; the same in all processes, which all ask after each step.

        Several processes hear of a signal one step late: the answer to each question is fetched
        with the next one, so that nobody waits for it.
        """
        if self._group is None:
            return self._noted
        answer = 0
        if self._asked is not None:
            work, noted = self._asked
            work.wait()
            answer = int(noted)
        noted = torch.tensor(self._noted)
        work = distributed.all_reduce(
            noted, distributed.ReduceOp.MAX, group=self._group, async_op=True
        )
        self._asked = work, noted
        return answer

    @property
    def noted(self) -> int:
        """The signal that this process was sent, or 0."""
        return self._noted

    def _note(self, number: int, frame: FrameType | None) -> None:
        again = self._noted and time.monotonic() - self._noted_at > _SAME_WISH_S
        if again and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self._noted:
            self._noted, self._noted_at = number, time.monotonic()
