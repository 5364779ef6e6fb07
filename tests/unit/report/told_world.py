"""The small world with two runs as if they had been trained and evaluated: what a page tells."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa

from sumlctl import config, tables
from sumlctl.config import parsing
from sumlctl.evaluation.evaluate import Request, evaluate
from sumlctl.workspace import Workspace
from tests.unit.learning import small_world

N = len(small_world.COLOURS)
# The predicted class of each clip; its own are 4 x dark, 4 x bright, and its number.
VERBS = {"mine": [0, 0, 0, 0, 1, 1, 1, 0], "other": [0, 0, 1, 1, 1, 1, 1, 1]}
NOUNS = {"mine": [0, 1, 2, 3, 4, 5, 6, 7], "other": [0, 1, 2, 3, 4, 5, 7, 6]}
METHODS = {"mine": "sum-l", "other": "fpv-only"}


def build(root: Path) -> Workspace:
    """Videos, tables and the runs `mine` (the newer) and `other` under `root`."""
    world = Workspace(root)
    small_world.build(world)
    write_pairs(world)
    for number, run in enumerate(("other", "mine")):
        write_run(world, run, number)
    return world


def write_pairs(world: Workspace, said: list[str] = small_world.NAMES) -> Path:
    """Clip i with clip i: similarity 0.9, 0.8, ...; every other verb and no noun is the same."""
    columns = {
        "fpv_clip_id": [f"ego/{i}" for i in range(N)],
        "tpv_clip_id": [f"exo/{i}" for i in range(N)],
        "rank": [0] * N,
        "similarity": [0.9 - 0.1 * i for i in range(N)],
        "fpv_narration": said,
        "tpv_narration": small_world.NAMES,
        "tpv_dataset": ["exo"] * N,
        "shared_verb": [i % 2 == 0 for i in range(N)],
        "shared_noun": [None if i == 0 else False for i in range(N)],
    }
    made = {
        "fpv": "ego",
        "tpv": ["exo"],
        "split": "train",
        "top_k": 1,
        "assign": "first",
        "match": "text",
        "clips_mined": N,
        "encoder": {"name": "test", "weights_sha256": "0", "dimension": N},
    }
    path = world.pairs("ego", ["exo"])
    inputs = digests(world, world.table("ego", "clips"), world.table("exo", "clips"))
    table = pa.table(columns, schema=tables.schema("pairs"))
    tables.write(table, path, "pairs", inputs=inputs, config=made)
    return path


def write_run(world: Workspace, run: str, number: int) -> None:
    folder = world.run(run)
    (folder / "checkpoints").mkdir(parents=True)
    chosen = config.load(world.pipelines / "small.toml", [f"loss.name={METHODS[run]}"])
    pipeline = folder / "pipeline.toml"
    pipeline.write_text(parsing.dump(chosen), encoding="utf-8")
    os.utime(pipeline, ns=(number, number))
    checkpoint = folder / "checkpoints" / "stage_two.pt"
    checkpoint.write_bytes(b"weights of " + run.encode())
    write_log(folder / "log.jsonl", digests(world, world.pairs("ego", ["exo"])))
    inputs = digests(world, world.table("ego", "clips"), checkpoint)
    tables.write(
        predictions(run),
        folder / "predictions.parquet",
        "predictions",
        inputs=inputs,
        config={"views": "2x3", "split": "train"},
    )
    evaluate(world, run, Request(scores_only=True))


def digests(world: Workspace, *paths: Path) -> dict[str, str]:
    return {world.relative(path): tables.digest(path) for path in paths}


def predictions(run: str) -> pa.Table:
    """Scores of 1 for the predicted class and 0 for the others."""
    rows = []
    for task, chosen, classes, targets in (
        ("verb", VERBS[run], 2, [i // 4 for i in range(N)]),
        ("noun", NOUNS[run], N, list(range(N))),
    ):
        rows += [
            {
                "clip_id": f"ego/{i}",
                "task": task,
                "scores": np.eye(classes, dtype=np.float32)[choice].tolist(),
                "target": [targets[i]],
                "n_views": 6,
            }
            for i, choice in enumerate(chosen)
        ]
    return pa.Table.from_pylist(rows, schema=tables.schema("predictions"))


def write_log(path: Path, inputs: dict[str, str]) -> None:
    """Two epochs of three batches in stage one, of two in stage two."""
    events: list[dict[str, object]] = [{"event": "begun", "inputs": inputs}]
    for stage, batches, names in (("stage_one", 3, ["l_t"]), ("stage_two", 2, ["l_f", "l_m"])):
        for epoch in (0, 1):
            terms = {name: 1.0 - epoch if name == "l_m" else 2.0 - epoch for name in names}
            place = {"stage": stage, "epoch": epoch, "step": batches - 1}
            figures = {"loss": sum(terms.values()), "learning_rate": 0.1}
            events.append({"event": "steps", **place, **figures, "terms": terms})
    validation = {"stage": "stage_two", "epoch": 2, "best": True, "verb": 0.5, "noun": 0.75}
    events.append({"event": "validation", **validation})
    path.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
