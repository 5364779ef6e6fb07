"""The narrations table of one dataset and encoder: what it holds, what it lacks, how it grows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from sumlctl import tables
from sumlctl.console import note
from sumlctl.errors import SumlError
from sumlctl.narrations.choose import Choice

if TYPE_CHECKING:
    import numpy as np


class Vectors:
    """Vectors by text; what is not there yet is added.

    A table that is broken, or that another encoder or batch size made, counts for nothing.

    Args:
        path: the narrations table.
        choice: the encoder.
        config: the settings that a vector depends on.
    """

    def __init__(self, path: Path, choice: Choice, config: dict[str, Any]) -> None:
        self.path, self._choice, self._config = path, choice, config
        self._texts = pl.Series("text", [], pl.String)
        self._matrices: list[np.ndarray] = []
        self._inputs: dict[str, str] | None = None
        if table := self._read():
            self.add(pl.Series("text", table.column("text")), tables.vectors(table))
            self._inputs = tables.metadata(table, "inputs")

    def _read(self) -> Any:
        """The table as it stands; None where it counts for nothing."""
        if not self.path.is_file():
            return None
        try:
            table = tables.read(self.path, "narrations")
        except SumlError as error:
            note(f"starting over: {error}")
            return None
        encoder = tables.metadata(table, "encoder") or {}
        same = encoder.get("weights_sha256") == self._choice.weights_sha256
        if not same or tables.metadata(table, "config") != self._config:
            note(f"starting over: {self.path.name} was made with other weights or settings")
            return None
        return table

    def missing(self, texts: pl.Series) -> pl.Series:
        """Those of `texts` that have no vector yet."""
        return texts.filter(~texts.is_in(self._texts.implode()))

    def add(self, texts: pl.Series, vectors: np.ndarray) -> None:
        """Takes unit vectors [n, d], which may lie in a file."""
        self._texts = self._texts.append(texts)
        self._matrices.append(vectors)

    def finish(self, texts: pl.Series, inputs: dict[str, str]) -> None:
        """Writes the table of exactly `texts` unless it stands already."""
        as_it_stands = len(self._matrices) == 1 and self._inputs == inputs
        if as_it_stands and texts.equals(self._texts):
            return
        import pyarrow as pa

        known = pl.DataFrame({"text": self._texts}).with_row_index("row")
        rows = pl.DataFrame({"text": texts}).join(known, on="text", maintain_order="left")
        vectors = _gather(self._matrices, rows.get_column("row").to_numpy())
        dimension = vectors.shape[1]
        flat = pa.array(vectors.reshape(-1))
        columns = {
            "text": rows.get_column("text").to_arrow().cast(pa.string()),
            "vector": pa.FixedSizeListArray.from_arrays(flat, dimension),
        }
        encoder = {
            "name": self._choice.name,
            "weights_sha256": self._choice.weights_sha256,
            "dimension": dimension,
        }
        tables.write(
            pa.table(columns),
            self.path,
            "narrations",
            inputs=inputs,
            config=self._config,
            extra={"encoder": encoder},
        )


def _gather(matrices: Iterable[np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Rows of several matrices [n, d] that lie one after another, as float32."""
    import numpy as np

    parts = list(matrices)
    found = np.empty((len(rows), parts[0].shape[1]), np.float32)
    first = 0
    for part in parts:
        here = (rows >= first) & (rows < first + len(part))
        found[here] = part[rows[here] - first]
        first += len(part)
    return found
