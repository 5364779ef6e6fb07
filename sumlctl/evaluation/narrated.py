"""Narration vectors by text, from the narrations tables of several datasets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sumlctl import tables
from sumlctl.errors import SumlError
from sumlctl.workspace import Workspace


class Narrated:
    """The vectors of datasets' narrations, all made by the same encoder.

    Args:
        workspace: where the narrations tables are.
        datasets: whose.
        encoder: name of the encoder.

    Raises:
        SumlError: a table is missing, or other weights made it than the first.
    """

    def __init__(self, workspace: Workspace, datasets: Sequence[str], encoder: str) -> None:
        self.encoder: dict[str, Any] = {}
        self._folder = workspace.manifests
        self._vectors: dict[str, np.ndarray] = {}
        for dataset in dict.fromkeys(datasets):
            path = workspace.narrations(dataset, encoder)
            table = tables.read(path, "narrations")
            made_by = tables.metadata(table, "encoder") or {}
            self.encoder = self.encoder or made_by
            if made_by != self.encoder:
                raise SumlError(
                    path,
                    "narrations were embedded with other weights than those of the other datasets",
                    got=made_by.get("weights_sha256"),
                    expected=self.encoder.get("weights_sha256"),
                    fix="Run `sumlctl embed` for all the datasets with one --encoder.",
                )
            texts = table.column("text").to_pylist()
            self._vectors |= dict(zip(texts, tables.vectors(table), strict=True))

    def __contains__(self, text: object) -> bool:
        return text in self._vectors

    def of(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors of narrations, float32 [n, d]; an empty one is similar to nothing: zeros.

        Raises:
            SumlError: one has none.
        """
        missing = [text for text in texts if text and text not in self._vectors]
        if missing:
            raise SumlError(
                self._folder,
                f"{len(missing):,} narrations have no vector",
                got=repr(missing[0]),
                expected=f"a vector of {self.encoder.get('name')} for every narration",
                fix="Run `sumlctl embed` again.",
            )
        nothing = np.zeros(self.encoder["dimension"], np.float32)
        return np.stack([self._vectors[text] if text else nothing for text in texts])
