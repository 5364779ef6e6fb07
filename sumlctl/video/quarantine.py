"""Videos that cost the processes that read them: marked unreadable in the videos table.

A table with such marks stands for the one that `index` wrote: marked rows keep all else that was
found, and the digest of the table as it was indexed is kept beside them. So what was made from
the table still fits, and a run that goes on can have the videos that it began with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sumlctl import tables
from sumlctl.errors import SumlError
from sumlctl.jobs import locks
from sumlctl.workspace import Workspace

# Dataset -> ids of its videos in quarantine.
Quarantined = dict[str, list[str]]

_MARKS, _DIGEST = "quarantined", "indexed_sha256"


def put(workspace: Workspace, files: Mapping[str, tuple[str, str]]) -> int:
    """Marks files as unreadable; those that are no video of a dataset are passed over.

    Args:
        workspace: where the tables are.
        files: path -> a clip of it, and why.

    Returns:
        How many videos were not marked before.

    Raises:
        SumlError: a table is missing or cannot be written.
    """
    count = 0
    for dataset in {clip_id.partition("/")[0] for clip_id, _ in files.values()}:
        path = workspace.table(dataset, "videos")
        with locks.alone(workspace, f"videos {dataset}", wait=True):
            table = tables.read(path, "videos")
            root = workspace.videos_root(dataset, tables.metadata(table, "videos_root"))
            marks = {}
            for row in table.select(["video_id", "path", "status"]).to_pylist():
                file = str((root / row["path"]).absolute())
                if file in files and row["status"] == "ok":
                    marks[row["video_id"]] = files[file][1]
            if marks:
                _mark(path, table, marks)
                count += len(marks)
    return count


def _mark(path: Path, table: Any, reasons: Mapping[str, str]) -> None:
    import pyarrow as pa

    rows = table.to_pylist()
    for row in rows:
        if row["video_id"] in reasons:
            row |= {"status": "unreadable", "error": reasons[row["video_id"]]}
    kept = _metadata(table) | {
        _MARKS: sorted(marked(table) | reasons.keys()),
        _DIGEST: digest(path),
    }
    inputs, config = kept.pop("inputs"), kept.pop("config")
    after = pa.Table.from_pylist(rows, schema=tables.schema("videos"))
    tables.write(after, path, "videos", inputs=inputs, config=config, extra=kept)


def marked(table: Any) -> set[str]:
    """The videos of a table that are in quarantine."""
    return set(tables.metadata(table, _MARKS) or ())


def now(workspace: Workspace, datasets: Iterable[str]) -> Quarantined:
    """The videos that are in quarantine now.

    Raises:
        SumlError: a table is missing or damaged.
    """
    found = {d: marked(tables.read(workspace.table(d, "videos"), "videos")) for d in datasets}
    return {dataset: sorted(videos) for dataset, videos in found.items() if videos}


def digest(path: Path) -> str:
    """sha256 of a file; of a videos table, as it was indexed, whatever was put in quarantine since.

    Raises:
        SumlError: the file cannot be read.
    """
    if path.name == "videos.parquet":
        with suppress(SumlError):  # damaged: as any other file
            if indexed := tables.metadata(tables.read(path, "videos"), _DIGEST):
                return indexed
    return tables.digest(path)


def _metadata(table: Any) -> dict[str, Any]:
    """All that a table says of itself, but what `tables.write` says."""
    keys = [key.decode() for key in table.schema.metadata]
    names = {key.removeprefix("sumlctl.") for key in keys if key.startswith("sumlctl.")}
    return {name: tables.metadata(table, name) for name in names - {"schema", "version"}}
