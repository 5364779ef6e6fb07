"""Class vocabularies: the names of a dataset's classes and the words that mean each of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

from sumlctl.card import Card, VocabularySource
from sumlctl.console import warn
from sumlctl.datasets import annotations as an

# Per label kind, per class id: the class name first, then further words for the class.
Vocabulary = dict[str, list[list[str]]]


def load(card: Card, annotations: Path) -> tuple[Vocabulary, list[Path]]:
    """The card's vocabularies and the files they came from.

    A class list that is not in the folder leaves its classes without names (empty lists), since
    ids can be used without them; one of another length is reported and used as it is.

    Returns:
        kind -> class id -> words, and the class lists read.
    """
    vocabulary: Vocabulary = {}
    files = []
    for kind, source in card.vocabulary.items():
        if source.names:
            vocabulary[kind] = [_words(name) for name in source.names]
            continue
        path = annotations / (source.file or "")
        if not path.is_file():
            warn(f"{path} is not there: {card.name} has no class names for {kind}")
            vocabulary[kind] = [[] for _ in range(source.size)]
            continue
        vocabulary[kind] = _read(path, source)
        files.append(path)
        if len(vocabulary[kind]) != source.size:
            warn(f"{path} lists {len(vocabulary[kind])} classes; the card expects {source.size}")
    return vocabulary, files


def _read(path: Path, source: VocabularySource) -> list[list[str]]:
    if path.suffix == ".json":
        return [_words(name) for name in json.loads(path.read_text(encoding="utf-8"))]
    if path.suffix == ".txt":
        lines = [line.split(" ", 1) for line in path.read_text(encoding="utf-8").splitlines()]
        return [_words(line[-1]) for line in lines if line[0]]
    frame = an.read_table(path)
    columns = [c for c in (source.id, source.name, source.forms) if c]
    an.require_columns(frame, columns, path)
    ids = [int(i) for i in frame.get_column(source.id)] if source.id else range(frame.height)
    names = frame.get_column(source.name)
    forms = frame.get_column(source.forms) if source.forms else [""] * frame.height
    classes: list[list[str]] = [[] for _ in range(max(source.size, max(ids) + 1))]
    for i, name, listed in zip(ids, names, forms, strict=True):
        further = [word for form in re.findall(r"'([^']*)'", listed or "") for word in _words(form)]
        classes[i] = list(dict.fromkeys([*_words(name), *further]))
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
    return list(dict.fromkeys(" ".join(word.split()) for word in words))
