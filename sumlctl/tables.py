"""Arrow schemas of every manifest, whole-or-absent writes with provenance, and checked reads."""

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
from sumlctl.soundness import Judge

if TYPE_CHECKING:
    import pyarrow as pa

# Which command makes a table, for the error that says it is not there.
_MAKERS = {
    "videos": "sumlctl index",
    "clips": "sumlctl index",
    "segments": "sumlctl decode",
    "narrations": "sumlctl embed",
    "pairs": "sumlctl mine-pairs",
    "predictions": "sumlctl eval",
    "metrics": "sumlctl eval",
    "results": "sumlctl run",
}

# Statuses of clips that have frames.
DECODABLE = ("ok", "truncated")

_BATCH = 2**15  # rows

# What every row of metrics says.
_MEASURE = {
    "protocol": "string",
    "task": "string",
    "subset": "string",
    "metric": "string",
    "k": "int16",
    "value": "double",
}
_COLUMNS: dict[str, dict[str, str]] = {
    "videos": {
        "dataset": "string",
        "video_id": "string",
        "path": "string",
        "status": "string",
        "error": "string",
        "container": "string",
        "codec": "string",
        "width": "int32",
        "height": "int32",
        "rotation": "int16",
        "fps": "double",
        "n_frames": "int64",
        "duration_s": "double",
        "size_bytes": "int64",
        "mtime_ns": "int64",
    },
    "clips": {
        "clip_id": "string",
        "dataset": "string",
        "viewpoint": "string",
        "split": "string",
        "video_id": "string",
        "participant": "string",
        "start_s": "double",
        "stop_s": "double",
        "narration": "string",
        "verbs": "list<int32>",
        "nouns": "list<int32>",
        "actions": "list<int32>",
        "status": "string",
    },
    # A file of the store. `start_s` to `stop_s` is what can be asked of it; its frames have
    # timestamps from `first_tick` to `last_tick`, counted from the video's first frame in ticks of
    # `tick_num` / `tick_den` seconds. `video_size_bytes` and `video_mtime_ns` are of the video that
    # it was made from.
    "segments": {
        "video_id": "string",
        "file": "string",
        "start_s": "double",
        "stop_s": "double",
        "first_tick": "int64",
        "last_tick": "int64",
        "tick_num": "int64",
        "tick_den": "int64",
        "n_frames": "int64",
        "width": "int32",
        "height": "int32",
        "size_bytes": "int64",
        "psnr_db": "double",
        "settings": "string",
        "video_size_bytes": "int64",
        "video_mtime_ns": "int64",
    },
    "narrations": {"text": "string", "vector": "vector"},
    "pairs": {
        "fpv_clip_id": "string",
        "tpv_clip_id": "string",
        "rank": "int16",
        "similarity": "float",
        "fpv_narration": "string",
        "tpv_narration": "string",
        "tpv_dataset": "string",
        "shared_verb": "bool",
        "shared_noun": "bool",
    },
    "predictions": {
        "clip_id": "string",
        "task": "string",
        "scores": "list<float>",
        "target": "list<int32>",
        "n_views": "int16",
    },
    "metrics": {
        **_MEASURE,
        "n_clips": "int64",
        "n_views": "int16",
    },
    # One row per run of a sweep and number: the metrics of all of them, beside the paper's.
    "results": {
        "cell": "string",
        "group": "string",
        "run": "string",
        "seed": "int64",
        "settings": "string",
        **_MEASURE,
        "paper": "double",
        "n_clips": "int64",
        "n_views": "int16",
    },
}


def schema(kind: str, dimension: int | None = None) -> pa.Schema:
    """The Arrow schema of a table; `narrations` needs the vectors' dimension."""
    import pyarrow as pa

    types = {
        "vector": pa.list_(pa.float32(), dimension or -1),
        "list<int32>": pa.list_(pa.int32()),
        "list<float>": pa.list_(pa.float32()),
    }
    columns = _COLUMNS[kind].items()
    return pa.schema([(n, types.get(t) or pa.type_for_alias(t)) for n, t in columns])


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

    Raises:
        SumlError: the file system refused; a WriteError where it would refuse any file (disk
            full, read-only, no permission).
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
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
        check(path, kind, pq.read_schema(path))
        table = pq.read_table(
            path,
            columns=list(columns) if columns else None,
            partitioning=None,
            page_checksum_verification=True,
        )
        table.validate(full=True)
        # Without what a file says of single columns, at which polars may end its process.
        plain = pa.schema([(f.name, f.type) for f in table.schema], table.schema.metadata)
        table = pa.Table.from_arrays(table.columns, schema=plain)
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
            fix=f"Delete it and make it again with `{_MAKERS[kind]}`.",
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
        fix=f"Make it with `{_MAKERS[kind]}`.",
    )


def check(path: Path, kind: str, found: pa.Schema) -> None:
    """Raises a SumlError unless `found` is the schema of a table of this kind and version."""
    vector = found.field("vector").type if found.names.count("vector") == 1 else None
    _judge(path, kind).schema(found, schema(kind, getattr(vector, "list_size", 1)))


def _judge(path: Path, kind: str) -> Judge:
    return Judge(path, kind, f"Delete it and make it again with `{_MAKERS[kind]}`.")


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
