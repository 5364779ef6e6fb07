"""Scoring of predictions by the challenges' protocols, on one core.

EPIC-KITCHENS-100's validation split in its full size: the clips of the published sample, each
twenty times, with random scores that lean to the right class. Beside it, the way the challenge's
own evaluation goes about it in NumPy: every table of scores sorted whole, and of each clip the
products of all verbs with the hundred best nouns.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.common import report, seconds, shared_data

CLIPS, SIZES = 9_668, {"verb": 97, "noun": 300}
_ONE_CORE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}


def main() -> None:
    # Libraries count their threads when they are imported, so a new process imports them.
    spawn = multiprocessing.get_context("spawn")
    with mock.patch.dict(os.environ, _ONE_CORE), ProcessPoolExecutor(1, spawn, _pin) as one:
        rows = one.submit(_epic).result() + one.submit(_charades).result()
    report("score", "scoring from a predictions table, one core", rows)


def _pin() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def _epic() -> list[dict[str, Any]]:
    import polars as pl

    from sumlctl import tables
    from sumlctl.evaluation import bootstrap, compare, confusion, submission
    from sumlctl.evaluation.protocols import ek100
    from sumlctl.evaluation.protocols.context import Context

    folder = shared_data() / "annotations" / "ek100"
    clips, target = _clips(folder)
    context = Context(clips, folder)
    logits, other = (_logits(target, seed) for seed in (0, 1))
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "predictions.parquet"
        first, second = (_predictions(clips, scores) for scores in (logits, other))
        tables.write(first.to_arrow(), path, "predictions", inputs={}, config={})

        def score() -> list[dict[str, Any]]:
            return ek100.score(pl.DataFrame(tables.read(path, "predictions")), context)

        ours = seconds(score, 5)
        found = {(r["task"], r["k"]): r["value"] for r in score() if r["subset"] == "all"}
        assert _as_the_challenge(logits, target) == {k: round(v, 9) for k, v in found.items()}
        theirs = seconds(lambda: _as_the_challenge(logits, target), 1)
        levels = {"sls_pt": 2, "sls_tl": 3, "sls_td": 3}
        zipped = Path(scratch) / "test.zip"
        written = seconds(lambda: submission.write(first, context, zipped, **levels), 1)
        checked = seconds(lambda: submission.validate(zipped), 1)
    measures = ek100.measures(first, context)
    drawn = seconds(lambda: bootstrap.intervals(measures, 1000))
    plain = 50 * seconds(lambda: _resampled(first, context, 20), 1)
    both = seconds(lambda: compare.compare(first, second, "ek100", context))
    gains = seconds(lambda: compare.class_gains(first, second, "ek100", context))
    pairs = seconds(lambda: confusion.confused(first, "noun", context))
    clips_told = f"{CLIPS:,} clips"
    return [
        _row(f"EK100, {clips_told}: sorted as the challenge does", theirs),
        _row("the same and unseen, tail, read from Parquet, checked", ours, theirs),
        _row("1,000 samples of videos, each scored anew (20 measured)", plain),
        _row("1,000 samples of videos, 95 % intervals of 12 numbers", drawn, plain),
        _row("comparison of two runs, 10,000 samples", both),
        _row("gain of each of 397 classes", gains),
        _row("most confused nouns", pairs),
        _row(f"submission of {clips_told}", written),
        _row("check of that submission", checked),
    ]


def _charades() -> list[dict[str, Any]]:
    import polars as pl
    from sklearn.metrics import average_precision_score

    from sumlctl.evaluation import bootstrap
    from sumlctl.evaluation.protocols import charades_ego
    from sumlctl.evaluation.protocols.context import Context

    folder = shared_data() / "annotations" / "charades-ego"
    frame = pl.read_csv(folder / "CharadesEgo_v0_egocentric_test.csv", infer_schema=False)
    instances = frame.select("id", pl.col("actions").str.split(";")).explode("actions")
    actions = pl.concat_list(instances["actions"].str.slice(1, 3).cast(pl.Int32))
    ids = pl.int_range(instances.height, eager=True).cast(pl.String)
    clips = pl.DataFrame({"clip_id": ids, "video_id": instances["id"]}).with_columns(
        actions=actions
    )
    scores = np.random.default_rng(0).random((clips.height, 157), dtype=np.float32)
    table = clips.select("clip_id", task=pl.lit("action"), scores=_lists(scores), target="actions")
    context = Context(clips)

    def definition() -> float:
        videos = clips["video_id"].to_numpy()
        known = frame["id"].to_list()
        best = np.stack([scores[videos == v].max(axis=0) for v in known])
        labels = np.zeros(best.shape, dtype=int)
        for video, classes in clips.select("video_id", "actions").iter_rows():
            labels[known.index(video), classes] = 1
        present = np.flatnonzero(labels.any(axis=0))
        return float(np.mean([average_precision_score(labels[:, c], best[:, c]) for c in present]))

    (row,) = charades_ego.score(table, context)
    assert abs(row["value"] - definition()) < 1e-9
    theirs = seconds(definition)
    ours = seconds(lambda: charades_ego.score(table, context))
    measures = charades_ego.measures(table, context)
    drawn = seconds(lambda: bootstrap.intervals(measures, 1000))
    return [
        _row(f"Charades-Ego, {len(frame)} videos: scikit-learn, class by class", theirs),
        _row("the same", ours, theirs),
        _row("1,000 samples of videos, 95 % interval", drawn),
    ]


def _row(what: str, taken: float, beside: float | None = None) -> dict[str, Any]:
    return {"what": what, "seconds": taken, "times faster": beside / taken if beside else None}


def _clips(folder: Path) -> tuple[Any, dict[str, np.ndarray]]:
    import polars as pl

    published = pl.read_csv(folder / "EPIC_100_validation.csv")
    rows = published[np.arange(CLIPS) % published.height]
    target = {task: rows[f"{task}_class"].to_numpy() for task in SIZES}
    clips = rows.select(
        clip_id="ek100/" + pl.int_range(CLIPS).cast(pl.String),
        video_id="video_id",
        participant="participant_id",
        verbs=pl.concat_list(pl.col("verb_class").cast(pl.Int32)),
        nouns=pl.concat_list(pl.col("noun_class").cast(pl.Int32)),
    )
    return clips, target


def _logits(target: dict[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    logits = {task: random.normal(size=(CLIPS, size)) for task, size in SIZES.items()}
    for task, scores in logits.items():
        scores[np.arange(CLIPS), target[task]] += 2.5
    return logits


def _predictions(clips: Any, logits: dict[str, np.ndarray]) -> Any:
    import polars as pl

    return pl.concat(
        clips.select(
            "clip_id",
            task=pl.lit(task),
            scores=_lists(_softmax(scores).astype(np.float32)),
            target=f"{task}s",
            n_views=pl.lit(30, pl.Int16),
        )
        for task, scores in logits.items()
    )


def _lists(scores: np.ndarray) -> Any:
    import polars as pl

    return pl.Series("scores", scores).arr.to_list()


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _as_the_challenge(
    logits: dict[str, np.ndarray], target: dict[str, np.ndarray]
) -> dict[tuple[str, int], float]:
    """Top-1 and top-5 by sorting every table of scores whole."""
    order = {task: np.argsort(scores, axis=1)[:, ::-1] for task, scores in logits.items()}
    best = {task: [ids[:, :5] == target[task][:, None]] for task, ids in order.items()}
    best["action"] = []
    for start in range(0, CLIPS, 100):
        rows = slice(start, start + 100)
        ids = {task: places[rows, :100] for task, places in order.items()}
        chances = {
            task: _softmax(np.take_along_axis(logits[task][rows], ids[task], axis=1))
            for task in SIZES
        }
        products = chances["verb"][:, :, None] * chances["noun"][:, None, :]
        ranked = products.reshape(len(products), -1).argsort(axis=1)[:, ::-1][:, :5]
        verb, noun = np.unravel_index(ranked, products.shape[1:])
        right = np.take_along_axis(ids["verb"], verb, axis=1) == target["verb"][rows, None]
        right &= np.take_along_axis(ids["noun"], noun, axis=1) == target["noun"][rows, None]
        best["action"].append(right)
    hits = {task: np.concatenate(parts) for task, parts in best.items()}
    return {
        (task, k): round(float(found[:, :k].any(axis=1).mean()), 9)
        for task, found in hits.items()
        for k in (1, 5)
    }


def _resampled(predictions: Any, context: Any, samples: int) -> None:
    """Scores the clips of videos drawn with replacement, each copy as a clip of its own."""
    from dataclasses import replace

    import polars as pl

    from sumlctl.evaluation.protocols import ek100

    videos = context.clips["video_id"].unique().sort()
    random = np.random.default_rng(0)
    for _ in range(samples):
        drawn = videos[random.integers(0, len(videos), len(videos))]
        copies = pl.DataFrame({"video_id": drawn}).with_row_index("copy")
        joined = copies.join(context.clips, on="video_id").with_columns(
            own=pl.col("clip_id") + "#" + pl.col("copy").cast(pl.String)
        )
        table = joined.select("clip_id", "own").join(predictions, on="clip_id")
        clips = joined.with_columns(clip_id="own")
        ek100.score(table.with_columns(clip_id="own"), replace(context, clips=clips))
