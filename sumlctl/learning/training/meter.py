"""Figures of the steps since the last line of the log; on the device until they are told."""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, distributed

from sumlctl import console
from sumlctl.errors import SumlError
from sumlctl.learning.data.requests import Failure
from sumlctl.learning.losses.terms import Term
from sumlctl.learning.training.quarantine import Quarantine
from sumlctl.learning.training.runlog import RunLog


def weighted_sum(terms: Mapping[str, Term]) -> Tensor:
    """The loss. A term of weight 0 stays in it: every weight then has a gradient, as DDP wants."""
    learned = [term for term in terms.values() if term.value.requires_grad]
    return torch.stack([term.weight * term.value for term in learned]).sum()


@dataclass
class Meter:
    """Collects what the steps of one stage have to tell.

    Args:
        stage: its name.
        log: the run's log.
        clips_per_batch: of all devices.
        batches_per_epoch: of this process.
        device: whose memory is told.
    """

    stage: str
    log: RunLog
    clips_per_batch: int
    batches_per_epoch: int
    device: torch.device
    failed: int = 0
    waited_s: float = 0.0
    _failures: list[tuple[int, int, Failure]] = field(default_factory=list)
    _different: set[str] = field(default_factory=set)
    _names: tuple[str, ...] = ()
    _values: list[Tensor] = field(default_factory=list)
    _rate: float = 0.0
    _since: float = field(default_factory=time.perf_counter)

    def add(self, terms: Mapping[str, Term], loss: Tensor, rate: float, waited_s: float) -> None:
        """Notes one batch, its learning rate and how long it was waited for; no device is."""
        self._names, self._rate = (*terms, "loss"), rate
        values = [*(term.value for term in terms.values()), loss]
        self._values.append(torch.stack([value.detach().float() for value in values]))
        self.waited_s += waited_s

    def replaced(self, failures: Sequence[Failure], epoch: int, batch: int) -> None:
        """Takes note of clips of a batch that could not be decoded."""
        self._failures += ((epoch, batch, failure) for failure in failures)

    @property
    def undecodable(self) -> Sequence[Failure]:
        """Clips noted since the last time they were told."""
        return [failure for _, _, failure in self._failures]

    @property
    def different(self) -> int:
        """How many clips were replaced, each counted once."""
        return len(self._different)

    def tell_replaced(self, quarantine: Quarantine) -> None:
        """Counts and names them, those of all processes; all have to ask at the same time.

        Args:
            quarantine: hears of the files that are in quarantine for it.
        """
        found: list[Any] = [self._failures]
        if distributed.is_initialized():
            found = [None] * distributed.get_world_size()
            distributed.all_gather_object(found, self._failures)
        self._failures = []
        for process, failures in enumerate(found):
            for epoch, batch, failure in failures:
                self.failed += 1
                self._different.add(failure.clip_id)
                clip = {"clip_id": failure.clip_id, "reason": failure.reason}
                self.log.write("clip_replaced", stage=self.stage, **clip)
                if failure.file:
                    console.warn(f"{failure.file} is in quarantine: {failure.reason}")
                    quarantine.add(failure, epoch, batch, process)

    def begin(self) -> None:
        """Starts the clock: what was done since the last line is not training."""
        self.waited_s, self._since = 0.0, time.perf_counter()

    def tell(self, epoch: int, batch: int) -> str:
        """Writes one line of the log and starts anew.

        Args:
            epoch: epochs done.
            batch: the last one of this epoch that was noted.

        Returns:
            The same in short, for a person.

        Raises:
            SumlError: a term of the loss is not finite.
        """
        if not self._values:
            return ""
        fetched = torch.stack(self._values)
        means = fetched.mean(dim=0).tolist()
        if not all(map(math.isfinite, means)):
            self._refuse(fetched.tolist(), epoch, batch + 1 - len(fetched))
        spent = time.perf_counter() - self._since
        terms = dict(zip(self._names, means, strict=True))
        loss = terms.pop("loss")
        figures = {
            "loss": loss,
            "learning_rate": self._rate,
            "clips_per_s": len(fetched) * self.clips_per_batch / spent,
            "data_wait_share": self.waited_s / spent,
            "memory_mb": peak_memory_mb(self.device),
        }
        place = {"stage": self.stage, "epoch": epoch, "step": batch}
        self.log.write("steps", **place, **figures, terms=terms)
        self.log.scalars(self.stage, epoch * self.batches_per_epoch + batch, figures | terms)
        self._values, self.waited_s, self._since = [], 0.0, time.perf_counter()
        shown = " ".join(f"{name} {value:.3g}" for name, value in terms.items())
        wait, memory = figures["data_wait_share"], figures["memory_mb"] / 1000
        return (
            f"loss {loss:.4g} ({shown}) lr {self._rate:.2g} data wait {wait:.0%} "
            f"memory {memory:.1f} GB"
        )

    def _refuse(self, fetched: Sequence[Sequence[float]], epoch: int, first: int) -> None:
        for i, values in enumerate(fetched):
            for name, value in zip(self._names, values, strict=True):
                if not math.isfinite(value):
                    raise SumlError(
                        f"{self.stage}, epoch {epoch}, step {first + i}",
                        f"term {name} of the loss is not finite",
                        got=value,
                        expected="a finite number",
                        fix=f"Lower {self.stage}.learning_rate, set optimiser.clip_norm, or train "
                        "with --precision 32-true.",
                    )


def peak_memory_mb(device: torch.device) -> float:
    """Most memory in use so far: of the GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
