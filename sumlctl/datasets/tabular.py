"""Any table of clips: CSV, Parquet or JSONL, its columns mapped by the card."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from sumlctl.config.dataset import LABELS, DatasetConfig
from sumlctl.datasets import annotations as an
from sumlctl.datasets import options, points, times
from sumlctl.datasets.labels import Classes, read_labels
from sumlctl.datasets.table_files import delimiter_of
from sumlctl.errors import SumlError, unknown_name

_NEEDED = ("video_id", "start_s", "stop_s", "narration")
_OPTIONAL = ("clip_id", "participant", "viewpoint", "split", *LABELS)
_OPTIONS = {
    "files",
    "columns",
    "delimiter",
    "quote",
    "decimal",
    "unlabelled",
    "strip",
    "point",
    "rate",
}
_UNLABELLED = -1
_LONGEST_PATTERN = 1000  # letters


@dataclass(frozen=True)
class _Layout:
    """How the card says that its tables are written; see `read`."""

    columns: Mapping[str, str]
    delimiter: str | None
    quote: str
    decimal: str | None
    strip: str
    point: float | str | None
    rate: float
    classes: Mapping[str, Classes]


def read(card: DatasetConfig, annotations: Path, videos: Path) -> an.Annotations:
    """Reads the files that the card names.

    Card options:
        files: split -> file.
        columns: our column -> the file's column. `video_id`, `start_s`, `stop_s` and `narration`
            are needed; `clip_id` (else split and row number), `participant`, `viewpoint` (else
            the card's only one), `split` (else the file's key), `verbs`, `nouns` and `actions`
            are not. Labels are class ids, or class names of the card's vocabulary.
        delimiter: of CSV files; else see `table_files.delimiter_of`.
        quote: the quotation mark of CSV files, `"` if left out; "" where there is none.
        decimal: "," where CSV files write 1,5 for 1.5; else "." unless the delimiter is `;`.
        unlabelled: a value, or a list of values, that stands for no label; -1 if left out.
        strip: a regular expression (of the Rust library `regex`); what it matches is taken off
            narrations before they are cleaned.
        point: how long the window around a narration without a stop is: a number of seconds, or
            "egovlp", see `points.with_windows`. `columns.stop_s` is then optional.
        rate: units of the time columns in a second, such as 1000 for milliseconds or 24 for the
            frame numbers of 24 frames per second; 1 if left out.
    """
    files, layout = _layout(card, annotations)
    paths = {split: an.annotation_file(annotations, name, card) for split, name in files.items()}
    read_files = [_clips(card, path, split, layout) for split, path in paths.items()]
    rows = pl.concat([rows for rows, _ in read_files])
    left_out = sum((left for _, left in read_files), times.NOTHING)
    notes = []
    if layout.point is not None:
        rows, remark = points.with_windows(rows, layout.point)
        notes.append(remark)
    rows, class_names = _sorted_classes(rows, layout.classes)
    return an.Annotations(
        rows,
        tuple(paths.values()),
        notes=tuple(notes),
        left_out=left_out,
        class_names=class_names,
    )


def _sorted_classes(
    rows: pl.DataFrame, classes: Mapping[str, Classes]
) -> tuple[pl.DataFrame, dict[str, list[str]]]:
    """Number the classes that the tables themselves name in alphabetical order."""
    names = {}
    for kind, one in classes.items():
        if one.met is None:
            continue
        names[kind] = sorted(one.met)
        places = {one.met[name]: place for place, name in enumerate(names[kind])}
        if places:
            rows = rows.with_columns(
                pl.col(kind).list.eval(pl.element().replace_strict(places, return_dtype=pl.Int32))
            )
    return rows, names


def _layout(card: DatasetConfig, annotations: Path) -> tuple[dict[str, str], _Layout]:
    """The card's files and how they are written; all faults of its options are raised together."""
    checks = options.Checks()
    checks.unknown(card, _OPTIONS)
    files = checks(options.texts, card, "files") or {}
    columns = checks(_columns, card, checks) or {}
    delimiter, quote = checks(_mark, card, "delimiter"), checks(_mark, card, "quote")
    decimal, strip = checks(_decimal, card), checks(_strip, card) or ""
    point, rate = checks(_point, card), checks(_rate, card) or 1.0
    unlabelled = checks(_unlabelled, card) or frozenset()
    checks.refuse(card)
    own = {kind for kind, source in card.vocabulary.items() if source.from_table}
    classes = {
        kind: Classes(card, annotations, kind, unlabelled, {} if kind in own else None)
        for kind in LABELS
        if kind in columns
    }
    quote = '"' if quote is None else quote
    return files, _Layout(columns, delimiter, quote, decimal, strip, point, rate, classes)


def _columns(card: DatasetConfig, checks: options.Checks) -> dict[str, str]:
    columns = {key: name.strip() for key, name in options.texts(card, "columns").items()}
    for needed in _NEEDED:
        if needed not in columns and not (needed == "stop_s" and "point" in card.options):
            checks.add(
                SumlError(
                    card.path,
                    f"reader.columns.{needed} is missing",
                    got="nothing",
                    expected=f'{needed} = "<column of the file>"'
                    + (", or reader.point for points in time" if needed == "stop_s" else ""),
                    fix="Correct the card.",
                )
            )
    for key in columns:
        if key not in (*_NEEDED, *_OPTIONAL):
            known = (*_NEEDED, *_OPTIONAL)
            checks.add(unknown_name(card.path, "column of ours", key, known))
    if "viewpoint" not in columns and len(card.viewpoints) != 1:
        checks.add(
            SumlError(
                card.path,
                "viewpoint is not told",
                got=f"viewpoints {list(card.viewpoints)}",
                expected="one viewpoint, or a viewpoint column",
                fix="Correct the card.",
            )
        )
    return columns


def _fault(card: DatasetConfig, key: str, expected: str, what: str = "") -> SumlError:
    got = repr(card.options[key]) + (f" ({what})" if what else "")
    return SumlError(
        card.path, f"bad reader.{key}", got=got, expected=expected, fix="Correct the card."
    )


def _mark(card: DatasetConfig, key: str) -> str | None:
    """One character; a quotation mark may be none."""
    mark = card.options.get(key)
    if mark is None or (key == "quote" and mark == ""):
        return mark
    if (
        not isinstance(mark, str)
        or len(mark) != 1
        or not mark.isascii()
        or mark.isalnum()
        or mark in "\r\n"
    ):
        expected = 'one character, such as ";" or "\\t"' if key == "delimiter" else '"\'" or ""'
        raise _fault(card, key, expected)
    return mark


def _decimal(card: DatasetConfig) -> str | None:
    decimal = card.options.get("decimal")
    if decimal not in (None, ".", ","):
        raise _fault(card, "decimal", '"." or ","')
    return decimal


def _point(card: DatasetConfig) -> float | str | None:
    point = card.options.get("point")
    if point is None or point == points.EGOVLP:
        return point
    number = isinstance(point, int | float) and not isinstance(point, bool)
    if not number or not 0 < point < math.inf:
        raise _fault(card, "point", f'a number of seconds above 0, or "{points.EGOVLP}"')
    return float(point)


def _rate(card: DatasetConfig) -> float:
    rate = card.options.get("rate", 1)
    number = isinstance(rate, int | float) and not isinstance(rate, bool)
    if not number or not 0 < rate < math.inf:
        raise _fault(card, "rate", "units per second, above 0")
    return float(rate)


def _unlabelled(card: DatasetConfig) -> frozenset[str]:
    """The values as cells have them; a whole number also as pandas writes it beside gaps."""
    value = card.options.get("unlabelled", _UNLABELLED)
    values = value if isinstance(value, list) else [value]
    if any(isinstance(v, bool) or not isinstance(v, int | str) for v in values):
        raise _fault(card, "unlabelled", "a whole number, a text, or a list of them")
    texts = [str(v).strip() for v in values]
    return frozenset([*texts, *(f"{v}.0" for v in values if isinstance(v, int))])


def _strip(card: DatasetConfig) -> str:
    """A pattern that polars takes; its engine takes linear time whatever the pattern."""
    pattern = card.options.get("strip", "")
    if not isinstance(pattern, str) or len(pattern) > _LONGEST_PATTERN:
        raise _fault(card, "strip", "a regular expression")
    try:
        pl.Series([""]).str.replace_all(pattern, "")
    except pl.exceptions.PolarsError as error:
        reason = str(error).partition("\n\nThis error")[0].splitlines()[-1]
        expected = "a regular expression without look-around and backreferences"
        raise _fault(card, "strip", expected, reason) from error
    return pattern


def _clips(
    card: DatasetConfig, path: Path, split: str, layout: _Layout
) -> tuple[pl.DataFrame, times.LeftOut]:
    columns = layout.columns
    frame = an.read_table(path, layout.delimiter, layout.quote)
    an.require_columns(frame, list(columns.values()), path)
    for key, column in columns.items():
        _check_type(frame.schema[column], key, f"{path.name} column {column}")
    decimal_comma = layout.decimal == ","
    if layout.decimal is None and path.suffix.lower() == ".csv":
        decimal_comma = (layout.delimiter or delimiter_of(path)) == ";"
    frame, left_out = times.usable(
        frame,
        columns["start_s"],
        columns.get("stop_s"),
        points=layout.point is not None,
        decimal_comma=decimal_comma,
    )

    def text(key: str, default: str | pl.Expr) -> pl.Expr:
        if key not in columns:
            return pl.lit(default) if isinstance(default, str) else default
        return _text(frame, columns[key])

    number = pl.col("_source").str.extract(r" row (\d+)( \(line \d+\))?$")
    labels = {
        kind: read_labels(frame, columns[kind], layout.classes[kind])
        if kind in columns
        else an.no_ids()
        for kind in LABELS
    }
    narration = text("narration", "").fill_null("")
    if layout.strip:
        narration = narration.str.replace_all(layout.strip, "")
    clips = frame.select(
        native_id=text("clip_id", pl.lit(f"{split}-") + number),
        viewpoint=text("viewpoint", card.viewpoints[0]),
        split=text("split", split),
        video_id=text("video_id", "").fill_null(""),
        participant=text("participant", "").fill_null(""),
        start_s=pl.col("start_s") / layout.rate,
        stop_s=pl.col("stop_s") / layout.rate,
        narration=narration,
        **labels,
        _source="_source",
    )
    return clips, left_out


def _text(frame: pl.DataFrame, column: str) -> pl.Expr:
    """The cells as text without spaces around it; what stands for a missing value is null.

    Whole numbers that pandas wrote as floats, since their column has gaps, lose `.0`.
    """
    dtype = frame.schema[column]
    cells = pl.col(column).cast(pl.String).str.strip_chars()
    cells = pl.when(~cells.is_in(times.MISSING)).then(cells)
    gaps = frame.select(cells.alias("c")).filter(pl.col("c").is_null()).height > 0
    if dtype.is_float() or gaps:
        whole = cells.str.contains(r"^-?\d+\.0$").fill_null(True).all()
        cells = pl.when(whole).then(cells.str.strip_suffix(".0")).otherwise(cells)
    return cells


def _check_type(dtype: pl.DataType, key: str, where: str) -> None:
    plain = not (dtype.is_nested() or dtype in {pl.Binary, pl.Object})
    listed = key in LABELS and isinstance(dtype, pl.List) and _holds_labels(dtype.inner)
    if not plain and not listed:
        expected = "class ids or names" if key in LABELS else "text"
        raise an.malformed(where, f"type {dtype}", expected)


def _holds_labels(dtype: object) -> bool:
    return isinstance(dtype, pl.DataType) and (
        dtype.is_numeric() or dtype in {pl.String, pl.Null, pl.Categorical}
    )
