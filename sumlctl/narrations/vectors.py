"""The narrations table of one dataset and encoder: what it holds, what it lacks, how it grows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sumlctl import tables
from sumlctl.console import note
from sumlctl.errors import SumlError
from sumlctl.narrations.choose import Choice

if TYPE_CHECKING:
    import numpy as np

_SAVE_EVERY_S = 20.0


class Vectors:
    """Vectors by text, from the table and from the partial one of an interrupted run.

    A table that is broken, or that another encoder or batch size made, counts for nothing.

    Args:
        path: the narrations table.
        choice: the encoder.
        config: the settings that a vector depends on.
    """

    def __init__(self, path: Path, choice: Choice, config: dict[str, Any]) -> None:
        self.path, self._choice, self._config = path, choice, config
        self._partial = path.with_name(path.name.removesuffix(".parquet") + ".partial.parquet")
        self._inputs: dict[str, str] = {}
        self._texts: list[str] = []
        partial = self._read(self._partial)
        self._by_text = self._read(path, remember=True) | partial
        self._saved = time.monotonic()

    def _read(self, path: Path, *, remember: bool = False) -> dict[str, np.ndarray]:
        if not path.is_file():
            return {}
        try:
            table = tables.read(path, "narrations")
        except SumlError as error:
            note(f"starting over: {error}")
            return {}
        encoder = tables.metadata(table, "encoder") or {}
        same = encoder.get("weights_sha256") == self._choice.weights_sha256
        if not same or tables.metadata(table, "config") != self._config:
            note(f"starting over: {path.name} was made with other weights or settings")
            return {}
        texts = table.column("text").to_pylist()
        if remember:
            self._texts, self._inputs = texts, tables.metadata(table, "inputs")
        return dict(zip(texts, tables.vectors(table), strict=True))

    def missing(self, texts: Sequence[str]) -> list[str]:
        """Those of `texts` that have no vector yet."""
        return [text for text in texts if text not in self._by_text]

    def add(self, texts: Sequence[str], vectors: np.ndarray) -> None:
        """Takes unit vectors [n, d]; every so often a partial table is saved."""
        self._by_text.update(zip(texts, vectors, strict=True))
        if time.monotonic() - self._saved > _SAVE_EVERY_S:
            self._write(self._partial, list(self._by_text), {})
            self._saved = time.monotonic()

    def finish(self, texts: list[str], inputs: dict[str, str]) -> None:
        """Writes the table of exactly `texts` unless it stands already."""
        if texts != self._texts or inputs != self._inputs:
            self._write(self.path, texts, inputs)
        self._partial.unlink(missing_ok=True)

    def _write(self, path: Path, texts: list[str], inputs: dict[str, str]) -> None:
        import numpy as np
        import pyarrow as pa

        matrix = np.stack([self._by_text[text] for text in texts])
        dimension = matrix.shape[1]
        flat = pa.array(matrix.reshape(-1))
        columns = {
            "text": pa.array(texts, pa.string()),
            "vector": pa.FixedSizeListArray.from_arrays(flat, dimension),
        }
        encoder = {
            "name": self._choice.name,
            "weights_sha256": self._choice.weights_sha256,
            "dimension": dimension,
        }
        tables.write(
            pa.table(columns),
            path,
            "narrations",
            inputs=inputs,
            config=self._config,
            extra={"encoder": encoder},
        )
