"""`sumlctl datasets new`: write the configuration of a dataset from its clip table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from sumlctl.config import parsing
from sumlctl.config.dataset import LABELS, VIEWPOINTS
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
    if re.search(r"\(ms\)|_ms$|millisec", columns["start_s"].casefold()):
        reader["rate"] = 1000
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
    plain = {_plain(column): column for column in there}
    found = dict(given)
    for ours, names in _NAMES.items():
        fitting = (plain[n] for n in names if n in plain and plain[n] not in found.values())
        column = next((c for c in fitting if _fits(ours, frame.get_column(c))), None)
        if ours not in found and column is not None:
            found[ours] = column
    for needed in _NEEDED:
        if needed not in found:
            raise SumlError(
                table,
                f"no column is recognised as {needed}",
                got=f"columns {', '.join(there)}",
                expected=f"one such as {', '.join(_NAMES[needed][:4])}",
                fix=f"Name it: --column {needed}=COLUMN.",
            )
    return {ours: found[ours] for ours in _NAMES if ours in found}


def _plain(column: str) -> str:
    """A column's name in lower case with `_`, without what stands in parentheses."""
    bare = re.sub(r"\(.*?\)", "", column.casefold())
    return re.sub(r"[^a-z0-9]+", "_", bare).strip("_")


def _fits(ours: str, column: pl.Series) -> bool:
    """Whether the cells can be what the column's name says."""
    if ours in ("start_s", "stop_s"):
        seconds = times.parsed(column)
        return bool(len(column)) and 1 - seconds.null_count() / len(column) >= _ENOUGH
    if ours == "clip_id":
        return column.null_count() == 0 and column.is_unique().all()
    if ours == "viewpoint":
        return set(column.drop_nulls().cast(pl.String)) <= set(VIEWPOINTS)
    if ours == "split":
        return "train" in set(column.drop_nulls().cast(pl.String))
    return True


def _viewpoints(frame: pl.DataFrame, columns: Mapping[str, str], viewpoint: str) -> str:
    if "viewpoint" not in columns:
        return parsing.toml([viewpoint])
    seen = set(frame.get_column(columns["viewpoint"]).drop_nulls().cast(pl.String))
    return parsing.toml([v for v in VIEWPOINTS if v in seen])


def _vocabulary(frame: pl.DataFrame, column: str) -> object:
    """Class ids have as many classes as the greatest says; names are the table's own."""
    cells = frame.get_column(column)
    if isinstance(cells.dtype, pl.List):
        cells = cells.list.eval(pl.element().cast(pl.String)).list.join(";")
    cells = cells.cast(pl.String).str.strip_chars().fill_null("")
    if not an.holds_ids(cells):
        return "table"
    numbers = cells.str.extract_all(r"\d+(?:\.0)?").explode().str.strip_suffix(".0")
    ids = [int(number) for number in numbers.drop_nulls()]
    return {"size": max(ids, default=-1) + 1}
