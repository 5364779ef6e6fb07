"""Eight first- and eight third-person videos, each of one colour, with pairs that match them.

A larger world has more videos of the same colours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa

from sumlctl import tables
from sumlctl.workspace import Workspace
from tests.builders import write_clips, write_vectors

COLOURS = [(r, g, b) for r in (30, 220) for g in (30, 220) for b in (30, 220)]
NAMES = [f"colour {i}" for i in range(len(COLOURS))]
VOCABULARY = {"verbs": [["dark"], ["bright"]], "nouns": [[name] for name in NAMES]}
FPS, SECONDS = 8, 1.0
PIPELINE = """
precision = "32-true"
workers = 0
cache_mb = 64
log = { every = 2 }
checkpoints = { validate_every = 0 }
input = { frames = 4, stride = 1, short_side = [32, 36], crop = 32 }
head = { dropout = 0.0 }
backbone = { name = "tiny", width = 8 }
stage_one = { epochs = 2, batch_size = 8, learning_rate = 0.05 }
stage_two = { epochs = 2, batch_size = 8, learning_rate = 0.05 }
optimiser = { schedule = "constant", weight_decay = 0.0 }
evaluation = { temporal_views = 2, spatial_views = 3 }
data = { fpv = "ego", tpv = ["exo"], eval_split = "train", encoder = "test" }
"""


def write_video(path: Path, colour: tuple[int, int, int], width: int = 64) -> None:
    """One second of one colour, 48 pixels high."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.full((48, width, 3), colour, dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = width, 48, "yuv420p"
        for _ in range(int(FPS * SECONDS)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())


def write_videos_table(
    workspace: Workspace, dataset: str, root: Path, n: int = len(COLOURS), **columns: Any
) -> None:
    """The videos table of `v0.mp4`, `v1.mp4`, ...; `columns` replace what a probe would say."""
    values: dict[str, Any] = {
        "dataset": [dataset] * n,
        "video_id": [f"v{i}" for i in range(n)],
        "path": [f"v{i}.mp4" for i in range(n)],
        "status": ["ok"] * n,
        "fps": [float(FPS)] * n,
        "duration_s": [SECONDS] * n,
    } | columns
    schema = tables.schema("videos")
    table = pa.table({f.name: pa.array(values.get(f.name, [None] * n), f.type) for f in schema})
    path, extra = workspace.table(dataset, "videos"), {"videos_root": str(root)}
    tables.write(table, path, "videos", inputs={}, config={}, extra=extra)


def write_pairs(
    workspace: Workspace, n: int = len(COLOURS), match: str = "text", **encoder: Any
) -> Path:
    """A pairs table: clip i of ego with clip i of exo, and a worse partner that is not used."""
    rows = [
        {
            "fpv_clip_id": f"ego/{i}",
            "tpv_clip_id": f"exo/{(i + rank) % n}",
            "rank": rank,
            "similarity": 1.0 - rank,
            "fpv_narration": NAMES[i % len(NAMES)],
            "tpv_narration": NAMES[(i + rank) % n % len(NAMES)],
            "tpv_dataset": "exo",
            "shared_verb": True,
            "shared_noun": True,
        }
        for i in range(n)
        for rank in (0, 1)
    ]
    made_by = {"name": "test", "weights_sha256": "0", "dimension": len(NAMES)} | encoder
    path = workspace.pairs("ego", ["exo"])
    table = pa.Table.from_pylist(rows, schema=tables.schema("pairs"))
    config = {"encoder": made_by, "split": "train", "match": match}
    tables.write(table, path, "pairs", inputs={}, config=config)
    return path


def build(workspace: Workspace, n: int = len(COLOURS)) -> None:
    """All videos and tables of the small world, and `pipelines/small.toml`."""
    colours = [i % len(COLOURS) for i in range(n)]
    for dataset, viewpoint, width in (("ego", "fpv", 64), ("exo", "tpv", 80)):
        root = workspace.data(dataset, "videos")
        for i, colour in enumerate(colours):
            write_video(root / f"v{i}.mp4", COLOURS[colour], width + 16 * (i % 2))
        write_videos_table(workspace, dataset, root, n)
        write_clips(
            workspace,
            dataset,
            [NAMES[colour] for colour in colours],
            vocabulary=VOCABULARY,
            viewpoint=[viewpoint] * n,
            video_id=[f"v{i}" for i in range(n)],
            start_s=[0.0] * n,
            stop_s=[SECONDS] * n,
            verbs=[[colour // 4] for colour in colours],
            nouns=[[colour] for colour in colours],
            status=["ok"] * n,
        )
        vectors = np.eye(len(NAMES)).tolist()
        write_vectors(workspace, dataset, dict(zip(NAMES, vectors, strict=True)))
    write_pairs(workspace, n)
    workspace.pipelines.mkdir(parents=True)
    (workspace.pipelines / "small.toml").write_text(PIPELINE, encoding="utf-8")
