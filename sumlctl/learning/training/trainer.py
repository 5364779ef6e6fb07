"""Runs one stage of training: batches in, trained weights and a log out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import distributed, nn

from sumlctl import console
from sumlctl.config import Pipeline
from sumlctl.config.sections import Stage
from sumlctl.errors import Interrupted, SumlError
from sumlctl.learning.data.batches import Batch, EpochBatches
from sumlctl.learning.losses.terms import Term
from sumlctl.learning.training import optimisation
from sumlctl.learning.training.interrupt import Interrupts
from sumlctl.learning.training.meter import Meter, weighted_sum
from sumlctl.learning.training.quarantine import Quarantine
from sumlctl.learning.training.randomness import seed_everything
from sumlctl.learning.training.runlog import RunLog
from sumlctl.learning.training.savepoints import BEST, CheckpointWriter, Position

# Named terms of the loss, from the model, a batch on its device, the epoch and the batch's number.
Terms = Callable[[nn.Module, Batch, int, int], Mapping[str, Term]]
# Name -> figure from 0 to 1 of the model as it is; their mean chooses the best.
Validate = Callable[[nn.Module, Fabric], Mapping[str, float]]


@dataclass
class StageTrainer:
    """Trains a model through one stage (Sec. 3.4).

    Chance is drawn by (seed, epoch, batch, process), so that a stage that goes on from a savepoint
    takes the same steps as one that was never stopped.

    Args:
        settings: epochs, batch size and learning rate.
        pipeline: the run's other settings.
        fabric: devices and precision.
        model: trained in place.
        batches: the loader's order; where it begins is set here.
        loader: gives the batches.
        terms: the loss.
        savepoints: what is kept while training.
        log: the run's log.
        quarantine: the files that are not read any more.
        validate: measures the model between epochs; None for a stage without validation.
    """

    settings: Stage
    pipeline: Pipeline
    fabric: Fabric
    model: nn.Module
    batches: EpochBatches
    loader: Iterable[Batch]
    terms: Terms
    savepoints: CheckpointWriter
    log: RunLog
    quarantine: Quarantine
    validate: Validate | None = None

    def fit(self) -> None:
        """Trains from the last savepoint, if there is one, to the end.

        Raises:
            SumlError: a term of the loss is not finite, too many clips cannot be decoded, or the
                memory does not suffice.
            Interrupted: a signal asked to stop; `latest.pt` is written.
        """
        with _memory_faults(self.savepoints.stage), Interrupts(self.fabric) as self._interrupts:
            self._fit()
        if self._interrupts.noted and self.savepoints.stage == "stage_one":
            raise Interrupted(self._interrupts.noted, f"stopped after stage_one; {self._how_to()}")

    def _how_to(self) -> str:
        return f"go on with `sumlctl train --resume {self.log.path.parent.name}`"

    def _fit(self) -> None:
        stage, fabric = self.savepoints.stage, self.fabric
        self._module, self._optimizer = fabric.setup(
            self.model, optimisation.build(self.model, self.pipeline.optimiser)
        )
        position = self.savepoints.restore(self.model, self._optimizer.optimizer)
        if position != Position():
            self.log.write("resumed", stage=stage, epoch=position.epoch, step=position.batch)
            console.note(f"{stage}: goes on at epoch {position.epoch}, step {position.batch}")
        self.quarantine.restore(position)
        clips = self.batches.batch_size * fabric.world_size
        self._meter = Meter(stage, self.log, clips, len(self.batches), fabric.device)
        self._rate = self._base_rate(clips)
        left = (self.settings.epochs - position.epoch) * len(self.batches) - position.batch
        with console.progress(stage, left * clips, "clips") as self._bar:
            while position.epoch < self.settings.epochs:
                self._epoch(position)
                position = Position(position.epoch + 1)
                self._after_epoch(position.epoch)
        self.savepoints.finished(self.model, self.settings.epochs)
        if self._meter.failed:
            console.warn(
                f"{stage}: {self._meter.failed} undecodable clips replaced, "
                f"{self._meter.different} different, see {self.log.path}"
            )

    def _base_rate(self, clips_per_batch: int) -> float:
        optimiser = self.pipeline.optimiser
        clips = clips_per_batch * self.batches.group
        rate = optimisation.base_rate(optimiser, self.settings, clips)
        if rate != self.settings.learning_rate:
            console.note(
                f"{self.savepoints.stage}: learning rate {self.settings.learning_rate:g} x {clips} "
                f"clips per step / {optimiser.rate_for_batch} = {rate:g}"
            )
        return rate

    def _epoch(self, position: Position) -> None:
        self.batches.epoch, self.batches.first = position
        epoch, failed_before = position.epoch, self._meter.failed
        self._module.train()
        self._meter.begin()
        asked = time.perf_counter()
        for batch, content in enumerate(self.loader, start=position.batch):
            waited_s = time.perf_counter() - asked
            self._meter.replaced(content.pop("failed"), epoch, batch)
            if not content:
                self._refuse_undecodable()
            self._batch(self.fabric.to_device(content), epoch, batch, waited_s)
            self._bar.advance(self.batches.batch_size * self.fabric.world_size)
            done = batch + 1
            telling = done % self.pipeline.log.every == 0 or done == len(self.batches)
            if telling:
                self._meter.tell_replaced(self.quarantine)
                self._refuse_if_most_failed(self._meter.failed - failed_before)
                self._bar.tell(self._meter.tell(epoch, batch))
            if done % self.batches.group == 0:
                self._between_steps(Position(epoch, done))
            asked = time.perf_counter()
        self.quarantine.share()

    def _batch(self, content: Batch, epoch: int, batch: int, waited_s: float) -> None:
        """Forward, backward and, after the last of a group of batches, a step."""
        group, settings = self.batches.group, self.pipeline.optimiser
        seed_everything(self.pipeline.seed, epoch, batch, self.fabric.global_rank)
        steps = (batch + 1) % group == 0
        with self.fabric.no_backward_sync(self._module, enabled=not steps):
            terms = self.terms(self._module, content, epoch, batch)
            loss = weighted_sum(terms)
            self.fabric.backward(loss / group)
        done = epoch + batch // group * group / len(self.batches)
        rate = self._rate * optimisation.factor(settings, done, self.settings.epochs)
        self._meter.add(terms, loss, rate, waited_s)
        if steps:
            self._step(rate)

    def _step(self, rate: float) -> None:
        for weights in self._optimizer.param_groups:
            weights["lr"] = rate
        if norm := self.pipeline.optimiser.clip_norm:
            self.fabric.clip_gradients(
                self._module, self._optimizer, max_norm=norm, error_if_nonfinite=False
            )
        self._optimizer.step()
        self._optimizer.zero_grad()

    def _between_steps(self, position: Position) -> None:
        number = self._interrupts.asked()
        if number or self.savepoints.latest_is_due():
            self._meter.tell(position.epoch, position.batch - 1)  # what is not finite is not kept
            self.savepoints.latest(self.model, self._optimizer.optimizer, position)
        if number:
            self._meter.tell_replaced(self.quarantine)
            place = f"{self.savepoints.stage}, epoch {position.epoch}, step {position.batch}"
            self.fabric.barrier()
            raise Interrupted(number, f"stopped at {place}; {self._how_to()}")

    def _after_epoch(self, done: int) -> None:
        every = self.pipeline.checkpoints.validate_every
        if self.validate and every and (done % every == 0 or done == self.settings.epochs):
            self._share_statistics()
            figures = dict(self.validate(self.model, self.fabric))
            score = sum(figures.values()) / len(figures)
            best = self.savepoints.validated(self.model, done, score)
            stage = self.savepoints.stage
            self.log.write("validation", stage=stage, epoch=done, best=best, **figures)
            self.log.scalars(stage, done * len(self.batches), figures)
            shown = ", ".join(f"{name} {value:.1%}" for name, value in figures.items())
            kept = f" (best): kept as {BEST}; eval takes the last, {stage}.pt" if best else ""
            console.note(f"{stage}: after epoch {done}: {shown}{kept}")
        self.savepoints.epoch(self.model, done)

    def _share_statistics(self) -> None:
        """Gives all processes the first one's running statistics, which are those that are kept."""
        if self.fabric.world_size > 1:
            for value in self.model.buffers():
                distributed.broadcast(value, 0)

    def _refuse_undecodable(self) -> None:
        first, *_ = self._meter.undecodable
        raise SumlError(
            self.savepoints.stage,
            "many clips in a row cannot be decoded",
            got=f"{first.clip_id}: {first.reason}",
            expected="readable videos",
            fix="Run `sumlctl index` again: it finds the videos at fault.",
        )

    def _refuse_if_most_failed(self, failed: int) -> None:
        clips = len(self.batches) * self.batches.batch_size * self.fabric.world_size
        if failed > self.pipeline.max_failed_share * clips:
            raise SumlError(
                self.savepoints.stage,
                "too many clips cannot be decoded",
                got=f"{failed:,} of an epoch's {clips:,}",
                expected=f"at most {self.pipeline.max_failed_share:.0%}",
                fix=f"See {self.log.path}, then `sumlctl index` again, or raise max_failed_share.",
            )


@contextmanager
def _memory_faults(stage: str) -> Any:
    """Says what to lower when the memory does not suffice."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        told = str(error).lower()
        if "out of memory" not in told and "can't allocate memory" not in told:
            raise
        raise SumlError(
            stage,
            "out of memory",
            got=str(error).splitlines()[0][:160],
            expected="a batch that fits",
            fix=f"Lower {stage}.batch_size (and raise optimiser.accumulate), input.frames or "
            "input.crop, set backbone.checkpointing = true, or use --precision bf16-mixed.",
        ) from error
