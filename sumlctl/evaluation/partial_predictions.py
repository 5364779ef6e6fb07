"""Predictions that are kept while they are made, so that an interrupted evaluation goes on."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import polars as pl

from sumlctl import tables
from sumlctl.errors import SumlError

_EVERY_S = 30.0


class PartialPredictions:
    """A folder of predictions tables; used as a context, which keeps what is there when it ends.

    Args:
        folder: where they go.
        inputs: path -> sha256 of what the predictions depend on.
        config: the settings that they depend on; parts made with others are thrown away.
    """

    def __init__(self, folder: Path, inputs: Mapping[str, str], config: Mapping[str, Any]) -> None:
        self._folder, self._inputs, self._config = folder, dict(inputs), dict(config)
        self._held: list[pl.DataFrame] = []
        self._written = time.monotonic()
        self._before = self._read()
        if not self._before:
            shutil.rmtree(folder, ignore_errors=True)

    def _read(self) -> list[pl.DataFrame]:
        found = []
        for path in sorted(self._folder.glob("*.parquet")):
            try:
                table = tables.read(path, "predictions")
            except SumlError:  # another program's, or of another version
                return []
            if made_from(table) != (self._inputs, self._config):
                return []
            found.append(pl.DataFrame(table))
        return found

    @property
    def done(self) -> set[str]:
        """Clips that are predicted already."""
        return {clip for part in self._before for clip in part["clip_id"]}

    def add(self, rows: pl.DataFrame) -> None:
        """Takes predictions, and writes them every half minute."""
        self._held.append(rows)
        if time.monotonic() - self._written >= _EVERY_S:
            self._flush()

    def all(self) -> pl.DataFrame:
        """Everything predicted so far."""
        return pl.concat([*self._before, *self._held])

    def clear(self) -> None:
        """Throws the parts away, once they are one table."""
        self._before, self._held = [], []
        shutil.rmtree(self._folder, ignore_errors=True)

    def _flush(self) -> None:
        if self._held:
            rows = pl.concat(self._held)
            path = self._folder / f"{len(self._before):05d}.parquet"
            tables.write(
                rows.to_arrow(), path, "predictions", inputs=self._inputs, config=self._config
            )
            self._before.append(rows)
        self._held, self._written = [], time.monotonic()

    def __enter__(self) -> PartialPredictions:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._flush()


def made_from(table: Any) -> tuple[dict[str, str], dict[str, Any]]:
    """The inputs and settings that a table of predictions was made from."""
    return tables.metadata(table, "inputs") or {}, tables.metadata(table, "config") or {}
