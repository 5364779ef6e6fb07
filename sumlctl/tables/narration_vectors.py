"""Narration vectors by text, from the narrations tables of several datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sumlctl import tables
from sumlctl.errors import SumlError
from sumlctl.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np
    import polars as pl


# Parts of an encoder's identity -> what they are called; a table made before there were
# fingerprints has the first and last alone.
_IDENTITY = {
    "weights_sha256": "weights",
    "fingerprint": "pooling, tokenizer or other model file",
    "prompt": "prompt",
    "dimension": "dimension",
}


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return what is known to differ between two encoders, given the metadata of tables.

    What one of them does not say, it cannot contradict. The fingerprint covers the weights, so
    other weights are all that is named of other weights.
    """
    differ = [k for k in _IDENTITY if k in one and k in other and one[k] != other[k]]
    return [_IDENTITY[key] for key in (differ[:1] if "weights_sha256" in differ else differ)]


class NarrationVectors:
    """The vectors of several datasets' narrations, all made by the same encoder.

    Args:
        workspace: where the narrations tables are.
        datasets: whose.
        encoder: its name.

    Attributes:
        sources: the tables read.
        encoder: name, weights_sha256, fingerprint, prompt and dimension of the encoder.
        unproven: the sources from before there were fingerprints; of them the weights are known.

    Raises:
        SumlError: a table is missing, or another encoder or prompt made it than the first.
    """

    def __init__(self, workspace: Workspace, datasets: Sequence[str], encoder: str) -> None:
        import polars as pl

        self.sources = [workspace.narrations(name, encoder) for name in dict.fromkeys(datasets)]
        parts: list[pl.DataFrame] = []
        made_by: list[dict[str, Any]] = []
        for source in self.sources:
            table = tables.read(source, "narrations", ["text"])
            made_by.append(tables.metadata(table, "encoder") or {})
            parts.append(pl.DataFrame(pl.from_arrow(table)))
        self.encoder, self.unproven = self._one_encoder(made_by)
        every = pl.concat(parts).with_row_index("row")
        self._rows = every.unique("text", keep="first", maintain_order=True)

    def _one_encoder(self, made_by: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], list[Path]]:
        every = list(zip(self.sources, made_by, strict=True))
        unproven = [source for source, one in every if "fingerprint" not in one]
        encoder = next((one for one in made_by if "fingerprint" in one), made_by[0])
        for source, one in every:
            if other := differences(one, encoder):
                raise SumlError(
                    source,
                    "narrations were embedded by another encoder",
                    got=described(one),
                    expected=f"{described(encoder)} (other {' and '.join(other)})",
                    fix="Run `sumlctl embed` for all the datasets with one --encoder and prompt.",
                )
        return encoder, unproven

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


def described(encoder: Mapping[str, Any]) -> str:
    """Return an encoder in words, given the metadata of a table, for messages."""
    digests = (
        str(encoder[key])[:12] for key in ("weights_sha256", "fingerprint") if key in encoder
    )
    prompt = f"prompt {encoder['prompt']!r}" if encoder.get("prompt") else ""
    return " ".join(filter(None, [str(encoder.get("name")), *digests, prompt]))
