"""Files that no process of a run asks again, and how a run that goes on knows of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lightning_fabric import Fabric

from sumlctl.learning.data.reader import Reader
from sumlctl.learning.data.requests import Failure
from sumlctl.learning.training.runlog import RunLog
from sumlctl.learning.training.savepoints import Position

_EVENT = "video_quarantined"


class Quarantine:
    """Writes down which files are in quarantine, and shares them between a run's processes.

    The process that a file failed keeps away from it at once, the others from the next epoch on:
    so what they read does not depend on who is quicker.

    Args:
        fabric: tells which process this is.
        log: where they are written down.
        stage: of the training.
        reader: keeps away from them.
    """

    def __init__(self, fabric: Fabric, log: RunLog, stage: str, reader: Reader) -> None:
        self._fabric, self._log, self._stage, self._reader = fabric, log, stage, reader
        self._of_epoch: list[Failure] = []

    def add(self, failure: Failure, epoch: int, batch: int, process: int) -> None:
        """Notes a file that is in quarantine since a batch of one process."""
        place = {"stage": self._stage, "epoch": epoch, "step": batch, "process": process}
        self._log.write(_EVENT, **place, **failure._asdict())
        self._of_epoch.append(failure)

    def share(self) -> None:
        """Keeps this process from what was noted in the epoch that is over."""
        self._reader.quarantine(self._of_epoch)
        self._of_epoch = []

    def restore(self, position: Position) -> None:
        """Keeps this process from what it would know by now, had the run not been stopped."""
        # One process reads for all: others may see the folder late, or not at all.
        lines: Sequence[dict[str, Any]] = self._fabric.broadcast(self._log.read(_EVENT))
        self._reader.quarantine(
            [
                Failure(line["clip_id"], line["reason"], line["file"])
                for line in lines
                if self._is_known(line, position)
            ]
        )

    def _is_known(self, line: dict[str, Any], position: Position) -> bool:
        if line["stage"] != self._stage or line["epoch"] < position.epoch:
            return True
        own = line["process"] == self._fabric.global_rank
        return own and (line["epoch"], line["step"]) < position
