"""Class labels in the cells of a table: ids, names, and several of either."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

from sumlctl.config.dataset import DatasetConfig
from sumlctl.datasets import annotations as an
from sumlctl.datasets.times import MISSING
from sumlctl.datasets.vocabulary import ids_by_name, spelled_plainly
from sumlctl.errors import SumlError, nearest_names

_SEPARATORS = "|;,"
# Names that the table itself has: a comma or semicolon within prose or a number separates nothing.
_BETWEEN_NAMES = re.compile(r"\||(?<=\S)[;,](?=\S)(?!(?<=\d.)\d)")
_BRACKETS = {"[": "]", "(": ")", "{": "}"}
_QUOTED = re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""")


@dataclass(frozen=True)
class Classes:
    """The classes of one label kind, for reading cells.

    Args:
        card: has their vocabulary.
        annotations: the folder of the file that lists them, where one does.
        kind: such as verbs.
        unlabelled: values that stand for no label.
        met: name -> id in the order of appearance, where the table itself has the vocabulary.
    """

    card: DatasetConfig
    annotations: Path
    kind: str
    unlabelled: frozenset[str]
    met: dict[str, int] | None = None

    @cached_property
    def ids(self) -> Mapping[str, Sequence[int]]:
        """Class name -> class ids; read when a name is met first, since most tables have ids."""
        return ids_by_name(self.card, self.annotations, self.kind)


def read_labels(frame: pl.DataFrame, column: str, classes: Classes) -> pl.Series:
    """Return the class ids in each cell of a column, list of int32.

    A cell is a class id, a class name, or several: a list, a list as text (JSON or Python), or
    with `|`, `;` or `,` between them. Where the table itself has the vocabulary, `;` and `,` are
    between names only without a space on either side: `bowl,cup` is two, `lift, then drop` one.
    Values that are missing or stand for no label give none.

    Args:
        frame: rows with a `_source` column.
        column: texts, numbers, or lists of either.
        classes: what the cells may say.

    Raises:
        SumlError: a cell is something else, or one of ids among names of the table's own
            vocabulary; file, row and cell are named.
    """
    cells = _texts(frame.get_column(column))
    nothing = cells.is_in([*MISSING, *classes.unlabelled])
    cells = cells.set(nothing, "")
    if classes.met is None and an.holds_ids(cells):
        ids = an.class_ids(frame.select("_source").with_columns(cells), column).get_column(column)
        numbers = [int(v) for v in classes.unlabelled if re.fullmatch(r"-?\d{1,9}", v)]
        return ids.list.eval(pl.element().filter(~pl.element().is_in(numbers)))
    if classes.met is not None and not an.are_ids(cells).all():
        _refuse_ids_among_names(frame, cells)
    distinct = cells.unique(maintain_order=True)
    found: list[list[int]] = []
    for cell in distinct:
        try:
            found.append(_ids(cell, classes))
        except LookupError as error:
            raise _unknown(frame, cells, cell, str(error.args[0]), classes) from error
    place = cells.replace_strict(distinct, pl.Series(range(len(found))), return_dtype=pl.UInt32)
    return pl.Series(column, found, dtype=pl.List(pl.Int32)).gather(place)


def _refuse_ids_among_names(frame: pl.DataFrame, cells: pl.Series) -> None:
    labelled = frame.select("_source").with_columns(cells).filter(cells.str.contains(r"\w"))
    an.refuse(
        labelled,
        an.are_ids(labelled.get_column(cells.name)),
        f"class id among class names in {cells.name}",
        cells.name,
        "class ids alone, or names alone",
    )


def _texts(column: pl.Series) -> pl.Series:
    """The cells as texts without spaces around them; a list becomes JSON."""
    if not isinstance(column.dtype, pl.List):
        return column.cast(pl.String).fill_null("").str.strip_chars()
    texts = [
        "" if cell is None else json.dumps([v for v in cell if str(v) not in MISSING])
        for cell in column.to_list()
    ]
    return pl.Series(column.name, texts, dtype=pl.String)


def _ids(cell: str, classes: Classes) -> list[int]:
    """The class ids of the names in a cell; raises LookupError with a name that is unknown."""
    if not cell:
        return []
    if classes.met is not None:
        ids = classes.met
        absent = (*MISSING, *classes.unlabelled)
        return [ids.setdefault(name, len(ids)) for name in _listed(cell) if name not in absent]
    if _known(cell, classes):
        return [_id(cell, classes)]
    parts = [part for part in _parts(cell, classes) if part not in (*MISSING, *classes.unlabelled)]
    return [_id(part, classes) for part in parts]


def _known(name: str, classes: Classes) -> bool:
    return name in classes.ids or spelled_plainly(name) in classes.ids


def _id(name: str, classes: Classes) -> int:
    ids = classes.ids.get(name) or classes.ids.get(spelled_plainly(name)) or ()
    if len(ids) != 1:
        raise LookupError(name)
    return ids[0]


def _parts(cell: str, classes: Classes) -> list[str]:
    """The names in a cell of several."""
    inner = cell
    if len(cell) > 1 and _BRACKETS.get(cell[0]) == cell[-1]:
        inner = cell[1:-1]
        quoted = _quoted(inner)
        if quoted is not None:
            return quoted
    split = [[p.strip() for p in inner.split(mark)] for mark in _SEPARATORS if mark in inner]
    for parts in split:
        if all(_known(p, classes) or p in (*MISSING, *classes.unlabelled) for p in parts):
            return parts
    return split[0] if split else [inner.strip()]


def _listed(cell: str) -> list[str]:
    """The names in a cell whose names are not known: a list as text, or with marks between them."""
    quoted = _quoted(cell[1:-1]) if _BRACKETS.get(cell[0]) == cell[-1] else None
    if quoted is not None:
        return quoted
    return [name for part in _BETWEEN_NAMES.split(cell) if (name := part.strip())]


def _quoted(inner: str) -> list[str] | None:
    """The texts of a list as JSON, Python or numpy write it; None where it holds anything else."""
    if _QUOTED.sub("", inner).strip(" ,\n\t"):
        return None
    return [_unescaped(found[0]) for found in _QUOTED.finditer(inner)]


def _unescaped(literal: str) -> str:
    """The text of a string literal; JSON and Python agree on what escapes mean."""
    try:
        return str(ast.literal_eval(literal)).strip()
    except (ValueError, SyntaxError):
        return literal[1:-1].strip()


def _unknown(
    frame: pl.DataFrame, cells: pl.Series, cell: str, name: str, classes: Classes
) -> SumlError:
    same = cells == cell
    more = int(same.sum()) - 1
    known = f"a class name of vocabulary.{classes.kind}"
    ids = classes.ids.get(name) or classes.ids.get(spelled_plainly(name))
    what = f"class name that {len(ids)} classes have" if ids else "unknown class name"
    near = nearest_names(name, classes.ids)
    if not classes.ids:
        fix = f"Name the classes, or their file, in [vocabulary] of {classes.card.path}."
    else:
        fix = f"Did you mean {near[0]}?" if near else "Correct the row."
    return SumlError(
        frame.get_column("_source").filter(same)[0],
        f"{what} in {cells.name}" + (f" (and {more:,} more rows)" if more else ""),
        got=repr(name),
        expected=f"class ids alone, or {known}, several with | between them",
        fix=fix,
    )
