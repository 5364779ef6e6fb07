"""Any table of clips: CSV, Parquet or JSONL, its columns mapped by the card."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from sumlctl.card import LABELS, Card
from sumlctl.datasets import annotations as an
from sumlctl.datasets import options
from sumlctl.errors import SumlError, unknown_name

_NEEDED = ("video_id", "start_s", "stop_s", "narration")
_OPTIONAL = ("clip_id", "participant", "viewpoint", "split", *LABELS)


def read(card: Card, annotations: Path, videos: Path) -> an.Annotations:
    """Reads the files that the card names.

    Card options:
        files: split -> file.
        columns: our column -> the file's column. `video_id`, `start_s`, `stop_s` and `narration`
            are needed; `clip_id` (else split and row number), `participant`, `viewpoint` (else
            the card's only one), `split` (else the file's key), `verbs`, `nouns` and `actions`
            are not. Labels are class ids, or class names of the card's vocabulary.
    """
    options.check(card, {"files", "columns"})
    files, columns = options.texts(card, "files"), options.texts(card, "columns")
    for needed in _NEEDED:
        if needed not in columns:
            raise SumlError(
                card.path,
                f"reader.columns.{needed} is missing",
                got="nothing",
                expected=f'{needed} = "<column of the file>"',
                fix="Correct the card.",
            )
    for key in columns:
        if key not in (*_NEEDED, *_OPTIONAL):
            raise unknown_name(card.path, "column of ours", key, (*_NEEDED, *_OPTIONAL))
    if "viewpoint" not in columns and len(card.viewpoints) != 1:
        raise SumlError(
            card.path,
            "viewpoint is not told",
            got=f"viewpoints {list(card.viewpoints)}",
            expected="one viewpoint, or a viewpoint column",
            fix="Correct the card.",
        )
    paths = {split: an.annotation_file(annotations, name, card) for split, name in files.items()}
    frames = [_clips(card, path, split, columns) for split, path in paths.items()]
    return an.Annotations(pl.concat(frames), tuple(paths.values()))


def _clips(card: Card, path: Path, split: str, columns: dict[str, str]) -> pl.DataFrame:
    frame = an.read_table(path)
    an.require_columns(frame, list(columns.values()), path)
    for key, column in columns.items():
        _check_type(frame.schema[column], key, f"{path.name} column {column}")
    for column in (columns["start_s"], columns["stop_s"]):
        frame = an.seconds(frame, column)

    def text(key: str, default: pl.Expr) -> pl.Expr:
        return pl.col(columns[key]).cast(pl.String) if key in columns else default

    number = pl.col("_source").str.extract(r"(\d+)$")
    labels = {kind: _labels(card, frame, columns.get(kind), kind) for kind in LABELS}
    return frame.select(
        native_id=text("clip_id", pl.lit(f"{split}-") + number),
        viewpoint=text("viewpoint", pl.lit(card.viewpoints[0])),
        split=text("split", pl.lit(split)),
        video_id=text("video_id", pl.lit("")).fill_null(""),
        participant=text("participant", pl.lit("")).fill_null(""),
        start_s=columns["start_s"],
        stop_s=columns["stop_s"],
        narration=text("narration", pl.lit("")).fill_null(""),
        **labels,
        _source="_source",
    )


def _check_type(dtype: pl.DataType, key: str, where: str) -> None:
    plain = not (dtype.is_nested() or dtype in {pl.Binary, pl.Object})
    listed = isinstance(dtype, pl.List) and dtype.inner.is_integer() and key in LABELS
    if not plain and not listed:
        raise an.malformed(where, f"type {dtype}", "class ids" if key in LABELS else "text")


def _labels(card: Card, frame: pl.DataFrame, column: str | None, kind: str) -> pl.Expr:
    """Class ids from a column of ids, lists of ids or class names."""
    if column is None:
        return an.no_ids()
    dtype = frame.schema[column]
    if isinstance(dtype, pl.List):
        return pl.col(column).cast(pl.List(pl.Int32), strict=False).fill_null(pl.lit([]))
    cell = frame.get_column(column).cast(pl.String).str.strip_chars().fill_null("")
    if an.holds_ids(cell):
        return pl.lit(an.class_ids(frame.with_columns(cell), column).get_column(column))
    source = card.vocabulary.get(kind)
    names = {name: i for i, name in enumerate(source.names)} if source else {}
    found = cell.replace_strict(names, default=None, return_dtype=pl.Int32)
    unknown = frame.with_columns(_id=found, _name=cell)
    missing = pl.col("_id").is_null() & (pl.col("_name") != "")
    expected = f"a class id or one of vocabulary.{kind}.names of the card"
    an.refuse(unknown, missing, f"unknown class name in {column}", "_name", expected)
    lists = pl.DataFrame({"id": found}).select(pl.concat_list("id").list.drop_nulls())
    return pl.lit(lists.to_series())
