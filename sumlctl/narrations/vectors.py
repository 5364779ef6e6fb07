"""The narrations table of one dataset and encoder: what it holds, what it lacks, how it grows."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from sumlctl import tables
from sumlctl.console import note
from sumlctl.errors import SumlError
from sumlctl.narrations.choose import Choice
from sumlctl.tables import narration_vectors

if TYPE_CHECKING:
    import numpy as np


_SAMPLE = 64  # narrations that prove a table without a fingerprint
_NEAR = 1e-3  # distance of unit vectors; devices differ by 1e-5, poolings and prompts by 1e-2


class Vectors:
    """Vectors by text; what is not there yet is added.

    A table that is broken, or that another encoder or batch size made, counts for nothing. A
    table of the same weights from before there were fingerprints counts once it is proved.

    Args:
        path: the narrations table.
        choice: the encoder.
        config: the settings that a vector depends on.
    """

    def __init__(self, path: Path, choice: Choice, config: dict[str, Any]) -> None:
        self.path, self._choice, self._config = path, choice, config
        self._inputs: dict[str, str] | None = None
        self._unproven = False
        self._forget()
        if table := self._read():
            self.add(pl.Series("text", table.column("text")), tables.vectors(table))
            self._inputs = tables.metadata(table, "inputs")

    def _forget(self) -> None:
        self._texts = pl.Series("text", [], pl.String)
        self._matrices: list[np.ndarray] = []

    def _read(self) -> Any:
        """The table as it stands; None where it counts for nothing."""
        if not self.path.is_file():
            return None
        try:
            table = tables.read(self.path, "narrations")
        except SumlError as error:
            note(f"starting over: {error}")
            return None
        made_by = tables.metadata(table, "encoder") or {}
        other = narration_vectors.differences(made_by, self._choice.identity())
        if "weights_sha256" not in made_by:
            other = ["weights"]
        if tables.metadata(table, "config") != self._config:
            other.append("batch size")
        if other:
            note(f"starting over: {self.path.name} was made with another {' and '.join(other)}")
            return None
        self._unproven = "fingerprint" not in made_by
        return table

    def unproven(self) -> pl.Series:
        """Return texts that can prove the table: the longest and some of all; none if proved.

        Of a table without a fingerprint it is known that the weights are the same, not whether
        pooling, prompts and tokenizer are.
        """
        if not self._unproven:
            return self._texts.clear()
        longest = self._texts.to_frame().sort(pl.col("text").str.len_chars(), "text")["text"]
        every = max(1, len(self._texts) // (_SAMPLE // 2))
        some = pl.concat([longest.tail(_SAMPLE // 2), self._texts.gather_every(every)])
        return some.unique(maintain_order=True)

    def like_this(self) -> Vectors:
        """Return an empty collection of the same encoder, which is not written."""
        empty = copy(self)
        empty._forget()
        return empty

    def prove(self, sample: Vectors) -> None:
        """Keeps the table if the encoder gives its vectors still, and starts over otherwise."""
        import numpy as np

        texts, again = sample._texts, _gather(sample._matrices, np.arange(len(sample._texts)))
        before = _gather(self._matrices, self._rows(texts))
        same = before.shape == again.shape
        if same and np.linalg.norm(before - again, axis=1).max() <= _NEAR:
            note(
                f"{self.path.name} was made before encoders had fingerprints: {len(texts)} of its "
                "vectors are this encoder's, so it is kept and gets the fingerprint"
            )
        else:
            note(
                f"starting over: {self.path.name} was made with the same weights but another "
                "pooling, prompt or tokenizer"
            )
            self._forget()
        self._unproven, self._inputs = False, None

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

        vectors = _gather(self._matrices, self._rows(texts))
        dimension = vectors.shape[1]
        flat = pa.array(vectors.reshape(-1))
        columns = {
            "text": texts.to_arrow().cast(pa.string()),
            "vector": pa.FixedSizeListArray.from_arrays(flat, dimension),
        }
        encoder = {
            "name": self._choice.name,
            **self._choice.identity(),
            "dimension": dimension,
        }
        if self._choice.prompt_name:
            encoder["prompt_name"] = self._choice.prompt_name
        tables.write(
            pa.table(columns),
            self.path,
            "narrations",
            inputs=inputs,
            config=self._config,
            extra={"encoder": encoder},
        )

    def _rows(self, texts: pl.Series) -> np.ndarray:
        """Return the place of each text, all of which have a vector."""
        known = pl.DataFrame({"text": self._texts}).with_row_index("row")
        rows = pl.DataFrame({"text": texts}).join(known, on="text", maintain_order="left")
        return rows.get_column("row").to_numpy()


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
