"""`sumlctl lineage`: from a file back to annotations, decoder, weights and configuration."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sumlctl.errors import SumlError
from sumlctl.tables import provenance
from sumlctl.workflow import records
from sumlctl.workflow.file_stamps import FileStamp, file_stamp
from sumlctl.workflow.records import ProvenanceRecord
from sumlctl.workspace import Workspace

AS_MADE, CHANGED, GONE, UNKNOWN = "as made", "changed since", "gone", "not recorded"


@dataclass(frozen=True)
class File:
    """One file on the way.

    Args:
        name: path in the workspace.
        status: `as made`, `changed since` it was written or read, `gone`, or `not recorded`.
        sha256: as it was written or read.
        holds: what is in it, such as `294 rows (train fpv 210, val fpv 84)`.
        command: the command line that made it; empty where nobody recorded that.
        made: the version of sumlctl, the packages and the time; by name.
        settings: what it was made with.
        sources: names of the files that it was made from.
        end: why the trail ends here; empty where it goes on.
    """

    name: str
    status: str
    sha256: str
    holds: str = ""
    command: str = ""
    made: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    end: str = ""

    def describe(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def trace(workspace: Workspace, path: Path) -> dict[str, File]:
    """The file and all that it came from, by name; the file itself first.

    Raises:
        SumlError: there is no such file.
    """
    inside = workspace.root / path
    path = inside if inside.exists() and not path.exists() else path
    if not path.exists():
        raise SumlError(
            path,
            "no such file",
            got="nothing",
            expected="a figure, a table or a checkpoint",
            fix="Give the path of a file that sumlctl made.",
        )
    return _Trail(workspace).back_from(workspace.relative_or_absolute(path))


class _Trail:
    """Follows receipts; where there is none, what tables and runs say of themselves."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        found = (records.read(path) for path in workspace.receipts())
        self._receipts = [receipt for receipt in found if receipt]
        self._makers = {name: receipt for receipt in self._receipts for name in receipt.outputs}

    def back_from(self, name: str) -> dict[str, File]:
        trail: dict[str, File] = {}
        ahead: list[tuple[str, FileStamp | None]] = [(name, None)]
        while ahead:
            name, as_read = ahead.pop(0)
            if name not in trail:
                trail[name], sources = self._file(name, as_read)
                ahead += sources.items()
        return trail

    def _file(self, name: str, as_read: FileStamp | None) -> tuple[File, Mapping[str, FileStamp]]:
        path = self._workspace.root / name
        receipt = self._makers.get(name)
        if receipt is None:
            return self._without_receipt(name, path, as_read)
        known = as_read or receipt.outputs[name]
        sources = {source: mark for source, mark in receipt.inputs.items() if mark.sha256}
        file = File(
            name,
            _status(path, known),
            known.sha256,
            _holds(path),
            "sumlctl " + " ".join(receipt.command),
            _made(receipt),
            receipt.settings,
            tuple(sources),
            "" if sources else "the step has no input",
        )
        return file, sources

    def _without_receipt(
        self, name: str, path: Path, as_read: FileStamp | None
    ) -> tuple[File, Mapping[str, FileStamp]]:
        made = provenance.of(path)
        known = as_read or file_stamp(path)
        sources = {self._named(source): FileStamp(sha256) for source, sha256 in made.inputs.items()}
        if sources:
            end = ""
        elif any(name in receipt.inputs for receipt in self._receipts):
            end = "given"
        else:
            end = "no receipt names it: it was made by hand, or by another program"
        status = _status(path, known) if as_read else (AS_MADE if sources else UNKNOWN)
        file = File(
            name,
            status,
            known.sha256,
            _holds(path),
            made={"sumlctl": made.version} if made.version else {},
            settings=made.config,
            sources=tuple(sources),
            end=end,
        )
        return file, sources

    def _named(self, source: str) -> str:
        """An input as a table names it, by the name that receipts have for it."""
        path = self._workspace.root / source
        return self._workspace.relative_or_absolute(path) if path.exists() else source


def _status(path: Path, known: FileStamp) -> str:
    now = file_stamp(path, known if known.mtime_ns else None)
    if not now.sha256:
        return GONE
    return AS_MADE if now.sha256 == known.sha256 else CHANGED


def _made(receipt: ProvenanceRecord) -> dict[str, str]:
    return {"sumlctl": receipt.version, **receipt.packages, "finished": receipt.finished}


def _holds(path: Path) -> str:
    """How many rows a table or an annotation file has, how many files a folder."""
    if path.is_dir():
        return f"{file_stamp(path).size:,} files"
    if not path.is_file():
        return ""
    if path.suffix == ".parquet":
        return _rows(path)
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            try:
                return f"{max(sum(1 for _ in csv.reader(file)) - 1, 0):,} rows"
            except csv.Error:
                return ""
    return ""


def _rows(path: Path) -> str:
    import polars as pl
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not provenance.of_table(path).version:
        return ""
    columns = ["split", "viewpoint"]
    try:
        total = f"{pq.read_metadata(path).num_rows:,} rows"
        if set(columns) - set(pq.read_schema(path).names):
            return total
        # By Arrow, which checks every value; a damaged file can end polars and its process.
        table = pq.read_table(path, columns=columns, partitioning=None)
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError):
        return "damaged"
    rows = {name: table.column(name) for name in columns}
    grouped = pl.DataFrame(rows).group_by(columns, maintain_order=True).len()
    return f"{total} ({', '.join(f'{s} {v} {n:,}' for s, v, n in grouped.iter_rows())})"
