"""Narration vectors by text, from the narrations tables of several datasets."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sumlctl import tables
from sumlctl.errors import SumlError
from sumlctl.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np
    import polars as pl


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
        import polars as pl

        self.sources = [workspace.narrations(name, encoder) for name in dict.fromkeys(datasets)]
        self.encoder: dict[str, Any] = {}
        parts = []
        for source in self.sources:
            table = tables.read(source, "narrations", ["text"])
            self._same_encoder(source, tables.metadata(table, "encoder") or {})
            parts.append(pl.DataFrame(pl.from_arrow(table)))
        every = pl.concat(parts).with_row_index("row")
        self._rows = every.unique("text", keep="first", maintain_order=True)

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

    @property
    def dimension(self) -> int:
        """Of a vector."""
        return int(self.encoder["dimension"])

    def known(self, texts: Sequence[str]) -> np.ndarray:
        """Which of some texts have a vector."""
        return self._places(texts) >= 0

    def of(self, texts: Sequence[str] | pl.Series) -> np.ndarray:
        """Unit vectors of narrations, float32 [n, d]; an empty one is similar to nothing: zeros.

        Raises:
            SumlError: one has none, as after clips were indexed anew.
        """
        places = self._checked(texts)
        found = self._vectors[places]
        found[places < 0] = 0
        return found

    def save(self, texts: Sequence[str] | pl.Series, path: Path) -> None:
        """Keeps what `of` gives in a .npy file, for as little memory as the texts take.

        Raises:
            SumlError: as `of`, or the file system refuses.
        """
        import numpy as np

        places = self._checked(texts)
        order = np.argsort(places, kind="stable")
        ordered = places[order]
        shape, stop = (len(places), self.dimension), 0
        with tables.whole_file(path) as beside:
            out = np.lib.format.open_memmap(beside, "w+", np.dtype(np.float32), shape)
            for source in self.sources:
                for batch in tables.batches(source, "narrations", ["vector"]):
                    start, stop = stop, stop + batch.num_rows
                    which = order[slice(*np.searchsorted(ordered, [start, stop]))]
                    out[which] = tables.vectors(batch)[places[which] - start]
            out.flush()

    def _checked(self, texts: Sequence[str] | pl.Series) -> np.ndarray:
        import polars as pl

        places = self._places(texts)
        said = pl.Series(texts, dtype=pl.String)
        missing = said.filter(pl.Series(places < 0) & (said != ""))
        if not missing.is_empty():
            raise SumlError(
                self.sources[0].parent.parent,
                f"{len(missing):,} narrations have no vector",
                got=repr(missing[0]),
                expected=f"a vector of {self.encoder.get('name')} for every narration",
                fix="Run `sumlctl embed` again.",
            )
        return places

    def _places(self, texts: Sequence[str] | pl.Series) -> np.ndarray:
        """Rows of the tables, counted on from one to the next; -1 for a text without a vector."""
        import polars as pl

        asked = pl.DataFrame({"text": texts}, schema={"text": pl.String})
        found = asked.join(self._rows, on="text", how="left", maintain_order="left")
        return found.get_column("row").cast(pl.Int64).fill_null(-1).to_numpy()

    @cached_property
    def _vectors(self) -> np.ndarray:
        import numpy as np

        read = (tables.read(source, "narrations", ["vector"]) for source in self.sources)
        return np.concatenate([tables.vectors(table) for table in read])


def _described(encoder: dict[str, Any]) -> str:
    return f"{encoder.get('name')} {str(encoder.get('weights_sha256'))[:12]}"
