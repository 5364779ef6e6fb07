"""What is kept on disk while a stage trains, and how it goes on from there."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning_fabric import Fabric
from torch import nn

from sumlctl.config.sections import Checkpoints
from sumlctl.errors import SumlError
from sumlctl.learning import checkpoints

LATEST = "latest.pt"
BEST = "best.pt"


def stage_of(folder: Path) -> str:
    """Which stage `latest.pt` in a folder of checkpoints goes on with; empty without one."""
    path = folder / LATEST
    return checkpoints.read(path).get("stage", "") if path.is_file() else ""


class Position(NamedTuple):
    """How far a stage has come.

    Args:
        epoch: epochs done.
        batch: batches done of the next one.
    """

    epoch: int = 0
    batch: int = 0


class CheckpointWriter:
    """The files under `checkpoints` of one stage; the first process writes them, whole or not.

    `<stage>.pt` holds the last weights, `<stage>.epoch_<n>.pt` those of some epochs and `best.pt`
    those with the best validation. `latest.pt` also holds the optimiser and the position.

    Args:
        fabric: tells which process this is, and how gradients are scaled.
        folder: of the checkpoints.
        stage: its name.
        record: plain values that each file tells about its weights.
        settings: what to keep.
        group: batches of one step.
    """

    def __init__(
        self,
        fabric: Fabric,
        folder: Path,
        stage: str,
        record: Mapping[str, Any],
        settings: Checkpoints,
        group: int = 1,
    ) -> None:
        self._fabric, self._folder, self.stage, self._settings = fabric, folder, stage, settings
        self._group = group
        self._record = {"stage": stage, **record}
        self._written = time.monotonic()
        self.best: float | None = None

    def latest(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, position: Position
    ) -> None:
        """Writes what `restore` needs to go on from `position`."""
        self._written = time.monotonic()
        if self._fabric.is_global_zero:
            moving = {
                "position": tuple(position),
                "group": self._group,
                "optimizer": optimizer.state_dict(),
                "scaler": self._fabric.strategy.precision.state_dict(),
                "best": self.best,
            }
            self._save(LATEST, model, moving)

    def latest_is_due(self) -> bool:
        """Whether `latest.pt` is older than the settings allow."""
        return time.monotonic() - self._written >= self._settings.latest_every_s

    def epoch(self, model: nn.Module, done: int) -> None:
        """Keeps the weights of an epoch where the settings say so."""
        every = self._settings.keep_every
        if every and done % every == 0 and self._fabric.is_global_zero:
            self._save(f"{self.stage}.epoch_{done}.pt", model, {"epochs": done})

    def validated(self, model: nn.Module, done: int, score: float) -> bool:
        """Keeps the weights as the best if they are; tells whether they are."""
        if not score > (-math.inf if self.best is None else self.best):
            return False
        self.best = score
        if self._fabric.is_global_zero:
            self._save(BEST, model, {"epochs": done, "score": score})
        return True

    def finished(self, model: nn.Module, epochs: int) -> None:
        """Writes the stage's weights; there is nothing left to go on from."""
        if self._fabric.is_global_zero:
            self._save(f"{self.stage}.pt", model, {"epochs": epochs})
            (self._folder / LATEST).unlink(missing_ok=True)
        self._fabric.barrier()

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Position:
        """Sets weights and optimiser as `latest.pt` has them, if it is of this stage.

        Other processes than wrote it may have fewer or more batches to a step; what counts is the
        steps that were done.

        Raises:
            SumlError: the file cannot be read, does not fit, or is another for another process.
        """
        path = self._folder / LATEST
        # One process decides for all: others may see the folder late, or not at all.
        if not self._fabric.broadcast(stage_of(self._folder) == self.stage):
            return Position()
        content = checkpoints.read(path)
        checkpoints.load_weights(model, path).require(path)
        try:
            optimizer.load_state_dict(content["optimizer"])
            self._fabric.strategy.precision.load_state_dict(content["scaler"])
            self.best = content["best"]
            epoch, batch = map(int, content["position"])
            position = Position(epoch, batch // content.get("group", self._group) * self._group)
        except (LookupError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
            raise SumlError(
                path,
                "training cannot go on from it",
                got=f"{type(error).__name__}: {error}"[:120],
                expected="the optimiser and the position of this stage",
                fix="Delete it: the stage then begins anew.",
            ) from error
        self._agree(path, position)
        return position

    def _agree(self, path: Path, position: Position) -> None:
        """Insists that all machines see the same file: shared folders may show an older one."""
        first = self._fabric.broadcast(position)
        if first != position:
            raise SumlError(
                path,
                "this machine sees another savepoint than the first one",
                got=f"epoch {position.epoch}, step {position.batch}",
                expected=f"epoch {first.epoch}, step {first.batch}",
                fix="Start again when the shared folder shows the same everywhere.",
            )

    def _save(self, name: str, model: nn.Module, more: Mapping[str, Any]) -> None:
        values = [v for v in model.state_dict().values() if v.is_floating_point()]
        if not torch.stack([value.isfinite().all() for value in values]).all():
            raise SumlError(
                self.stage,
                "the weights are not finite",
                got="NaN or infinite ones after the last step",
                expected="finite numbers",
                fix=f"Lower {self.stage}.learning_rate or set optimiser.clip_norm in a new run.",
            )
        checkpoints.save(self._folder / name, model, {**self._record, **more})
