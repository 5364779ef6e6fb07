"""`sumlctl embed`: each distinct narration becomes one unit vector, once."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sumlctl import components, tables
from sumlctl.console import progress
from sumlctl.errors import SumlError
from sumlctl.narrations.choose import Choice
from sumlctl.narrations.vectors import Vectors
from sumlctl.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np

    from sumlctl.narrations.encoders import Encoder

BATCH_SIZE = 64
_EXACT_TOKENS = 12  # shorter texts are not padded
_FULL_BATCH_TOKENS = 8  # longer texts come in smaller batches, of as many tokens


@dataclass(frozen=True)
class Embedded:
    """What `embed` did for one dataset.

    Args:
        dataset: its name.
        encoder: name of the encoder.
        narrations: distinct narrations with a vector.
        encoded: how many of them were encoded now.
        empty: clips without a narration; they get no vector and no pair.
        cut: newly encoded narrations that are longer than the encoder reads.
        non_latin: narrations with letters of other scripts.
        written: the table.
    """

    dataset: str
    encoder: str
    narrations: int
    encoded: int
    empty: int
    cut: int
    non_latin: int
    written: Path


def embed(
    datasets: Sequence[str],
    workspace: Workspace,
    choice: Choice,
    *,
    device: str = "auto",
    batch_size: int = BATCH_SIZE,
) -> Iterator[Embedded]:
    """Writes the narrations table of each dataset; vectors that are there already are kept.

    Batches have fixed shapes: texts padded to one length, always full. So a vector depends on its
    text and the batch size alone, not on the other narrations: a run that was interrupted, or
    that adds narrations to a table, gives the same bits as one that did it all.

    Args:
        datasets: names of indexed datasets.
        workspace: where their clips tables are.
        choice: the encoder, see `choose`.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        batch_size: texts of up to eight tokens per batch; fewer of longer ones.

    Raises:
        SumlError: a dataset is not indexed or has no narration, or the encoder does not load.
    """
    encoder: Encoder | None = None
    for dataset in datasets:
        clips = workspace.table(dataset, "clips")
        texts, empty = _distinct(clips)
        vectors = Vectors(
            workspace.narrations(dataset, choice.name), choice, {"batch_size": batch_size}
        )
        new = vectors.missing(texts)
        cut = 0
        if new:
            encoder = encoder or components.load("encoders", choice.module)(choice.folder, device)
            cut = _encode(encoder, new, batch_size, vectors, f"embedding {dataset}")
        vectors.finish(texts, {workspace.relative(clips): tables.digest(clips)})
        foreign = sum(not is_latin(text) for text in texts)
        yield Embedded(
            dataset, choice.name, len(texts), len(new), empty, cut, foreign, vectors.path
        )


def _distinct(clips: Path) -> tuple[list[str], int]:
    """Narrations in order of appearance, and how many clips have none.

    Raises:
        SumlError: no clip has one.
    """
    column = tables.read(clips, "clips", ["narration"]).column("narration")
    counts = {row["values"]: row["counts"] for row in column.value_counts().to_pylist()}
    empty = counts.pop("", 0)
    if not counts:
        raise SumlError(
            clips,
            "nothing to embed",
            got="no narration",
            expected="clips with narrations",
            fix="Check the card's narration column and index again.",
        )
    return list(counts), empty


def _encode(
    encoder: Encoder, texts: list[str], batch_size: int, vectors: Vectors, label: str
) -> int:
    """Adds the vectors of `texts`; returns how many are longer than the encoder reads."""
    lengths = dict(zip(texts, encoder.lengths(texts), strict=True))
    padded = {text: _padded(n, encoder.max_tokens) for text, n in lengths.items()}
    with progress(label, len(texts), "narrations") as bar:
        for batch, length, size in _batches(padded, batch_size):
            filled = batch + batch[:1] * (size - len(batch))
            vectors.add(batch, _unit(encoder.encode(filled, length)[: len(batch)]))
            bar.advance(len(batch))
    return sum(n > encoder.max_tokens for n in lengths.values())


def _padded(length: int, most: int) -> int:
    """The length that a text of so many tokens is padded to: exact when short, then coarser."""
    if length <= _EXACT_TOKENS:
        return length
    step = max(4, 2 ** (length.bit_length() - 3))
    return min(-(-length // step) * step, most)


def _batches(lengths: dict[str, int], batch_size: int) -> Iterator[tuple[list[str], int, int]]:
    """Texts of one padded length at a time, shortest first; that length and its batch size."""
    ordered = sorted(lengths, key=lambda text: (lengths[text], text))
    for length, group in itertools.groupby(ordered, key=lengths.__getitem__):
        size = max(1, min(batch_size, batch_size * _FULL_BATCH_TOKENS // length))
        alike = list(group)
        for start in range(0, len(alike), size):
            yield alike[start : start + size], length, size


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Rows [n, d] scaled to length one, in float32.

    Raises:
        SumlError: a row has no direction.
    """
    import numpy as np

    exact = np.asarray(vectors, np.float64)
    norms = np.linalg.norm(exact, axis=1, keepdims=True)
    if not np.isfinite(exact).all() or (norms == 0).any():
        raise SumlError(
            "encoder",
            "a narration has no usable vector",
            got="zero or not finite",
            expected="a finite vector",
            fix="Choose another --encoder.",
        )
    return (exact / norms).astype(np.float32)


def is_latin(text: str) -> bool:
    """Whether every letter is of the Latin script; an English encoder knows little of others."""
    return text.isascii() or all("LATIN" in unicodedata.name(c, "") for c in text if c.isalpha())
