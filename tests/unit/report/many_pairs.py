"""As many pairs as one likes, without videos."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from sumlctl import tables
from sumlctl.workspace import Workspace
from tests.builders import write_clips, write_vectors

DIMENSION = 64


def build(workspace: Workspace, n: int, pool: int = 500) -> None:
    """`n` first-person clips that all say something else, each paired with one of a pool."""
    rng = np.random.default_rng(0)
    said = [f"say number {i}" for i in range(n)]
    told = [f"answer {i}" for i in range(pool)]
    write_clips(workspace, "ego", said)
    write_clips(workspace, "exo", told, viewpoint=["tpv"] * pool)
    for name, texts in (("ego", said), ("exo", told)):
        vectors = rng.standard_normal((len(texts), DIMENSION))
        write_vectors(workspace, name, dict(zip(texts, vectors.tolist(), strict=True)))
    chosen = rng.integers(0, pool, n).tolist()
    columns = {
        "fpv_clip_id": [f"ego/{i}" for i in range(n)],
        "tpv_clip_id": [f"exo/{i}" for i in chosen],
        "rank": [0] * n,
        "similarity": rng.random(n).tolist(),
        "fpv_narration": said,
        "tpv_narration": [told[i] for i in chosen],
        "tpv_dataset": ["exo"] * n,
        "shared_verb": rng.integers(0, 2, n).astype(bool).tolist(),
        "shared_noun": rng.integers(0, 2, n).astype(bool).tolist(),
    }
    made = {
        "fpv": "ego",
        "tpv": ["exo"],
        "split": "train",
        "clips_mined": n,
        "encoder": {"name": "test", "weights_sha256": "0", "dimension": DIMENSION},
    }
    table = pa.table(columns, schema=tables.schema("pairs"))
    path = workspace.pairs("ego", ["exo"])
    tables.write(table, path, "pairs", inputs={}, config=made)
