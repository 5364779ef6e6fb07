"""Finds and probes the videos of a dataset; what has not changed is not probed again."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from sumlctl import tables
from sumlctl.card import Card
from sumlctl.console import note, progress
from sumlctl.engine.executors import HERE, Executor
from sumlctl.engine.units import Work
from sumlctl.errors import SumlError
from sumlctl.video.probe import Probe, probe_many, stamp
from sumlctl.workspace import inside


def survey(
    card: Card,
    clips: pl.DataFrame,
    root: Path,
    table: Path,
    work: Work,
    executor: Executor = HERE,
    *,
    retry_unreadable: bool = False,
) -> pl.DataFrame:
    """The videos table of a dataset.

    A video is a file, or where there is none a folder of JPEG files. An earlier table, or the
    receipts of an interrupted survey, spare the probing of those that have not changed, unless the
    table was made before it was asked when the pictures begin.

    Args:
        clips: a reader's rows; their videos are surveyed in order of appearance.
        root: the folder that the card's path templates start from.
        table: where the videos table is or will be.
        work: keeps the receipts.
        executor: who probes.
        retry_unreadable: whether those that the earlier table has as unreadable are probed again,
            from the first frame to the last.
    """
    known = _known(table, readable_only=retry_unreadable)
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
        if old is not None and not of_other_rate:
            rows[video_id] = old | row | {"status": old["status"]}
        else:
            pending.setdefault(path, []).append(video_id)
    if pending:
        _probe(card, pending, rows, work, executor, whole=retry_unreadable)
    elif known:
        note(f"{card.name}: no video has changed since the last index")
    return _frame(rows)


def _probe(
    card: Card,
    pending: dict[Path, list[str]],
    rows: dict[str, dict[str, Any]],
    work: Work,
    executor: Executor,
    whole: bool,
) -> None:
    rates = {path: card.folder_fps(video_id) for path, (video_id, *_) in pending.items()}
    with progress(f"probing {card.name}", len(pending), "videos") as bar:
        for path, result in probe_many(rates, work, executor, whole=whole):
            size_bytes, mtime_ns = stamp(path)
            for video_id in pending[path]:
                rows[video_id] |= asdict(result)
                rows[video_id] |= {"size_bytes": size_bytes, "mtime_ns": mtime_ns}
            bar.advance()


def _locate(card: Card, root: Path, video_id: str, participant: str) -> tuple[str, Path | None]:
    """The first of the card's paths that is a file, else a folder, else the first one and None."""
    known = [t for t in card.videos if participant or "{participant}" not in t]
    names = [t.format(video_id=video_id, participant=participant) for t in known or card.videos]
    paths = {name: inside(root, name, f"video {video_id} of {card.name}") for name in names}
    for is_there in (os.path.isfile, os.path.isdir):  # unlike Path's, not stopped by long names
        for name, path in paths.items():
            if is_there(path):
                return name, path
    return names[0], None


def _known(
    table: Path, readable_only: bool = False
) -> dict[tuple[str, int | None, int], dict[str, Any]]:
    """Earlier rows by path, size and modification time; none when there is no whole table."""
    if not table.is_file():
        return {}
    try:
        old = pl.DataFrame(pl.from_arrow(tables.read(table, "videos")))
    except SumlError:
        return {}
    left_out = ["missing", "unreadable"] if readable_only else ["missing"]
    probed = old.filter(~pl.col("status").is_in(left_out)).to_dicts()
    whole = (r for r in probed if r["status"] != "ok" or r["start_s"] is not None)
    return {(r["path"], r["size_bytes"], r["mtime_ns"]): r for r in whole}


def _frame(rows: dict[str, dict[str, Any]]) -> pl.DataFrame:
    columns = tables.schema("videos").names
    empty = dict.fromkeys((*columns, *Probe.__dataclass_fields__))
    ordered = [{key: (empty | row)[key] for key in columns} for row in rows.values()]
    schema = pl.DataFrame(pl.from_arrow(tables.schema("videos").empty_table())).schema
    return pl.DataFrame(ordered, schema=schema)
