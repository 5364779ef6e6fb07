"""Finds and probes the video files of a dataset; what has not changed is not probed again."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from sumlctl import tables
from sumlctl.card import Card
from sumlctl.console import note, progress
from sumlctl.errors import SumlError
from sumlctl.video.probe import Probe, probe_many
from sumlctl.workspace import inside

_SAVE_EVERY_S = 30.0


def survey(card: Card, clips: pl.DataFrame, root: Path, table: Path, jobs: int) -> pl.DataFrame:
    """The videos table of a dataset.

    An earlier table, or the partial one that an interrupted survey left, spares the probing of
    files whose size and modification time are the same.

    Args:
        clips: a reader's rows; their videos are surveyed in order of appearance.
        root: the folder that the card's path templates start from.
        table: where the videos table is or will be.
        jobs: processes that probe.
    """
    partial = table.with_name("videos.partial.parquet")
    known = _known(table) | _known(partial)
    ids = clips.select("video_id", "participant").unique("video_id", maintain_order=True)
    rows: dict[str, dict[str, Any]] = {}
    pending: dict[Path, list[str]] = {}
    for video_id, participant in ids.iter_rows():
        relative, path = _locate(card, root, video_id, participant)
        row = {"dataset": card.name, "video_id": video_id, "path": relative, "status": "missing"}
        rows[video_id] = row
        if path is None:
            continue
        found = path.stat()
        old = known.get((relative, found.st_size, found.st_mtime_ns))
        if old is not None:
            rows[video_id] = old | row | {"status": old["status"]}
        else:
            pending.setdefault(path, []).append(video_id)
    if pending:
        _probe(card, pending, rows, partial, jobs)
    elif known:
        note(f"{card.name}: no video has changed since the last index")
    frame = _frame(rows)
    partial.unlink(missing_ok=True)
    return frame


def _probe(
    card: Card,
    pending: dict[Path, list[str]],
    rows: dict[str, dict[str, Any]],
    partial: Path,
    jobs: int,
) -> None:
    saved = time.monotonic()
    with progress(f"probing {card.name}", len(pending), "videos") as bar:
        for path, result in probe_many(list(pending), jobs=jobs):
            found = path.stat()
            stamp = {"size_bytes": found.st_size, "mtime_ns": found.st_mtime_ns}
            for video_id in pending[path]:
                rows[video_id] |= asdict(result) | stamp
            bar.advance()
            if time.monotonic() - saved > _SAVE_EVERY_S:
                probed = {k: row for k, row in rows.items() if row["status"] != "missing"}
                tables.write(_frame(probed).to_arrow(), partial, "videos", inputs={}, config={})
                saved = time.monotonic()


def _locate(card: Card, root: Path, video_id: str, participant: str) -> tuple[str, Path | None]:
    """The first of the card's paths that exists, else the first one and None."""
    known = [t for t in card.videos if participant or "{participant}" not in t]
    names = [t.format(video_id=video_id, participant=participant) for t in known or card.videos]
    for name in names:
        path = inside(root, name, f"video {video_id} of {card.name}")
        if path.is_file():
            return name, path
    return names[0], None


def _known(table: Path) -> dict[tuple[str, int, int], dict[str, Any]]:
    """Earlier rows by path, size and modification time; none when there is no whole table."""
    if not table.is_file():
        return {}
    try:
        old = pl.DataFrame(pl.from_arrow(tables.read(table, "videos")))
    except SumlError:
        return {}
    probed = old.filter(pl.col("status") != "missing").to_dicts()
    return {(r["path"], r["size_bytes"], r["mtime_ns"]): r for r in probed}


def _frame(rows: dict[str, dict[str, Any]]) -> pl.DataFrame:
    columns = tables.schema("videos").names
    empty = dict.fromkeys((*columns, *Probe.__dataclass_fields__))
    ordered = [{key: (empty | row)[key] for key in columns} for row in rows.values()]
    schema = pl.DataFrame(pl.from_arrow(tables.schema("videos").empty_table())).schema
    return pl.DataFrame(ordered, schema=schema)
