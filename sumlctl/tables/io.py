"""Manifests: whole-or-absent writes with provenance, and checked reads; `schemas` has columns."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sumlctl import __version__
from sumlctl.errors import SumlError, from_os_error
from sumlctl.tables.schemas import ADDED, MAKERS, schema
from sumlctl.tables.temporary import remove_stale, temporary
from sumlctl.tables.validate import TableValidator

if TYPE_CHECKING:
    import pyarrow as pa

# Statuses of clips that have frames.
DECODABLE = ("ok", "truncated")

_BATCH = 2**15  # rows


def digest(path: Path) -> str:
    """sha256 of a file, in hexadecimal."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise from_os_error(error) from error


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yields a path beside `path` to write to; on success it becomes `path`, else it is removed.

    What a killed process left of an earlier write of `path` is removed as well.

    Raises:
        SumlError: the file system refused; a WriteError where it would refuse any file (disk
            full, read-only, no permission).
    """
    beside = temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_stale(path)
        yield beside
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        in_the_way = error.errno in (errno.EEXIST, errno.ENOTDIR)
        raise from_os_error(error, path.parent if in_the_way else path, writing=True) from error
    finally:
        with suppress(OSError):  # nothing to remove, or the file system refuses that too
            beside.unlink()


def write(
    table: pa.Table,
    path: Path,
    kind: str,
    *,
    inputs: Mapping[str, str],
    config: Mapping[str, Any],
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Writes a manifest with its provenance; the file is whole or absent.

    Args:
        table: rows with the columns of `kind`, in any column order.
        path: where to.
        kind: a key of the contract's tables, such as `clips`.
        inputs: path -> sha256 of every file that the rows came from.
        config: the settings that the rows depend on.
        extra: further metadata under `sumlctl.<key>`, kept as JSON.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    dimension = None
    if kind == "narrations":
        dimension = table.schema.field("vector").type.list_size
    fixed = schema(kind, dimension)
    values = {"inputs": dict(inputs), "config": dict(config), **(extra or {})}
    metadata = {f"sumlctl.{k}": json.dumps(v, sort_keys=True) for k, v in values.items()}
    metadata |= {"sumlctl.schema": f"{kind}/1", "sumlctl.version": __version__}
    rows = table.select(fixed.names).cast(fixed).replace_schema_metadata(metadata)
    with whole_file(path) as beside, pa.OSFile(str(beside), "wb") as sink:
        # A bit that flips in vectors or scores would else go unnoticed.
        pq.write_table(rows, sink, compression="zstd", write_page_checksum=True)


def read(path: Path, kind: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Reads a manifest after checking that it is one.

    Raises:
        SumlError: missing, truncated, not a table of this program, of another kind or version.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _readable(path, kind):
        found = pq.read_schema(path)
        check(path, kind, found)
        absent = set(ADDED.get(kind, ())) - set(found.names)
        table = pq.read_table(
            path,
            columns=[name for name in columns if name not in absent] if columns else None,
            partitioning=None,
            page_checksum_verification=True,
        )
        table.validate(full=True)
        # Without what a file says of single columns, at which polars may end its process.
        plain = pa.schema([(f.name, f.type) for f in table.schema], table.schema.metadata)
        table = pa.Table.from_arrays(table.columns, schema=plain)
        for field in schema(kind) if absent else ():
            if field.name in absent.intersection(columns or absent):
                table = table.append_column(field, pa.nulls(len(table), field.type))
        _judge(path, kind).keys(table)
    return table


def batches(path: Path, kind: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a manifest in turn, for one that is larger than memory.

    Raises:
        SumlError: as `read`, perhaps only after some batches.
    """
    import pyarrow.parquet as pq

    with (
        _readable(path, kind),
        pq.ParquetFile(path, page_checksum_verification=True) as file,
    ):
        check(path, kind, file.schema_arrow)
        for batch in file.iter_batches(_BATCH, columns=list(columns)):
            batch.validate(full=True)
            _judge(path, kind).keys(batch)
            yield batch


@contextmanager
def _readable(path: Path, kind: str) -> Iterator[None]:
    import pyarrow as pa

    there(path, kind)
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise SumlError(
            path,
            "not a whole Parquet file",
            got=[*str(error).splitlines(), type(error).__name__][0][:120],
            expected=f"a {kind} table",
            fix=f"Delete it and make it again with `{MAKERS[kind]}`.",
        ) from error


def there(path: Path, kind: str) -> Path:
    """The path of a manifest that is there.

    Raises:
        SumlError: it is missing.
    """
    if path.is_file():
        return path
    raise SumlError(
        path,
        "table is missing",
        got="no file",
        expected=f"a {kind} table",
        fix=f"Make it with `{MAKERS[kind]}`.",
    )


def check(path: Path, kind: str, found: pa.Schema) -> None:
    """Raises a SumlError unless `found` is the schema of a table of this kind and version."""
    vector = found.field("vector").type if found.names.count("vector") == 1 else None
    _judge(path, kind).schema(found, schema(kind, getattr(vector, "list_size", 1)))


def _judge(path: Path, kind: str) -> TableValidator:
    return TableValidator(path, kind, f"Delete it and make it again with `{MAKERS[kind]}`.")


def made_with(path: Path, kind: str, table: pa.Table, *needed: str) -> dict[str, Any]:
    """The settings that a table was made with.

    Args:
        path: of the table.
        kind: of the table.
        table: as `read` gave it.
        needed: settings that must be among them.

    Raises:
        SumlError: one is not.
    """
    config = metadata(table, "config") or {}
    for key in needed:
        if key not in config:
            raise _judge(path, kind).damaged("config", f"no {key}")
    return config


def metadata(table: pa.Table, key: str) -> Any:
    """The value kept under `sumlctl.<key>`, or None."""
    value = (table.schema.metadata or {}).get(f"sumlctl.{key}".encode())
    return json.loads(value) if value is not None else None


def vectors(table: pa.Table | pa.RecordBatch) -> Any:
    """The `vector` column of a narrations table, or of a batch of one, as float32 [n, d]."""
    import pyarrow as pa

    column = table.column("vector")
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return column.flatten().to_numpy(zero_copy_only=False).reshape(-1, column.type.list_size)
