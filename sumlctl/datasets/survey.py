"""Finds and probes the videos of a dataset; what has not changed is not probed again."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from sumlctl import tables
from sumlctl.config.dataset import DatasetConfig
from sumlctl.console import note, progress, warn
from sumlctl.errors import InstallationError, ProgramError, SumlError
from sumlctl.jobs.executors import THIS_MACHINE, Executor
from sumlctl.jobs.units import Work
from sumlctl.video.installation import check_installation
from sumlctl.video.probe import Probe, stamp
from sumlctl.video.probe_many import PROBED_WITH, probe_many
from sumlctl.workspace import inside


def survey(
    card: DatasetConfig,
    clips: pl.DataFrame,
    root: Path,
    table: Path,
    work: Work,
    executor: Executor = THIS_MACHINE,
    *,
    retry_unreadable: bool = False,
    decoder: str = "auto",
) -> pl.DataFrame:
    """The videos table of a dataset.

    A video is a file, or where there is none a folder of JPEG files. An earlier table, or the
    receipts of an interrupted survey, spare the probing of those that have not changed. What
    another version of PyAV found unreadable or odd is probed again, and so is what met an error of
    the program; a video without a remark has as many frames as packets, whoever counts them. So
    are the rows of earlier versions, which did not ask when the pictures begin.

    Args:
        clips: a reader's rows; their videos are surveyed in order of appearance.
        root: the folder that the card's path templates start from.
        table: where the videos table is or will be.
        work: keeps the receipts.
        executor: who probes.
        retry_unreadable: whether those that the earlier table has as unreadable are probed again,
            from the first frame to the last.
        decoder: `pyav` leaves decord out; `decord` has files that it was not asked about probed
            again.

    Raises:
        SumlError: every video that the earlier table has is gone.
        InstallationError: none of several videos can be read, nor can the film that is sound.
    """
    earlier, same_reader = _earlier(table)
    known = {
        (row["path"], row["size_bytes"], row["mtime_ns"]): row
        for row in earlier
        if _holds(row, same_reader, readable_only=retry_unreadable)
    }
    ids = clips.select("video_id", "participant").unique("video_id", maintain_order=True)
    rows: dict[str, dict[str, Any]] = {}
    pending: dict[Path, list[str]] = {}
    for video_id, participant in ids.iter_rows():
        relative, path = _locate(card, root, video_id, participant)
        row = {"dataset": card.name, "video_id": video_id, "path": relative, "status": "missing"}
        rows[video_id] = row
        if path is None:
            continue
        size_bytes, mtime_ns = stamp(path)
        old = known.get((relative, size_bytes, mtime_ns))
        of_other_rate = size_bytes is None and old and old["fps"] != card.folder_fps(video_id)
        not_asked = decoder == "decord" and old and _decord_was_not_asked(old)
        if old is not None and not of_other_rate and not not_asked:
            rows[video_id] = old | row | {"status": old["status"]}
        else:
            pending.setdefault(path, []).append(video_id)
    found = {video_id for video_id, row in rows.items() if row["status"] != "missing"}
    found |= {video_id for listed in pending.values() for video_id in listed}
    _refuse_if_gone(card, root, table, earlier, rows.keys(), found)
    if pending:
        how = {"whole": retry_unreadable, "ask_decord": decoder != "pyav"}
        try:
            _probe(card, pending, rows, work, executor, **how)
        except InstallationError:
            work.forget()  # findings of this installation
            raise
    elif found:
        note(f"{card.name}: no video has changed since the last index")
    return _frame(rows)


def _probe(
    card: DatasetConfig,
    pending: dict[Path, list[str]],
    rows: dict[str, dict[str, Any]],
    work: Work,
    executor: Executor,
    **how: bool,
) -> None:
    rates = {path: card.folder_fps(video_id) for path, (video_id, *_) in pending.items()}
    with progress(f"probing {card.name}", len(pending), "videos") as bar:
        for path, result in probe_many(rates, work, executor, **how):
            size_bytes, mtime_ns = stamp(path)
            for video_id in pending[path]:
                rows[video_id] |= asdict(result)
                rows[video_id] |= {"size_bytes": size_bytes, "mtime_ns": mtime_ns}
            bar.advance()
    found = [rows[video_id] for video_id, *_ in pending.values()]
    if len(found) > 1 and all(row["status"] == "unreadable" for row in found):
        check_installation(executor)


def _decord_was_not_asked(row: dict[str, Any]) -> bool:
    """Whether a file's row is of an earlier version, of `--decoder pyav` or without decord."""
    is_file = row["size_bytes"] is not None
    return is_file and row["status"] == "ok" and row["decord"] not in ("trusted", "doubted")


def _locate(
    card: DatasetConfig, root: Path, video_id: str, participant: str
) -> tuple[str, Path | None]:
    """The first of the card's paths that is a file, else a folder, else the first one and None."""
    known = [t for t in card.videos if participant or "{participant}" not in t]
    names = [t.format(video_id=video_id, participant=participant) for t in known or card.videos]
    paths = {name: inside(root, name, f"video {video_id} of {card.name}") for name in names}
    for is_there in (os.path.isfile, os.path.isdir):  # unlike Path's, not stopped by long names
        for name, path in paths.items():
            if is_there(path):
                return name, path
    return names[0], None


def _refuse_if_gone(
    card: DatasetConfig,
    root: Path,
    table: Path,
    earlier: Sequence[Mapping[str, Any]],
    wanted: Set[str],
    found: Set[str],
) -> None:
    """A folder that is not mounted, or named wrongly, is no reason to overwrite the tables.

    Args:
        card: of the dataset.
        root: the folder that was looked in.
        table: the videos table.
        earlier: its rows of videos that were there.
        wanted: ids of the videos that the annotations name now.
        found: ids of those that are there.

    Raises:
        SumlError: none is there of the videos that were and that the annotations still name; where
            they name others altogether, none at all.
    """
    were = {row["video_id"] for row in earlier}
    lost = were - found
    if were and not found & (were & wanted or wanted):
        raise SumlError(
            card.name,
            "all videos of the earlier index are gone",
            got=f"none of {len(were):,} in {root}{'' if root.is_dir() else ', which is no folder'}",
            expected=f"{earlier[0]['path']} and others",
            fix=f"Name their folder: --videos DIR. To index without them, delete {table} first.",
        )
    if lost := lost & wanted:
        warn(f"{card.name}: {len(lost):,} of {len(were):,} videos are gone, such as {min(lost)}")


def _earlier(table: Path) -> tuple[list[dict[str, Any]], bool]:
    """Rows of the videos that were there, and whether this version of PyAV probed them.

    No row when there is no whole table.
    """
    if not table.is_file():
        return [], False
    try:
        written = tables.read(table, "videos")
    except SumlError:
        return [], False
    rows = pl.DataFrame(pl.from_arrow(written)).filter(pl.col("status") != "missing").to_dicts()
    # There was no record of it at first.
    return rows, tables.metadata(written, "probed_with") == PROBED_WITH


def _holds(row: Mapping[str, Any], same_reader: bool, readable_only: bool) -> bool:
    """Whether an earlier row needs no new probe as long as its file is the same."""
    if row["status"] == "unreadable":
        fault_of_program = ProgramError.WHAT in (row["error"] or "")
        return same_reader and not readable_only and not fault_of_program
    # Earlier versions did not ask when the pictures begin, nor whether they are mirrored.
    whole = row["start_s"] is not None and row["mirrored"] is not None
    return whole and (same_reader or row["error"] is None)


def _frame(rows: dict[str, dict[str, Any]]) -> pl.DataFrame:
    columns = tables.schema("videos").names
    empty = dict.fromkeys((*columns, *Probe.__dataclass_fields__))
    ordered = [{key: (empty | row)[key] for key in columns} for row in rows.values()]
    schema = pl.DataFrame(pl.from_arrow(tables.schema("videos").empty_table())).schema
    return pl.DataFrame(ordered, schema=schema)
