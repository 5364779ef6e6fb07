"""Turns SIGTERM and Ctrl-C into a question that the training loop asks between two steps."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

import torch
from lightning_fabric import Fabric

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Notes a first signal and lets a second one through.

    Used as a context; outside the main thread, where Python allows no handlers, it notes nothing.
    """

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric
        self._noted = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before = {s: signal.signal(s, self._note) for s in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def asked(self, agree: bool) -> int:
        """The signal to stop for, or 0; the same in all processes.

        Args:
            agree: whether all processes ask at this moment. With several of them nothing is told
                at other moments, since each would have to wait for the others.
        """
        if self._fabric.world_size == 1:
            return self._noted
        if not agree:
            return 0
        noted = torch.tensor(self._noted, device=self._fabric.device)
        reduced = self._fabric.all_reduce(noted, reduce_op="max")
        assert isinstance(reduced, torch.Tensor)
        return int(reduced.item())

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._noted:
            raise KeyboardInterrupt
        self._noted = number
