"""`log.jsonl` of a run, and the same figures to TensorBoard and Weights & Biases."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sumlctl.config import documents
from sumlctl.config.sections import Log
from sumlctl.errors import SumlError, from_os_error


class RunLog:
    """One JSON object per line; only the first process writes.

    Args:
        folder: of the run.
        active: whether this process writes.
        settings: which other logs are kept.
        config: the resolved pipeline, for those that show it.

    Raises:
        SumlError: a log is asked for whose package is not installed.
    """

    def __init__(
        self,
        folder: Path,
        active: bool,
        settings: Log | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self.path, self.active = folder / "log.jsonl", active
        self._tensorboard: Any = None
        self._wandb: Any = None
        tensorboard, wandb = packages(settings) if active and settings else (None, None)
        if tensorboard:
            self._tensorboard = tensorboard.SummaryWriter(str(folder / "tensorboard"))
        if settings and wandb:
            self._wandb = wandb.init(
                project=settings.wandb,
                name=folder.name,
                id=hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16],
                resume="allow",
                dir=str(folder),
                config=dict(config or {}),
            )

    def write(self, event: str, **values: Any) -> None:
        """Appends one line, whole or not at all.

        Raises:
            SumlError: the file system refused.
        """
        if self.active:
            line = json.dumps({"event": event, **values}) + "\n"
            before = self.path.stat().st_size if self.path.is_file() else 0
            try:
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(line)
            except OSError as error:
                with suppress(OSError):
                    os.truncate(self.path, before)
                raise from_os_error(error, self.path, writing=True) from error

    def read(self, event: str) -> list[dict[str, Any]]:
        """The lines of one kind so far; one that a crash cut short is passed over."""
        if not self.path.is_file():
            return []
        found = [values for values in documents.lines(self.path) if values.get("event") == event]
        return [{k: v for k, v in values.items() if k != "event"} for values in found]

    def scalars(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """Tells the other logs, where there are any.

        Args:
            stage: of the training; names are `<stage>/<name>`.
            step: batches since the stage began.
            values: name -> figure.
        """
        if self._tensorboard:
            for name, value in values.items():
                self._tensorboard.add_scalar(f"{stage}/{name}", value, step)
        if self._wandb:
            named = {f"{stage}/{name}": value for name, value in values.items()}
            self._wandb.log(named | {f"{stage}/step": step})

    def close(self) -> None:
        """Writes out what the other logs hold back."""
        if self._tensorboard:
            self._tensorboard.close()
        if self._wandb:
            self._wandb.finish()


def packages(settings: Log) -> tuple[Any, Any]:
    """TensorBoard's and Weights & Biases' modules, None for those that are not asked for.

    Raises:
        SumlError: one is asked for and not installed.
    """
    return (
        _package("torch.utils.tensorboard", "tensorboard", "log.tensorboard")
        if settings.tensorboard
        else None,
        _package("wandb", "wandb", "log.wandb") if settings.wandb else None,
    )


def _package(module: str, package: str, setting: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise SumlError(
            setting,
            f"{package} is not installed",
            got=error,
            expected=f"the package {package}",
            fix=f"Install it with `pip install {package}` or leave the setting out.",
        ) from error
