"""Runs one stage of training: batches in, trained weights and a log out."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import DataLoader

from sumlctl import console
from sumlctl.config import Optimiser, Stage
from sumlctl.errors import SumlError
from sumlctl.learning import schedules
from sumlctl.learning.batches import Batch, EpochBatches, Failure
from sumlctl.learning.losses.terms import Term

# Named terms of the loss, from the model, a batch on its device, the epoch and the step in it.
Terms = Callable[[nn.Module, Batch, int, int], Mapping[str, Term]]


@dataclass
class RunLog:
    """`log.jsonl` of a run: one JSON object per line; only the first process writes.

    Args:
        path: the file.
        active: whether this process writes.
    """

    path: Path
    active: bool

    def write(self, event: str, **values: Any) -> None:
        """Appends one line."""
        if self.active:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"event": event, **values}) + "\n")


@dataclass
class _Recent:
    """Steps since the last line of the log; their terms stay on the device until then."""

    names: tuple[str, ...] = ()
    values: list[Tensor] = field(default_factory=list)
    samples: int = 0
    waited_s: float = 0.0
    since: float = field(default_factory=time.perf_counter)


@dataclass
class StageTrainer:
    """Trains a model through one stage (Sec. 3.4).

    Args:
        name: of the stage, in progress and log.
        fabric: devices and precision.
        model: trained in place.
        batches: the loader's order; its `epoch` is set here.
        loader: gives the batches.
        terms: the loss.
        stage: epochs, batch size and learning rate.
        optimiser: SGD and the schedule.
        log: the run's log.
        log_every: steps between two lines of it.
        save: called after each epoch with the number of epochs done.
    """

    name: str
    fabric: Fabric
    model: nn.Module
    batches: EpochBatches
    loader: DataLoader[Batch]
    terms: Terms
    stage: Stage
    optimiser: Optimiser
    log: RunLog
    log_every: int
    save: Callable[[int], None]
    _failed: int = 0

    def fit(self) -> None:
        """Trains through all epochs.

        Raises:
            SumlError: a term of the loss is no longer finite, or no clip can be decoded.
        """
        sgd = torch.optim.SGD(
            self.model.parameters(),
            lr=self.stage.learning_rate,
            momentum=self.optimiser.momentum,
            weight_decay=self.optimiser.weight_decay,
        )
        module, optimizer = self.fabric.setup(self.model, sgd)
        feed = self.fabric.setup_dataloaders(self.loader, use_distributed_sampler=False)
        module.train()
        total = self.stage.epochs * len(self.batches) * self._samples_per_step
        with console.progress(self.name, total, "samples") as bar:
            for epoch in range(self.stage.epochs):
                self._epoch(module, optimizer, feed, epoch, bar)
                self.save(epoch + 1)
        if self._failed:
            log = self.log.path
            console.warn(f"{self.name}: {self._failed} undecodable clips replaced, see {log}")

    @property
    def _samples_per_step(self) -> int:
        return self.batches.batch_size * self.batches.world_size

    def _epoch(
        self, module: Any, optimizer: Any, feed: Any, epoch: int, bar: console.Progress
    ) -> None:
        self.batches.epoch = epoch
        recent = _Recent()
        asked = time.perf_counter()
        for step, batch in enumerate(feed):
            recent.waited_s += time.perf_counter() - asked
            self._name_failed(batch.pop("failed"))
            rate = self._rate(epoch + step / len(self.batches))
            named = self.terms(module, batch, epoch, step)
            recent.names = tuple(named)
            recent.values.append(self._step(optimizer, named, rate))
            recent.samples += self._samples_per_step
            bar.advance(self._samples_per_step)
            if len(recent.values) == self.log_every or step + 1 == len(self.batches):
                self._tell(recent, epoch, step, rate)
                recent = _Recent()
            asked = time.perf_counter()

    def _rate(self, epoch: float) -> float:
        factor = schedules.factor(self.optimiser, epoch, self.stage.epochs)
        return self.stage.learning_rate * factor

    def _step(self, optimizer: Any, named: Mapping[str, Term], rate: float) -> Tensor:
        """One step down the gradient; the terms' values and the loss [K + 1], on the device."""
        loss = torch.stack([term.weight * term.value for term in named.values()]).sum()
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        self.fabric.backward(loss)
        optimizer.step()
        return torch.stack([*(term.value for term in named.values()), loss]).detach()

    def _tell(self, recent: _Recent, epoch: int, step: int, rate: float) -> None:
        """Fetches the recent terms, checks that they are finite, logs their means."""
        fetched = torch.stack(recent.values).tolist()
        first = step + 1 - len(fetched)
        for i, values in enumerate(fetched):
            for name, value in zip((*recent.names, "loss"), values, strict=True):
                if not math.isfinite(value):
                    raise self._not_finite(name, value, epoch, first + i)
        *means, loss = (sum(column) / len(fetched) for column in zip(*fetched, strict=True))
        spent = time.perf_counter() - recent.since
        self.log.write(
            "steps",
            stage=self.name,
            epoch=epoch,
            step=step,
            loss=loss,
            terms=dict(zip(recent.names, means, strict=True)),
            learning_rate=rate,
            samples_per_s=recent.samples / spent,
            data_wait_share=recent.waited_s / spent,
        )

    def _not_finite(self, name: str, value: float, epoch: int, step: int) -> SumlError:
        return SumlError(
            f"{self.name}, epoch {epoch}, step {step}",
            f"term {name} of the loss is not finite",
            got=value,
            expected="a finite number",
            fix=f"Lower {self.name}.learning_rate, or train with --precision 32-true.",
        )

    def _name_failed(self, failed: list[Failure]) -> None:
        for clip_id, reason in failed:
            self._failed += 1
            self.log.write("clip_replaced", stage=self.name, clip_id=clip_id, reason=reason)
