"""What every reader returns, and the checks that every annotation file goes through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from sumlctl.config import documents
from sumlctl.config.dataset import LABELS, DatasetConfig
from sumlctl.datasets import times
from sumlctl.datasets.table_files import malformed, read_table  # noqa: F401, for readers
from sumlctl.errors import SumlError, nearest_names
from sumlctl.workspace import inside

COLUMNS: dict[str, Any] = {
    "native_id": pl.String,
    "viewpoint": pl.String,
    "split": pl.String,
    "video_id": pl.String,
    "participant": pl.String,
    "start_s": pl.Float64,
    "stop_s": pl.Float64,
    "narration": pl.String,
    "verbs": pl.List(pl.Int32),
    "nouns": pl.List(pl.Int32),
    "actions": pl.List(pl.Int32),
    "_source": pl.String,
}

_ID = r"-?\d+(?:\.0*)?"  # pandas writes ids as floats where a column has gaps
_IDS = rf"\s*(?:{_ID}(?:[\s;,|]+{_ID})*)?[\s;,|]*"
_CLASS_IDS = rf"^(?:\[{_IDS}\]|\({_IDS}\)|\{{{_IDS}\}}|{_IDS})$"
_QUOTE = r"""['"]"""  # of ids in lists of texts
_MOST_CLASSES = 2**31  # ids are int32


@dataclass(frozen=True)
class Annotations:
    """The clips of a dataset as its annotation files tell them.

    Args:
        rows: one row per clip in the files' order, with the columns of `COLUMNS`; `_source` names
            the file and row for error messages.
        files: the files read, for provenance.
        release: which release of the dataset they are, where the card tells releases apart.
        notes: what a user should know about how the rows came about.
        left_out: rows of the files that cannot be used.
        class_names: label kind -> names by class id, of vocabularies that the rows have themselves.
    """

    rows: pl.DataFrame
    files: tuple[Path, ...]
    release: str = ""
    notes: tuple[str, ...] = ()
    left_out: times.LeftOut = times.NOTHING
    class_names: Mapping[str, Sequence[str]] = field(default_factory=dict)


def annotation_file(annotations: Path, name: str, card: DatasetConfig) -> Path:
    """The path of an annotation file.

    Raises:
        SumlError: it is not there.
    """
    path = within(annotations, name, card)
    if not path.is_file():
        raise SumlError(
            path,
            "annotation file is missing",
            got="no file",
            expected=f"a file of {card.title}",
            fix=(f"Get it from {card.homepage} or point" if card.homepage else "Point")
            + " --annotations at its folder.",
        )
    return path


def within(annotations: Path, name: object, card: DatasetConfig) -> Path:
    """The path of a file that the card names, whether or not it is there.

    Raises:
        SumlError: it is no name, or leads out of the folder of annotations.
    """
    if not isinstance(name, str):
        raise SumlError(
            card.path,
            "a file is no name",
            got=repr(name),
            expected="the name of an annotation file",
            fix="Correct the card.",
        )
    return inside(annotations, name, card.path)


def read_text(path: Path) -> str:
    """A text file in UTF-8.

    Raises:
        SumlError: it is something else.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise malformed(path, str(error), "text in UTF-8") from error


def read_json(path: Path) -> Any:
    """A JSON file.

    Raises:
        SumlError: it is something else.
    """
    try:
        return documents.from_json(read_text(path))
    except ValueError as error:
        raise malformed(path, str(error), "JSON") from error


def require_columns(frame: pl.DataFrame, wanted: Sequence[str], path: Path) -> None:
    """Raises a SumlError that names the first missing column and its nearest match."""
    for column in wanted:
        if f"{column} (column" in {name.rpartition(" ")[0] for name in frame.columns}:
            raise SumlError(
                path,
                f"several columns have the name {column}",
                got=", ".join(name for name in frame.columns if name.startswith(f"{column} (")),
                expected="one",
                fix="Name one of these in the card, or correct the file's header.",
            )
        if column not in frame.columns:
            near = nearest_names(column, [c for c in frame.columns if c != "_source"])
            raise SumlError(
                path,
                f"column {column} is missing",
                got=f"nearest {near[0]}" if near else f"columns {', '.join(frame.columns[:8])}",
                expected=column,
                fix="Correct the file's header or the card.",
            )


def refuse(
    frame: pl.DataFrame, bad: pl.Expr | pl.Series, what: str, got: str, expected: str
) -> None:
    """Raises a SumlError for the first row where `bad` holds or is null.

    Args:
        frame: rows with a `_source` column.
        bad: a boolean expression, or its values.
        what: what is wrong with such a row.
        got: the column whose value is shown.
        expected: what would have been right.
    """
    found = frame.filter(bad.fill_null(True))
    if found.is_empty():
        return
    value = found.get_column(got)[0]
    value = value.to_list() if isinstance(value, pl.Series) else value
    more = f" (and {found.height - 1:,} more rows)" if found.height > 1 else ""
    raise SumlError(
        found.get_column("_source")[0],
        f"{what}{more}",
        got=repr(value),
        expected=expected,
        fix="Correct the row.",
    )


def seconds(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Turns a column of times into float64 seconds.

    Raises:
        SumlError: a value is no time; file, row and value are named.
    """
    timed = frame.with_columns(_seconds=times.parsed(frame.get_column(column)))
    bad = pl.col("_seconds").is_null()
    refuse(timed, bad, f"bad timestamp in {column}", column, times.EXPECTED)
    return timed.with_columns(pl.col("_seconds").alias(column)).drop("_seconds")


def holds_ids(cells: pl.Series) -> bool:
    """Whether every text is empty, or of class ids such as `3`, `3.0`, `[3, 5]` or `3;5`."""
    return bool(are_ids(cells).all())


def are_ids(cells: pl.Series) -> pl.Series:
    """Return for each text whether it is empty, or of class ids such as `3` or `[3, 5]`."""
    return cells.fill_null("").str.replace_all(_QUOTE, "").str.contains(_CLASS_IDS)


def class_ids(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Turns a column of texts such as `3`, `3.0`, `[3, 5]` or `3;5` into lists of class ids.

    Raises:
        SumlError: a text is something else; file, row and text are named.
    """
    text = pl.col(column).fill_null("").str.strip_chars()
    digits = text.str.extract_all(r"-?\d+")
    if frame.get_column(column).cast(pl.String).str.contains(r"""[."']""").any():
        text = text.str.replace_all(_QUOTE, "")
        digits = text.str.extract_all(_ID).list.eval(pl.element().str.extract(r"^(-?\d+)"))
    ids = digits.cast(pl.List(pl.Int32), strict=False)
    too_great = ids.list.eval(pl.element().is_null()).list.any()
    bad = ~text.str.contains(_CLASS_IDS) | too_great
    refuse(frame, bad, f"{column} is no class id", column, "such as 3, [3, 5] or 3;5")
    return frame.with_columns(ids.alias(column))


def no_ids() -> pl.Expr:
    """An empty list of class ids."""
    return pl.lit([], dtype=pl.List(pl.Int32))


def check(rows: pl.DataFrame, sizes: Mapping[str, int]) -> None:
    """Refuses clips without id or video, duplicates, stop before start, and unknown class ids.

    Args:
        rows: with the columns of `COLUMNS`.
        sizes: label kind -> number of classes, of the kinds that have a vocabulary.

    Raises:
        SumlError: names file, row and value.
    """
    expected = "each clip id once"
    refuse(rows, pl.col("native_id").is_null(), "clip without an id", "native_id", expected)
    refuse(rows, pl.col("video_id") == "", "clip without a video", "video_id", "a video id")
    again = ~pl.col("native_id").is_first_distinct()
    refuse(rows, again, "duplicate clip id", "native_id", expected)
    refuse(rows, pl.col("start_s") < 0, "start before the video", "start_s", "0 or later")
    before = pl.col("stop_s") <= pl.col("start_s")
    timed = rows.with_columns(
        _times=pl.format("{} to {}", pl.col("start_s"), pl.col("stop_s")) + pl.lit(" s")
    )
    refuse(timed, before, "stop is not after start", "_times", "start < stop")
    for kind in LABELS:
        size = sizes.get(kind, _MOST_CLASSES)
        outside = (pl.element() < 0) | (pl.element() >= size)
        bad = pl.col(kind).list.eval(outside.fill_null(True)).list.any()
        inside = f"ids from 0 to {size - 1}"
        refuse(rows, bad, f"{kind} outside the vocabulary", kind, inside)
