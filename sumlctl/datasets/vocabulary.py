"""Class vocabularies: the names of a dataset's classes and the words that mean each of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from sumlctl.config.dataset import DatasetConfig, VocabularySource
from sumlctl.console import warn
from sumlctl.datasets import annotations as an
from sumlctl.errors import SumlError

# Per label kind, per class id: the class name first, then further words for the class.
Vocabulary = dict[str, list[list[str]]]

_NUMBERED = r"[A-Za-z]?\d+\s+(.*)"  # such as `c000 Holding some clothes`
_MOST_CLASSES = 100_000  # a greater id is a slip


def load(
    card: DatasetConfig, annotations: Path, class_names: Mapping[str, Sequence[str]]
) -> tuple[Vocabulary, list[Path]]:
    """The card's vocabularies and the files they came from.

    A class list that is not in the folder leaves its classes without names (empty lists), since
    ids can be used without them; one of another length is reported and used as it is.

    Args:
        card: of the dataset.
        annotations: folder of the class lists.
        class_names: label kind -> names, of vocabularies that the clip tables have themselves.

    Returns:
        kind -> class id -> words, and the class lists read.

    Raises:
        SumlError: the reader has no names for a vocabulary of the tables.
    """
    vocabulary: Vocabulary = {}
    files = []
    for kind, source in card.vocabulary.items():
        if source.from_table:
            vocabulary[kind] = [_words(name) for name in _from_table(card, kind, class_names)]
            continue
        if source.names or source.file is None:
            names = source.names or [""] * source.size
            vocabulary[kind] = [_words(name) for name in names]
            continue
        path = an.within(annotations, source.file, card)
        if not path.is_file():
            warn(f"{path} is not there: {card.name} has no class names for {kind}")
            vocabulary[kind] = [[] for _ in range(source.size)]
            continue
        vocabulary[kind] = [
            list(dict.fromkeys(word for spelling in (name, *forms) for word in _words(spelling)))
            for name, forms in _read(path, source)
        ]
        files.append(path)
        if len(vocabulary[kind]) != source.size:
            warn(f"{path} lists {len(vocabulary[kind])} classes; the card expects {source.size}")
    return vocabulary, files


def _from_table(
    card: DatasetConfig, kind: str, class_names: Mapping[str, Sequence[str]]
) -> Sequence[str]:
    if kind in class_names:
        return class_names[kind]
    raise SumlError(
        card.path,
        f'vocabulary.{kind} = "table" without names in the table',
        got=f"reader {card.reader}, no column of {kind}",
        expected=f"reader tabular with columns.{kind}",
        fix="Name the column, or the classes.",
    )


def ids_by_name(card: DatasetConfig, annotations: Path, kind: str) -> dict[str, list[int]]:
    """Return the class ids that each class name stands for, as written and in plain spelling.

    More than one where several classes have the name; empty where the card has no names.
    """
    source = card.vocabulary.get(kind)
    if source is None:
        return {}
    names = list(source.names)
    if source.file is not None and not names:
        path = an.within(annotations, source.file, card)
        names = [name for name, _ in _read(path, source)] if path.is_file() else []
    written: dict[str, list[int]] = {}
    plain: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        if name.strip():
            written.setdefault(name.strip(), []).append(i)
            plain.setdefault(spelled_plainly(name), []).append(i)
    return plain | written


def spelled_plainly(name: str) -> str:
    """Return a class name in lower case, with single spaces in place of `-` and `_`."""
    return " ".join(name.casefold().replace("-", " ").replace("_", " ").split())


def _read(path: Path, source: VocabularySource) -> list[tuple[str, list[str]]]:
    """Per class id: its name and the words listed for it."""
    if path.suffix == ".json":
        names = an.read_json(path)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise an.malformed(path, repr(names), "a list of class names")
        return [(name, []) for name in names]
    if path.suffix == ".txt":
        lines = [line.strip() for line in an.read_text(path).splitlines() if line.strip()]
        numbered = [re.fullmatch(_NUMBERED, line) for line in lines]
        if all(numbered):
            return [(found[1], []) for found in numbered if found]
        return [(line, []) for line in lines]
    return _read_table(path, source)


def _read_table(path: Path, source: VocabularySource) -> list[tuple[str, list[str]]]:
    frame = an.read_table(path)
    columns = [c for c in (source.id, source.name, source.forms) if c]
    an.require_columns(frame, columns, path)
    ids = pl.int_range(pl.len())
    if source.id:
        number = pl.col(source.id).cast(pl.String).str.strip_chars().str.replace(r"\.0*$", "")
        ids = number.cast(pl.Int64, strict=False)
    frame = frame.with_columns(_id=ids)
    known = pl.col("_id").is_between(0, _MOST_CLASSES)
    an.refuse(frame, ~known, "no class id", source.id or "_id", f"0 to {_MOST_CLASSES}")
    forms = pl.col(source.forms) if source.forms else pl.lit("")
    rows = frame.select("_id", name=source.name, forms=forms.fill_null("")).rows()
    size = max(source.size, *(i + 1 for i, _, _ in rows))
    classes: list[tuple[str, list[str]]] = [("", []) for _ in range(size)]
    for i, name, listed in rows:
        classes[i] = (name or "", re.findall(r"'([^']*)'", listed))
    return classes


def _words(name: str) -> list[str]:
    """A class name and its spellings: `cup/glass` is each of the two, `turn-on` is "turn on".

    Compounds with a colon put the head first (`board:chopping`), EPIC-KITCHENS' custom; they
    also read the other way round.
    """
    plain = name.casefold().replace("-", " ").replace("_", " ").strip()
    words = [plain.replace(":", " ")]
    if ":" in plain:
        words.append(" ".join(reversed(plain.split(":"))))
    if "/" in plain:
        words.extend(part.strip() for part in plain.split("/"))
    return [word for word in dict.fromkeys(" ".join(word.split()) for word in words) if word]
