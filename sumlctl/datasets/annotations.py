"""What every reader returns, and the checks that every annotation file goes through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from sumlctl.card import LABELS, Card
from sumlctl.errors import SumlError, nearest_names, unknown_name

COLUMNS = {
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
    "source": pl.String,
}

_TIMESTAMP = r"^(\d+):([0-5]?\d):([0-5]?\d(?:\.\d+)?)$"


@dataclass(frozen=True)
class Annotations:
    """The clips of a dataset as its annotation files tell them.

    Args:
        rows: one row per clip in the files' order, with the columns of `COLUMNS`; `source` names
            the file and row for error messages.
        files: the files read, for provenance.
        release: which release of the dataset they are, where the card tells releases apart.
        notes: what a user should know about how the rows came about.
    """

    rows: pl.DataFrame
    files: tuple[Path, ...]
    release: str = ""
    notes: tuple[str, ...] = ()


def annotation_file(annotations: Path, name: str, card: Card) -> Path:
    """The path of an annotation file.

    Raises:
        SumlError: it is not there.
    """
    path = annotations / name
    if not path.is_file():
        raise SumlError(
            path,
            "annotation file is missing",
            got="no file",
            expected=f"a file of {card.title}",
            fix=f"Get it from {card.homepage} or point --annotations at its folder.",
        )
    return path


def read_table(path: Path) -> pl.DataFrame:
    """A CSV, Parquet or JSONL file, every cell as it stands; CSV cells stay text.

    Returns:
        The rows with a last column `source`, such as `train.csv row 2` (row 1 is the header
        in CSV and the first record elsewhere).

    Raises:
        SumlError: not such a file, or without rows.
    """
    suffix = path.suffix.lower()
    try:
        if suffix == ".csv":
            frame = pl.read_csv(path, infer_schema=False, encoding="utf8")
        elif suffix == ".parquet":
            frame = pl.read_parquet(path)
        elif suffix in {".jsonl", ".ndjson"}:
            frame = pl.read_ndjson(path, infer_schema_length=None)
        else:
            raise _unreadable(path, f"a {suffix or 'nameless'} file")
    except (pl.exceptions.PolarsError, UnicodeDecodeError, OSError) as error:
        got = str(error).splitlines()[0][:120] if path.stat().st_size else "an empty file"
        raise _unreadable(path, got) from error
    if frame.is_empty():
        raise _unreadable(path, "no rows")
    first = 2 if suffix == ".csv" else 1
    number = pl.int_range(first, first + frame.height).cast(pl.String)
    return frame.with_columns(source=pl.lit(f"{path.name} row ") + number)


def _unreadable(path: Path, got: str) -> SumlError:
    return SumlError(
        path,
        "cannot read the annotations",
        got=got,
        expected="a CSV, Parquet or JSONL table with rows",
        fix="Check that the download is complete.",
    )


def require_columns(frame: pl.DataFrame, wanted: Sequence[str], path: Path) -> None:
    """Raises a SumlError that names the first missing column and its nearest match."""
    for column in wanted:
        if column not in frame.columns:
            near = nearest_names(column, [c for c in frame.columns if c != "source"])
            raise SumlError(
                path,
                f"column {column} is missing",
                got=f"nearest {near[0]}" if near else f"columns {', '.join(frame.columns[:8])}",
                expected=column,
                fix="Correct the file's header or the card.",
            )


def refuse(frame: pl.DataFrame, bad: pl.Expr, what: str, got: str, expected: str) -> None:
    """Raises a SumlError for the first row where `bad` holds or is null.

    Args:
        frame: rows with a `source` column.
        bad: a boolean expression.
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
        found.get_column("source")[0],
        f"{what}{more}",
        got=repr(value),
        expected=expected,
        fix="Correct the row.",
    )


def seconds(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Turns a column of `HH:MM:SS.ff` or plain seconds into float64 seconds.

    Raises:
        SumlError: a value is neither; file, row and value are named.
    """
    text = pl.col(column).cast(pl.String).str.strip_chars()
    clock = text.str.extract_groups(_TIMESTAMP).struct
    hours, minutes, rest = (clock.field(str(i)).cast(pl.Float64) for i in (1, 2, 3))
    value = (hours * 3600 + minutes * 60 + rest).fill_null(text.cast(pl.Float64, strict=False))
    timed = frame.with_columns(value.alias("_seconds"))
    bad = pl.col("_seconds").is_null() | ~pl.col("_seconds").is_finite()
    refuse(timed, bad, f"bad timestamp in {column}", column, "HH:MM:SS.ff or seconds")
    return timed.with_columns(pl.col("_seconds").alias(column)).drop("_seconds")


def id_list(column: str) -> pl.Expr:
    """Class ids out of a cell: an integer, `[3, 5]`, `3;5` or a list column."""
    return pl.col(column).str.extract_all(r"-?\d+").cast(pl.List(pl.Int32))


def no_ids() -> pl.Expr:
    """An empty list of class ids."""
    return pl.lit([], dtype=pl.List(pl.Int32))


def check(rows: pl.DataFrame, sizes: Mapping[str, int]) -> None:
    """Refuses duplicate clips, clips that end before they start, and unknown class ids.

    Args:
        rows: with the columns of `COLUMNS`.
        sizes: label kind -> number of classes; kinds without a vocabulary are not checked.

    Raises:
        SumlError: names file, row and value.
    """
    expected = "each clip id once"
    refuse(rows, pl.col("native_id").is_null(), "clip without an id", "native_id", expected)
    again = ~pl.col("native_id").is_first_distinct()
    refuse(rows, again, "duplicate clip id", "native_id", expected)
    refuse(rows, pl.col("start_s") < 0, "start before the video", "start_s", "0 or later")
    before = pl.col("stop_s") <= pl.col("start_s")
    timed = rows.with_columns(
        _times=pl.format("{} to {}", pl.col("start_s"), pl.col("stop_s")) + pl.lit(" s")
    )
    refuse(timed, before, "stop is not after start", "_times", "start < stop")
    for kind in LABELS:
        if kind in sizes:
            outside = (pl.element() < 0) | (pl.element() >= sizes[kind])
            bad = pl.col(kind).list.eval(outside.fill_null(True)).list.any()
            inside = f"ids from 0 to {sizes[kind] - 1}"
            refuse(rows, bad, f"{kind} outside the vocabulary", kind, inside)


def option(card: Card, key: str, kind: type, default: object = None) -> object:
    """A reader option of the card.

    Raises:
        SumlError: missing without a default, or of another type.
    """
    value = card.options.get(key, default)
    if not isinstance(value, kind):
        raise SumlError(
            card.path,
            f"reader.{key} is {'missing' if value is None else 'of another type'}",
            got=repr(value),
            expected=kind.__name__,
            fix="Correct the card.",
        )
    return value


def check_options(card: Card, known: set[str]) -> None:
    """Refuses reader options that the reader does not have."""
    for key in card.options:
        if key not in known:
            raise unknown_name(card.path, f"option of reader {card.reader}", key, known)
