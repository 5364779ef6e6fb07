"""Reads CSV, Parquet and JSONL files as people and spreadsheets write them."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from sumlctl.config import documents
from sumlctl.console import warn
from sumlctl.errors import SumlError

_DELIMITERS = ",;\t|"
_CSV = {".csv", ".tsv", ".tab"}
_SEP = re.compile(rb'(?:\xef\xbb\xbf)?"?sep=([!-~\t])"?[ \t]*(?=[\r\n])')  # Excel's first line
_TABLE = "a CSV, Parquet or JSONL table with rows"
_START = 2**16  # bytes in which a header ends; a longer one is read row by row
_UNREADABLE = (
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
    pa.ArrowException,
    csv.Error,
    UnicodeDecodeError,
    OSError,
)


def malformed(
    where: object, got: str, expected: str, fix: str = "Check that the download is complete."
) -> SumlError:
    """The error for an annotation that has not the form it should have."""
    return SumlError(where, "malformed annotation", got=got[:120], expected=expected, fix=fix)


def read_table(path: Path, delimiter: str | None = None, quote: str = '"') -> pl.DataFrame:
    """Read a CSV, Parquet or JSONL file, every cell as it stands; CSV cells stay text.

    Empty CSV cells are null, rows without any value are left away, and names of columns lose the
    spaces around them. A name that several columns have becomes `NAME (column N)` for each.

    Args:
        path: `.csv`, `.tsv` or `.tab`; `.parquet`; `.jsonl` or `.ndjson`.
        delimiter: of a CSV file; default: see `delimiter_of`.
        quote: the quotation mark of a CSV file; "" for none.

    Returns:
        The rows with a last column `_source`, such as `train.csv row 2`: the header is row 1 of a
        CSV file, the first record row 1 elsewhere. A row whose line in the file has another number
        is `train.csv row 3 (line 5)`.

    Raises:
        SumlError: not such a file, a row of more or fewer cells than the header, or no rows.
    """
    suffix = path.suffix.lower()
    try:
        if not path.stat().st_size:
            raise malformed(path, "an empty file", _TABLE)
        if suffix in _CSV:
            frame, source = _read_csv(path, delimiter, quote)
        elif suffix == ".parquet":
            frame, source = _numbered(path, _read_parquet(path), first=1)
        elif suffix in {".jsonl", ".ndjson"}:
            frame, source = _numbered(path, _read_jsonl(path), first=1)
        else:
            fix = "Make such a table of it; README shows how (Your own table)."
            raise malformed(path, f"a {suffix or 'nameless'} file", _TABLE, fix)
    except UnicodeDecodeError as error:
        fix = "Save it as UTF-8."
        raise malformed(path, f"text that is not UTF-8 ({error})", _TABLE, fix) from error
    except _UNREADABLE as error:
        reason = [*str(error).splitlines(), type(error).__name__][0]
        raise malformed(path, reason, _TABLE) from error
    if any("\ufffd" in name or "\0" in name for name in frame.columns):
        raise malformed(path, f"a header {frame.columns[0]!r}", _TABLE)
    frame.columns = _unique(frame.columns)
    frame = frame.with_columns(_source=source)
    values = [name for name in frame.columns if name != "_source"]
    if not values:
        raise malformed(path, "no columns", _TABLE)
    # Whole columns without a gap are the rule, and quicker to find than rows without a value.
    if not any(_filled(frame, name).all() for name in values):
        frame = frame.filter(pl.any_horizontal(_filled(frame, name) for name in values))
    if frame.is_empty():
        raise malformed(path, "no rows", _TABLE)
    return frame


def delimiter_of(path: Path) -> str:
    r"""Return the delimiter of a CSV file.

    That is the one that a first line `sep=;` names, as Excel has it; else the tab for `.tsv` and
    `.tab`, else the one of `,`, `;`, tab and `|` that makes the most columns of the header, and the
    comma where none makes more than one.
    """
    with path.open("rb") as file:
        data = _utf8(file.read(_START), errors="replace")
    if named := _SEP.match(data):
        return named[1].decode()
    if path.suffix.lower() in {".tsv", ".tab"}:
        return "\t"
    start = _text(data).lstrip()
    try:
        return max(_DELIMITERS, key=lambda mark: len(_header(start, mark, '"')))
    except csv.Error:  # a quotation mark that nothing closes
        return ","


def _utf8(data: bytes, errors: str = "strict") -> bytes:
    """The text as UTF-8; Excel's "Unicode text" is UTF-16, whose byte order mark tells."""
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) and data[2:4] != b"\0\0":
        return data.decode("utf-16", errors).encode()
    return data


def _text(start: bytes) -> str:
    return start.decode("utf-8-sig", errors="replace")


def _header(text: str, delimiter: str, quote: str) -> list[str]:
    return next(_records(text, delimiter, quote), [])


def _records(text: str, delimiter: str, quote: str) -> Any:
    return csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quotechar=quote or None,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        skipinitialspace=delimiter != "\t",
    )


def _unique(names: Sequence[str]) -> list[str]:
    stripped = [name.strip() for name in names]
    count = Counter(stripped)
    return [
        name if count[name] == 1 else f"{name} (column {place})"
        for place, name in enumerate(stripped, 1)
    ]


def _filled(frame: pl.DataFrame, name: str) -> pl.Series:
    """Whether each cell of a column has a value."""
    column = frame.get_column(name)
    if column.dtype == pl.String:
        return (column.str.strip_chars() != "").fill_null(False)
    return column.is_not_null()


def _numbered(path: Path, frame: pl.DataFrame, first: int) -> tuple[pl.DataFrame, pl.Series]:
    number = pl.int_range(first, first + frame.height, eager=True).cast(pl.String)
    return frame, f"{path.name} row " + number


def _read_csv(path: Path, delimiter: str | None, quote: str) -> tuple[pl.DataFrame, pl.Series]:
    """Read by Arrow, which is quick, and row by row what Arrow does not take."""
    data = _utf8(path.read_bytes())
    delimiter = delimiter or delimiter_of(path)
    if named := _SEP.match(data):
        data = data[named.end() :]  # the rest of the line stays, so that rows keep their numbers
    start = _text(data[:_START])
    names = _header(start, delimiter, quote)
    if not start.strip():
        raise malformed(path, "an empty file", _TABLE)
    if any("\ufffd" in name or "\0" in name for name in names):
        raise malformed(path, f"a header {names[0]!r}", _TABLE)
    # Spaces after delimiters are Arrow's business no more than lines before the header are.
    spaced = delimiter != "\t" and f"{delimiter} " in start.splitlines()[0]
    if not any(name.strip() for name in names) or spaced:
        return _read_rows(path, data, delimiter, quote)
    places = [str(i) for i in range(len(names))]
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(data),
            read_options=pa_csv.ReadOptions(column_names=places, skip_rows_after_names=1),
            parse_options=pa_csv.ParseOptions(
                delimiter=delimiter,
                quote_char=quote or False,
                newlines_in_values=bool(quote),
                ignore_empty_lines=False,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(places, pa.string()),
                strings_can_be_null=True,
                null_values=[""],
            ),
        )
    except pa.ArrowInvalid:
        return _read_rows(path, data, delimiter, quote)
    frame = pl.DataFrame([pl.Series(f"{i}", column) for i, column in enumerate(table.columns)])
    several_lines = max(data.count(b"\n"), data.count(b"\r")) > frame.height + 1
    frame, source = _numbered(path, frame, first=2)
    if quote and several_lines:
        source = _with_lines(path, frame, names, source, delimiter)
    frame.columns = _unique(names)
    return frame, source


def _with_lines(
    path: Path, frame: pl.DataFrame, names: Sequence[str], source: pl.Series, delimiter: str
) -> pl.Series:
    """Add the line to the source of each row where cells of several lines come before it."""
    text = frame.select(pl.concat_str(pl.all(), separator="\v", ignore_nulls=True)).to_series()
    breaks = text.str.count_matches("\r\n|\r|\n")
    first = 2 + sum(name.count("\n") for name in names)
    line = first + pl.int_range(frame.height, eager=True) + breaks.cum_sum() - breaks
    row = pl.int_range(2, 2 + frame.height, eager=True)
    numbered = pl.select(
        pl.when(line == row).then(source).otherwise(pl.format("{} (line {})", source, line))
    ).to_series()
    # A quotation mark that is not closed takes in whole rows, each with its delimiters.
    taken_in = breaks * (len(names) - 1)
    swallowed = (breaks > 0) & (text.str.count_matches(delimiter, literal=True) == taken_in)
    if len(names) > 1 and swallowed.any():
        warn(
            f"{numbered.filter(swallowed)[0]}: a cell of several lines holds as many delimiters as "
            'whole rows; if a quotation mark is not closed, name `quote = ""` in the card'
        )
    return numbered


def _read_rows(
    path: Path, data: bytes, delimiter: str, quote: str
) -> tuple[pl.DataFrame, pl.Series]:
    """Read a file with stray spaces or delimiters; name the row that has cells too many or too few.

    Empty cells beyond the header's are of no account, and the header may end in one more delimiter
    than the rows.
    """
    reader = _records(data.decode("utf-8-sig"), delimiter, quote)
    header: list[str] = []
    rows, sources, next_line = [], [], 1
    for number, cells in enumerate(reader, 1):
        line, next_line = next_line, reader.line_num + 1
        if not any(cell.strip() for cell in cells):
            continue
        if not header:
            header = cells
            fewest = max(i for i, name in enumerate(header, 1) if name.strip())
            continue
        where = f"{path.name} row {number}" + (f" (line {line})" if line != number else "")
        if len(cells) < fewest or any(cell.strip() for cell in cells[len(header) :]):
            raise SumlError(
                where,
                "more cells than columns" if len(cells) > fewest else "fewer cells than columns",
                got=f"{len(cells)} cells: {delimiter.join(cells)[:80]!r}",
                expected=f"{fewest} as in the header, with {delimiter!r} between them",
                fix="Put cells that hold the delimiter in quotation marks, or name another "
                "delimiter in the card.",
            )
        padded = [*cells, *[""] * (len(header) - len(cells))]
        rows.append([cell or None for cell in padded[: len(header)]])
        sources.append(where)
    schema = dict.fromkeys(_unique(header), pl.String)
    return pl.DataFrame(rows, schema, orient="row"), pl.Series(sources, dtype=pl.String)


def _read_parquet(path: Path) -> pl.DataFrame:
    """Read by Arrow, which checks every value; a damaged file can end polars and its process."""
    table = pq.read_table(path, partitioning=None)
    table.validate(full=True)
    names = _unique(table.column_names)
    frame = pl.DataFrame(dict(zip(names, table.columns, strict=True)))
    return frame.with_columns(pl.col(pl.Array).arr.to_list())


def _read_jsonl(path: Path) -> pl.DataFrame:
    """Read by polars, and line by line what is no strict JSON, such as NaN, or of mixed types."""
    try:
        return pl.read_ndjson(path, infer_schema_length=None)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        records = _records_of_lines(path)
    names = dict.fromkeys(name for record in records for name in record)
    return pl.DataFrame([_column(name, [record.get(name) for record in records]) for name in names])


def _records_of_lines(path: Path) -> list[dict[str, Any]]:
    records = []
    for number, line in enumerate(path.read_bytes().decode("utf-8-sig").split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = documents.from_json(line)
        except ValueError as error:
            raise malformed(path, f"line {number}: {error}", _TABLE) from error
        if not isinstance(record, dict):
            raise malformed(path, f"line {number}: {line[:80]}", _TABLE)
        records.append(record)
    return records


def _column(name: str, values: list[Any]) -> pl.Series:
    """A column of the values' own type, or of texts where they have no common one."""
    try:
        return pl.Series(name, values, strict=True)
    except (TypeError, OverflowError, *_UNREADABLE):
        texts = [v if v is None or isinstance(v, str) else json.dumps(v) for v in values]
        return pl.Series(name, texts, dtype=pl.String)
