"""Charades-Ego's two protocols against scikit-learn, video by video."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from sumlctl.errors import SumlError
from sumlctl.evaluation.protocols import charades_ego, charades_ego_nan, multi_label
from sumlctl.evaluation.protocols.context import Context
from tests.unit.evaluation import scoring

CLASSES = 4


def world(seed: int, levels: int, share: float):
    """Clips of up to five videos, some without any label."""
    random = np.random.default_rng(seed)
    rows = int(random.integers(1, 16))
    scores = scoring.tied(random, rows, CLASSES, levels)
    video = random.integers(0, 5, rows)
    labelled = random.random(5) < 0.7
    labels = [
        np.flatnonzero(random.random(CLASSES) < share).tolist() if labelled[v] else []
        for v in video
    ]
    if not any(labels):
        labels[0] = [0]
    table = scoring.predictions("action", scores, labels)
    return table, scoring.clips(video, actions=labels), scores, labels, video


def whole_videos(scores, labels, video):
    """Largest scores and all labels of each video, clip by clip."""
    best: dict[int, list[float]] = {}
    seen: dict[int, set[int]] = {}
    for row, classes, v in zip(scores.tolist(), labels, video.tolist(), strict=True):
        best[v] = [max(pair) for pair in zip(best.get(v, row), row, strict=True)]
        seen.setdefault(v, set()).update(classes)
    return {v: (np.array(best[v]), [int(c in seen[v]) for c in range(CLASSES)]) for v in best}


def mean_ap(videos) -> float:
    scores = np.array([s for s, _ in videos])
    targets = np.array([t for _, t in videos])
    present = [c for c in range(CLASSES) if targets[:, c].any()]
    each = [average_precision_score(targets[:, c], scores[:, c]) for c in present]
    return float(np.mean(each))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 2, 3, 60]), st.sampled_from([0.1, 0.4, 1.0]))
def test_both_protocols_by_their_definition(seed, levels, share):
    table, clips, scores, labels, video = world(seed, levels, share)
    joined = whole_videos(scores, labels, video)
    context = Context(clips)
    (row,) = charades_ego.score(table, context)
    assert row["value"] == pytest.approx(mean_ap(joined.values()), rel=0, abs=1e-9)
    assert (row["metric"], row["subset"], row["k"]) == ("mAP", "all", None)
    assert row["n_clips"] == len(labels)
    # Behind everything else, a video without label spoils nobody's precision.
    last = [(s if any(t) else s * 0 - 1, t) for s, t in joined.values()]
    (row,) = charades_ego_nan.score(table, context)
    assert row["value"] == pytest.approx(mean_ap(last), rel=0, abs=1e-9)


def test_where_the_protocols_part():
    # Videos a, b, c; the best of class 0 is b, which nobody labelled.
    scores = [[0.1, 0.1], [0.6, 0.5], [0.9, 0.2], [0.3, 0.7]]
    labels = [[0], [], [], [1]]
    table = scoring.predictions("action", scores, labels)
    context = Context(scoring.clips("aabc", actions=labels))
    # Class 0: a is second of b, a, c. Class 1: c is first.
    assert charades_ego.score(table, context)[0]["value"] == pytest.approx((1 / 2 + 1) / 2)
    assert charades_ego_nan.score(table, context)[0]["value"] == pytest.approx(1.0)
    # Clips for themselves: class 0 hits at rank 4 of 4, class 1 at rank 1.
    assert multi_label.score(table, context)[0]["value"] == pytest.approx((1 / 4 + 1) / 2)


def test_labels_of_clips_without_prediction_count_for_their_video():
    labels = [[0], [1], [0]]
    table = scoring.predictions("action", [[0.9, 0.8], [0.1, 0.2], [0.3, 0.4]], labels)
    clips = scoring.clips("aab", actions=labels)
    context = Context(clips, allow_missing=True)
    kept = table.filter(pl.col("clip_id") != "d/1")
    found = charades_ego.per_class(kept, context)
    assert [(r["class"], r["positives"], r["value"]) for r in found] == [(0, 2, 1.0), (1, 1, 1.0)]
    assert charades_ego_nan.per_class(kept, context) == found


@pytest.mark.parametrize("protocol", [charades_ego, charades_ego_nan])
def test_videos_must_be_known(protocol):
    table = scoring.predictions("action", [[0.9]], [[0]])
    name = protocol.__name__.rpartition(".")[2]
    with pytest.raises(SumlError, match=f"protocol {name} needs the clips table"):
        protocol.score(table)


def test_the_plain_mean_of_the_older_protocol_is_nan_on_the_published_test_videos(shared_data):
    path = shared_data / "annotations" / "charades-ego" / "CharadesEgo_v0_egocentric_test.csv"
    frame = pl.read_csv(path, infer_schema=False)
    labels = [
        sorted({int(action[1:4]) for action in actions.split(";")})
        for actions in frame["actions"].to_list()
    ]
    random = np.random.default_rng(0)
    scores = random.random((len(labels), 157))
    table = scoring.predictions("action", scores, labels)
    clips = scoring.clips(frame["id"].to_list(), actions=labels)
    occurring = {c for classes in labels for c in classes}
    assert (len(labels), len(occurring)) == (103, 154)
    found = charades_ego_nan.score(table, Context(clips))
    assert not math.isnan(found[0]["value"])
    # Every video has a label, so the protocols agree.
    assert charades_ego.score(table, Context(clips)) == found
