"""`sumlctl datasets new`: write the configuration of a dataset from its clip table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from sumlctl.config import parsing
from sumlctl.config.dataset import LABELS, MOST_CLASSES, VIEWPOINTS
from sumlctl.console import warn
from sumlctl.datasets import annotations as an
from sumlctl.datasets import points, times
from sumlctl.errors import SumlError, unknown_name

# Our column -> names that tables give it, the likeliest first; compared in lower case with `_`.
_SPELLINGS = {
    "video_id": "video_id video video_uid video_name videoid vid youtube_id video_session session "
    "uid file filename file_name video_file video_path path",
    "start_s": "start_s start start_sec start_seconds start_time starting_time start_timestamp "
    "clip_start t_start begin begin_s time_start timestamp timestamp_sec time narration_time t",
    "stop_s": "stop_s stop end end_s end_sec end_seconds stop_time end_time ending_time "
    "stop_timestamp end_timestamp clip_end t_end time_end",
    "narration": "narration narration_text narration_en clip_text text sentence caption "
    "description utterance annotation action action_name action_label label",
    "clip_id": "clip_id id narration_id annotation_id annotation_uid segment_id clip_prefix uid",
    "participant": "participant participant_id subject subject_id person person_id user",
    "viewpoint": "viewpoint view",
    "split": "split subset partition",
    "verbs": "verbs all_verb_classes verb_class verb_id verb_label verb",
    "nouns": "nouns all_noun_classes noun_classes noun_class noun_id noun_label noun",
    "actions": "actions action_class action_id action_label class_id class category",
}
_NAMES = {ours: spellings.split() for ours, spellings in _SPELLINGS.items()}
_NEEDED = ("video_id", "start_s", "narration")
_TAGGED = r"^#\S+( [A-Z])? "  # Ego4D: `#C C opens a drawer`
_UNSURE = r"#unsure"
_VIDEO_FILE = r"(?i)\.(mp4|mkv|mov|avi|webm|m4v)$"
_ENOUGH = 0.9  # of the cells, for a column of times
# Words that a column of times ends in -> units in a second; None where only the video knows.
_UNITS: dict[str, int | None] = {
    "s": 1,
    **dict.fromkeys(("ms", "msec", "msecs", "millis", "millisecond", "milliseconds"), 1000),
    **dict.fromkeys(("us", "usec", "usecs", "microsecond", "microseconds"), 10**6),
    **dict.fromkeys(("ns", "nsec", "nanosecond", "nanoseconds"), 10**9),
    **dict.fromkeys(("frame", "frames"), None),
}
_FRAMES = "frames per second"
_TIMES = ("start_s", "stop_s")


def guess(name: str, table: Path, viewpoint: str, given: Mapping[str, str]) -> str:
    """Return the TOML of a dataset whose clips come as one table.

    Args:
        name: of the dataset.
        table: CSV, Parquet or JSONL.
        viewpoint: of its clips, unless a column has it.
        given: our column -> the table's column, for those that are not to be guessed.

    Raises:
        SumlError: the table cannot be read, or a column that is needed is not recognised.
    """
    frame = an.read_table(table)
    columns = _columns(frame, table, given)
    reader: dict[str, object] = {"name": "tabular", "files": {"train": table.name}}
    reader |= _rate(columns, table) | _decimal(frame, columns)
    if "stop_s" not in columns:
        reader["point"] = points.EGOVLP
    narrations = frame.get_column(columns["narration"]).cast(pl.String).fill_null("")
    if narrations.str.contains(_TAGGED).any():
        reader["strip"] = f"{_TAGGED}|{_UNSURE}"
    ids = frame.get_column(columns["video_id"]).cast(pl.String).fill_null("")
    named = bool(ids.str.contains(_VIDEO_FILE).all())
    sections = [
        f"title = {parsing.toml(name)}\nviewpoints = {_viewpoints(frame, columns, viewpoint)}\n"
        '# redistribute = "none" # or "ids", "all": what may be passed on to others\n',
        parsing.section("[reader]", reader),
        parsing.section("[reader.columns]", columns),
        parsing.section("[videos]", {"paths": ["{video_id}" if named else "{video_id}.mp4"]}),
    ]
    words = {kind: _vocabulary(frame, columns[kind]) for kind in LABELS if kind in columns}
    if words:
        sections.append(parsing.section("[vocabulary]", words))
    return "\n".join(sections)


def _columns(frame: pl.DataFrame, table: Path, given: Mapping[str, str]) -> dict[str, str]:
    there = [column for column in frame.columns if column != "_source"]
    for ours, theirs in given.items():
        if ours not in _NAMES:
            raise unknown_name("--column", "column of ours", ours, _NAMES)
        if theirs not in there:
            raise unknown_name(table, "column", theirs, there)
    plain: dict[str, str] = {}
    for column in there:
        plain.setdefault(_plain(column), column)
    found = dict(given)
    for ours, names in _NAMES.items():
        if ours in found:
            continue
        likely = [plain[n] for n in names if n in plain and plain[n] not in found.values()]
        likely.sort(key=lambda column: _UNITS[_unit(column)] is None)  # frame numbers last
        misfits = []
        for column in likely:
            misfit = _misfit(ours, frame.get_column(column))
            if misfit is None:
                found[ours] = column
                break
            misfits.append(f"column {column} {misfit}")
        if ours not in found and ours in _NEEDED:
            raise SumlError(
                table,
                f"no column is recognised as {ours}",
                got="; ".join(misfits) or f"columns {', '.join(there)}",
                expected=f"one such as {', '.join(names[:4])}",
                fix=f"Correct the table, or name the column: --column {ours}=COLUMN.",
            )
        if ours not in found and misfits:
            warn(f"{table.name}: nothing is taken for {ours}: {'; '.join(misfits)}")
    return {ours: found[ours] for ours in _NAMES if ours in found}


def _words(column: str) -> list[str]:
    """The words of a column's name in lower case: `startMs` is start, ms."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", column).casefold()
    return re.findall(r"[a-z0-9]+", spaced)


def _plain(column: str) -> str:
    """A column's name in lower case with `_`, without a unit and what stands in parentheses."""
    words = _words(re.sub(r"\(.*?\)", "", column))
    return "_".join(words[:-1] if len(words) > 1 and words[-1] in {*_UNITS} - {"s"} else words)


def _rate(columns: Mapping[str, str], table: Path) -> dict[str, object]:
    """The reader's `rate` as the names of the columns of times tell it."""
    units = {columns[ours]: _unit(columns[ours]) for ours in _TIMES if ours in columns}
    rates = {_UNITS[unit] for unit in units.values()}
    if len(rates) > 1:
        raise SumlError(
            table,
            "starts and stops are in different units",
            got=", ".join(f"{column} in {unit}" for column, unit in units.items()),
            expected="one unit",
            fix="Correct the table, or name other columns: --column start_s=COLUMN.",
        )
    (rate,) = rates
    if rate is None:
        warn(f"{', '.join(units)}: frame numbers; put their frames per second in as `rate`")
        return {"rate": _FRAMES}  # which the reader refuses until it is a number
    return {} if rate == 1 else {"rate": rate}


def _unit(column: str) -> str:
    """The unit of a column of times, in seconds where its name has none."""
    return next((word for word in _words(column) if word in _UNITS), "s")


def _decimal(frame: pl.DataFrame, columns: Mapping[str, str]) -> dict[str, object]:
    """The reader's `decimal` where times are such with a decimal comma only."""
    cells = [frame.get_column(columns[k]) for k in _TIMES if k in columns]
    comma = any(_share_of_times(c) < _ENOUGH <= _share_of_times(c, comma=True) for c in cells)
    return {"decimal": ","} if comma else {}


def _share_of_times(column: pl.Series, comma: bool = False) -> float:
    """The share of a column's values that are times; 1,234 is no decimal comma for sure."""
    seconds = times.parsed(column, decimal_comma=comma)
    if comma and column.dtype == pl.String:
        decimals = column.str.strip_chars().str.extract(r"^\d+,(\d+)$").drop_nulls()
        if len(decimals) and (decimals.str.len_chars() == 3).all():
            return 0.0
    return 1 - seconds.null_count() / max(len(column), 1)


def _misfit(ours: str, column: pl.Series) -> str | None:
    """Say why the cells cannot be what the column's name says; None where they can."""
    if ours in LABELS and isinstance(column.dtype, pl.List):
        column = _joined(column)
    if column.dtype.is_nested() or column.dtype in (pl.Binary, pl.Object):
        return f"has values of type {column.dtype}"
    if ours in _TIMES:
        share = max(_share_of_times(column), _share_of_times(column, comma=True))
        bad = column.filter(times.parsed(column).is_null())
        return None if share >= _ENOUGH else f"has no times, such as {str(bad[0])!r}"
    if ours in LABELS:
        great = max(_class_ids(column) or [0]) >= MOST_CLASSES
        return f"has numbers of {MOST_CLASSES:,} and more" if great else None
    return _misfit_of_texts(ours, column.cast(pl.String))


def _misfit_of_texts(ours: str, column: pl.Series) -> str | None:
    values = column.drop_nulls().unique(maintain_order=True)
    if ours == "clip_id" and len(values) < len(column):
        return "has gaps" if column.null_count() else "has one value several times"
    if ours == "viewpoint" and not set(values) <= set(VIEWPOINTS):
        return f"has other values than {', '.join(VIEWPOINTS)}"
    if ours == "split" and "train" not in values:
        return f"has {', '.join(values[:5])}, and none is train"
    return None


def _viewpoints(frame: pl.DataFrame, columns: Mapping[str, str], viewpoint: str) -> str:
    if "viewpoint" not in columns:
        return parsing.toml([viewpoint])
    seen = set(frame.get_column(columns["viewpoint"]).drop_nulls().cast(pl.String))
    return parsing.toml([v for v in VIEWPOINTS if v in seen])


def _vocabulary(frame: pl.DataFrame, column: str) -> object:
    """Class ids have as many classes as the greatest says; names are the table's own."""
    ids = _class_ids(frame.get_column(column))
    return "table" if ids is None else {"size": max(ids, default=-1) + 1}


def _joined(column: pl.Series) -> pl.Series:
    return column.list.eval(pl.element().cast(pl.String)).list.join(";")


def _class_ids(column: pl.Series) -> list[int] | None:
    """The class ids in a column; None where it has names."""
    if isinstance(column.dtype, pl.List):
        column = _joined(column)
    cells = column.cast(pl.String).str.strip_chars().fill_null("")
    if not an.holds_ids(cells):
        return None
    numbers = cells.str.extract_all(r"\d+(?:\.0)?").explode().str.strip_suffix(".0")
    return [int(number) for number in numbers.drop_nulls()]
