"""`sumlctl embed`: each distinct narration becomes one unit vector, once."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from sumlctl import tables
from sumlctl.config import registry
from sumlctl.console import progress
from sumlctl.errors import SumlError
from sumlctl.jobs.executors import THIS_MACHINE, Executor, Limits
from sumlctl.jobs.units import Failed, Unit, Work, fingerprint
from sumlctl.narrations.choose import Choice
from sumlctl.narrations.vectors import Vectors
from sumlctl.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np

    from sumlctl.narrations.encoders import Encoder

BATCH_SIZE = 64
_BLOCK = 4096  # narrations per unit of work
_DEADLINE_S = 3600.0  # of one block, the encoder's loading included
_SHORT_TOKENS = 12  # most narrations have no more
# A batch's tokens over its size. Few longer texts share a length, and batches are filled up.
_TOKENS, _TOKENS_OF_LONG = 6, 4


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
    executor: Executor = THIS_MACHINE,
) -> Iterator[Embedded]:
    """Writes the narrations table of each dataset; vectors that are there already are kept.

    Batches have fixed shapes: texts of one length, always full. So a vector depends on its
    text and the batch size alone, not on the other narrations: a run that was interrupted, or
    that adds narrations to a table, gives the same bits as one that did it all.

    Args:
        datasets: names of indexed datasets.
        workspace: where their clips tables are.
        choice: the encoder, see `choose`.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        batch_size: texts of up to eight tokens per batch; fewer of longer ones.
        executor: who encodes.

    Raises:
        SumlError: a dataset is not indexed or has no narration, or the encoder does not load.
    """
    for dataset in datasets:
        clips = workspace.table(dataset, "clips")
        texts, empty = _distinct(clips)
        path = workspace.narrations(dataset, choice.name)
        vectors = Vectors(path, choice, {"batch_size": batch_size})
        work = Work(workspace.units(f"embed {dataset} {choice.name}"))
        encoding = _Encoding(choice, device, batch_size)
        if len(sample := vectors.unproven()):
            found = vectors.like_this()
            _encode(encoding, sample, work, executor, found, f"checking {path.name}")
            vectors.prove(found)
        new = vectors.missing(texts)
        cut = encoded = 0
        if len(new):
            label = f"embedding {dataset}"
            cut, encoded = _encode(encoding, new, work, executor, vectors, label)
        vectors.finish(texts, {workspace.relative(clips): tables.digest(clips)})
        work.forget()
        ascii_only = texts.str.len_bytes() == texts.str.len_chars()
        foreign = sum(not is_latin(text) for text in texts.filter(~ascii_only))
        yield Embedded(dataset, choice.name, len(texts), encoded, empty, cut, foreign, vectors.path)
    _loaded.cache_clear()  # its memory is training's next


def _distinct(clips: Path) -> tuple[pl.Series, int]:
    """Narrations in order of appearance, and how many clips have none.

    Raises:
        SumlError: no clip has one.
    """
    table = tables.read(clips, "clips", ["narration"])
    column = pl.DataFrame(pl.from_arrow(table)).get_column("narration")
    empty = int((column == "").sum())
    texts = column.filter(column != "").unique(maintain_order=True)
    if texts.is_empty():
        raise SumlError(
            clips,
            "nothing to embed",
            got="no narration",
            expected="clips with narrations",
            fix="Check the card's narration column and index again.",
        )
    return texts, empty


class _Encoding(NamedTuple):
    """How narrations become vectors."""

    choice: Choice
    device: str
    batch_size: int


class _Block(NamedTuple):
    """Narrations to encode: rows `start` to `stop` of a file, whose vectors go to another."""

    encoding: _Encoding
    texts: Path
    start: int
    stop: int
    vectors: Path


def _encode(
    encoding: _Encoding,
    texts: pl.Series,
    work: Work,
    executor: Executor,
    vectors: Vectors,
    label: str,
) -> tuple[int, int]:
    """Adds the vectors of `texts`; how many are longer than the encoder reads, and how many new."""
    import numpy as np

    # Texts of one length share a block, so they make full batches.
    ordered = pl.DataFrame({"text": texts}).sort(pl.col("text").str.len_chars(), "text")
    named = work.folder / f"{fingerprint(ordered['text'].hash(0).sum(), len(texts))[:16]}.parquet"
    with tables.whole_file(named) as beside:
        ordered.write_parquet(beside)
    identity = encoding.choice.identity()
    blocks = {}
    for start in range(0, len(texts), _BLOCK):
        part = ordered.get_column("text")[start : start + _BLOCK]
        out = work.folder / f"{start:09d}.npy"
        block = _Block(encoding, named, start, start + len(part), out)
        facts = identity, encoding.choice.name, encoding.batch_size, part.to_list()
        blocks[Unit(f"{start:09d}", block, fingerprint(*facts), (out,))] = part
    cut = encoded = 0
    limits = Limits(_DEADLINE_S, on_device=True)
    with progress(label, len(texts), "narrations") as bar:
        for found in work.do(encode, [*blocks], executor, limits):
            if isinstance(found, Failed):
                raise found.as_error(label, "encoded")
            bar.advance(len(blocks[found.unit]))
            cut += found.result["cut"]
            encoded += 0 if found.earlier else len(blocks[found.unit])
    for unit, part in blocks.items():
        vectors.add(part, np.load(unit.files[0], mmap_mode="r", allow_pickle=False))
    return cut, encoded


def encode(block: _Block) -> dict[str, int]:
    """Writes the unit vectors of a block, float32 [n, d]; says how many texts were cut."""
    import numpy as np

    encoding = block.encoding
    encoder = _loaded(encoding.choice, encoding.device)
    column = pl.scan_parquet(block.texts).slice(block.start, block.stop - block.start).collect()
    texts = column.get_column("text").to_list()
    row = {text: i for i, text in enumerate(texts)}
    lengths = encoder.lengths(texts)
    read = {t: min(n, encoder.max_tokens) for t, n in zip(texts, lengths, strict=True)}
    rows, parts = [], []
    for alike, size in _alike(read, encoding.batch_size):
        filled = alike + alike[:1] * (-len(alike) % size)
        parts.append(_unit(encoder.encode(filled, size)[: len(alike)], alike))
        rows += [row[text] for text in alike]
    found = np.concatenate(parts)
    found[rows] = found.copy()
    with tables.whole_file(block.vectors) as beside, beside.open("wb") as file:
        np.save(file, found, allow_pickle=False)
    return {"cut": sum(n > encoder.max_tokens for n in lengths)}


@lru_cache(maxsize=1)
def _loaded(choice: Choice, device: str) -> Encoder:
    """The encoder, loaded once by each process that encodes."""
    return registry.load("encoders", choice.module)(choice.folder, device, choice.prompt)


def _alike(lengths: dict[str, float], batch_size: int) -> Iterator[tuple[list[str], int]]:
    """Texts of one length at a time, shortest first, and the size of their batches."""
    ordered = sorted(lengths, key=lambda text: (lengths[text], text))
    for length, group in itertools.groupby(ordered, key=lengths.__getitem__):
        tokens = batch_size * (_TOKENS if length <= _SHORT_TOKENS else _TOKENS_OF_LONG)
        yield list(group), max(1, min(batch_size, int(tokens / max(length, 1))))


def _unit(vectors: np.ndarray, texts: Sequence[str]) -> np.ndarray:
    """Rows [n, d] scaled to length one, in float32, given the text of each.

    Raises:
        SumlError: a row has no direction.
    """
    import numpy as np

    exact = np.asarray(vectors, np.float64)
    norms = np.linalg.norm(exact, axis=1, keepdims=True)
    unusable = ~np.isfinite(norms[:, 0]) | (norms[:, 0] == 0)
    if unusable.any():
        raise SumlError(
            "encoder",
            "a narration has no usable vector",
            got=f"zero or not finite for {texts[int(unusable.argmax())]!r}",
            expected="a finite vector",
            fix="Choose another --encoder.",
        )
    return (exact / norms).astype(np.float32)


def is_latin(text: str) -> bool:
    """Whether every letter is of the Latin script; an English encoder knows little of others."""
    return text.isascii() or all("LATIN" in unicodedata.name(c, "") for c in text if c.isalpha())
