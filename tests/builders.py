"""Small tables for tests, built by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from sumlctl import tables
from sumlctl.workspace import Workspace


def write_clips(
    workspace: Workspace,
    dataset: str,
    narrations: Sequence[str],
    *,
    vocabulary: dict[str, list[list[str]]] | None = None,
    scene: str | None = None,
    **columns: Sequence[Any],
) -> Path:
    """Writes a clips table of first-person training clips; `columns` replace the defaults."""
    n = len(narrations)
    defaults: dict[str, Sequence[Any]] = {
        "clip_id": [f"{dataset}/{i}" for i in range(n)],
        "dataset": [dataset] * n,
        "viewpoint": ["fpv"] * n,
        "split": ["train"] * n,
        "video_id": ["v"] * n,
        "participant": [""] * n,
        "start_s": [float(i) for i in range(n)],
        "stop_s": [i + 1.0 for i in range(n)],
        "narration": list(narrations),
        "verbs": [[]] * n,
        "nouns": [[]] * n,
        "actions": [[]] * n,
        "status": ["no_video"] * n,
    }
    table = pa.table(defaults | columns, schema=tables.schema("clips"))
    path = workspace.table(dataset, "clips")
    extra = {"vocabulary": vocabulary or {}, "scene": scene}
    tables.write(table, path, "clips", inputs={}, config={}, extra=extra)
    return path


def write_vectors(
    workspace: Workspace, dataset: str, vectors: dict[str, Sequence[float]], **encoder: Any
) -> Path:
    """Writes a narrations table of an encoder named `test` from vectors by text."""
    matrix = np.array(list(vectors.values()), np.float64)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    dimension = matrix.shape[1]
    flat = pa.array(matrix.astype(np.float32).reshape(-1))
    columns = {
        "text": list(vectors),
        "vector": pa.FixedSizeListArray.from_arrays(flat, dimension),
    }
    made_by = {"name": "test", "weights_sha256": "0", "dimension": dimension} | encoder
    path = workspace.narrations(dataset, made_by["name"])
    extra = {"encoder": made_by}
    tables.write(pa.table(columns), path, "narrations", inputs={}, config={}, extra=extra)
    return path


def vectors_of(path: Path) -> dict[str, np.ndarray]:
    """Vectors by text of a narrations table."""
    table = tables.read(path, "narrations")
    return dict(zip(table.column("text").to_pylist(), tables.vectors(table), strict=True))


def segment_row(**changes: Any) -> dict[str, Any]:
    """A row of a store's table: a file of three bytes with a second of `v0`."""
    row = {
        "video_id": "v0",
        "file": "v0.00000000.mp4",
        "start_s": 0.0,
        "stop_s": 1.0,
        "first_tick": 0,
        "last_tick": 9,
        "tick_num": 1,
        "tick_den": 10,
        "n_frames": 10,
        "width": 64,
        "height": 48,
        "size_bytes": 3,
        "psnr_db": 40.0,
        "settings": "x",
        "video_size_bytes": 1,
        "video_mtime_ns": 2,
    }
    return row | changes
