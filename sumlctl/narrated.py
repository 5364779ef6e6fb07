"""Narration vectors by text, from the narrations tables of several datasets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sumlctl import tables
from sumlctl.errors import SumlError
from sumlctl.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np


class Narrated:
    """The vectors of several datasets' narrations, all made by the same encoder.

    Args:
        workspace: where the narrations tables are.
        datasets: whose.
        encoder: its name.

    Attributes:
        sources: the tables read.
        encoder: name, weights_sha256 and dimension of the encoder.

    Raises:
        SumlError: a table is missing, or other weights made it than the first.
    """

    def __init__(self, workspace: Workspace, datasets: Sequence[str], encoder: str) -> None:
        import numpy as np

        self.sources = [workspace.narrations(name, encoder) for name in dict.fromkeys(datasets)]
        self.encoder: dict[str, Any] = {}
        self._row: dict[str, int] = {}
        parts = []
        for source in self.sources:
            table = tables.read(source, "narrations")
            self._same_encoder(source, tables.metadata(table, "encoder") or {})
            texts = table.column("text").to_pylist()
            new = [i for i, text in enumerate(texts) if text not in self._row]
            self._row |= {texts[i]: len(self._row) + n for n, i in enumerate(new)}
            parts.append(tables.vectors(table)[new])
        self._vectors = np.concatenate(parts)

    def _same_encoder(self, source: Path, made_by: dict[str, Any]) -> None:
        self.encoder = self.encoder or made_by
        if made_by != self.encoder:
            raise SumlError(
                source,
                "narrations were embedded by another encoder",
                got=_described(made_by),
                expected=_described(self.encoder),
                fix="Run `sumlctl embed` for all the datasets with one --encoder.",
            )

    def __contains__(self, text: object) -> bool:
        return text in self._row

    def of(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors of narrations, float32 [n, d]; an empty one is similar to nothing: zeros.

        Raises:
            SumlError: one has none, as after clips were indexed anew.
        """
        import numpy as np

        missing = [text for text in texts if text and text not in self._row]
        if missing:
            raise SumlError(
                self.sources[0].parent.parent,
                f"{len(missing):,} narrations have no vector",
                got=repr(missing[0]),
                expected=f"a vector of {self.encoder.get('name')} for every narration",
                fix="Run `sumlctl embed` again.",
            )
        rows = np.array([self._row.get(text, -1) for text in texts], dtype=np.int64)
        found = self._vectors[rows]
        found[rows < 0] = 0
        return found


def _described(encoder: dict[str, Any]) -> str:
    return f"{encoder.get('name')} {str(encoder.get('weights_sha256'))[:12]}"
