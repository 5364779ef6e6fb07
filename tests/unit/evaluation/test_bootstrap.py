"""Bootstrap over videos against plain resampling of the tables themselves."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from sumlctl.errors import SumlError
from sumlctl.evaluation import bootstrap
from sumlctl.evaluation.protocols import charades_ego, multi_label, top_k
from sumlctl.evaluation.protocols.context import Context
from sumlctl.evaluation.protocols.measures import Measure, class_means
from sumlctl.evaluation.protocols.scored import read
from tests.unit.evaluation import scoring


def world(seed: int = 0, rows: int = 40, videos: int = 6, labels: int = 1):
    random = np.random.default_rng(seed)
    video = np.sort(random.integers(0, videos, rows))
    target = [random.choice(4, labels, replace=False).tolist() for _ in range(rows)]
    scores = scoring.tied(random, rows, 4, 8)
    task = "verb" if labels == 1 else "action"
    clips = scoring.clips(video, **{f"{task}s": target})
    return scoring.predictions(task, scores, target), clips


def resampled(table: pl.DataFrame, clips: pl.DataFrame, times: dict[str, int]):
    """The tables with every video as often as drawn, each copy under its own name."""
    parts, split = [], []
    for video, count in times.items():
        for copy in range(count):
            own = clips.filter(pl.col("video_id") == video)
            renamed = pl.col("clip_id") + f"#{copy}"
            parts.append(table.join(own.select("clip_id"), on="clip_id").with_columns(renamed))
            split.append(own.with_columns(renamed, pl.col("video_id") + f"#{copy}"))
    return pl.concat(parts), pl.concat(split)


@pytest.mark.parametrize(("protocol", "labels"), [(top_k, 1), (multi_label, 2), (charades_ego, 2)])
def test_weights_of_videos_are_copies_of_their_clips(protocol, labels):
    table, clips = world(labels=labels)
    names = clips["video_id"].unique().sort().to_list()
    random = np.random.default_rng(1)
    for _ in range(5):
        weights = random.multinomial(len(names), [1 / len(names)] * len(names))
        drawn, split = resampled(table, clips, dict(zip(names, weights.tolist(), strict=True)))
        expected = [row["value"] for row in protocol.score(drawn, Context(split))]
        measures = protocol.measures(table, Context(clips))
        found = [m.statistic(weights[None].astype(float))[0] for m in measures]
        assert found == pytest.approx(expected, rel=0, abs=1e-9)


def test_class_means_of_copies():
    table, clips = world(3)
    names = clips["video_id"].unique().sort().to_list()
    weights = [0, 3, 1, 0, 2, 0]
    drawn, split = resampled(table, clips, dict(zip(names, weights, strict=True)))

    def means(predictions, context):
        (scored,) = read(predictions, context).values()
        return class_means(scored, scored.scores.argmax(axis=1), scored.target, [0, 1, 3], "few")

    found = [m.statistic(np.array([weights], float))[0] for m in means(table, Context(clips))]
    assert found == pytest.approx([m.value for m in means(drawn, Context(split))])


def test_intervals_are_percentiles_of_resampled_numbers():
    table, clips = world(rows=60, videos=8)
    measures = top_k.measures(table, Context(clips))
    rows = bootstrap.intervals(measures, resamples=4000, seed=0)
    assert [(r["metric"], r["k"]) for r in rows] == [
        ("accuracy_ci_low", 1),
        ("accuracy_ci_high", 1),
        ("accuracy_ci_low", 5),
        ("accuracy_ci_high", 5),
    ]
    assert all(r["n_clips"] == 60 and r["subset"] == "all" for r in rows)
    # Another generator and plain means over drawn videos.
    scores, target = np.array(table["scores"].to_list()), table["target"].list.first().to_list()
    right = np.array(
        [scoring.rank(row, row[t]) == 1 for row, t in zip(scores, target, strict=True)]
    )
    by_video = [right[(clips["video_id"] == str(v)).to_numpy()] for v in range(8)]
    random = np.random.default_rng(99)
    values = [
        np.concatenate([by_video[v] for v in random.integers(0, 8, 8)]).mean() for _ in range(4000)
    ]
    low, high = np.percentile(values, [2.5, 97.5])
    assert rows[0]["value"] == pytest.approx(low, abs=0.02)
    assert rows[1]["value"] == pytest.approx(high, abs=0.02)
    assert rows[0]["value"] < measures[0].value < rows[1]["value"]


def test_the_seed_decides_and_blocks_do_not_matter(monkeypatch):
    table, clips = world()
    measures = top_k.measures(table, Context(clips))
    first = bootstrap.replicates(measures, 50, seed=3)
    assert first.shape == (2, 50)
    monkeypatch.setattr(bootstrap, "_BLOCK", 40)
    np.testing.assert_array_equal(bootstrap.replicates(measures, 50, seed=3), first)
    assert (bootstrap.replicates(measures, 50, seed=4) != first).any()


def test_samples_without_a_clip_do_not_count():
    # The subset has clips in one of two videos: a quarter of the samples has none.
    def only_first(weights):
        return np.where(weights[:, 0] > 0, 0.25, np.nan)

    measure = Measure("verb", "unseen", "accuracy", 1, 1, 2, only_first)
    assert np.isnan(bootstrap.replicates([measure], 400, 0)).mean() == pytest.approx(1 / 4, abs=0.1)
    rows = bootstrap.intervals([measure], 400)
    assert [row["value"] for row in rows] == [0.25, 0.25]
    never = Measure("verb", "unseen", "accuracy", 1, 0, 2, lambda w: np.full(len(w), np.nan))
    assert all(math.isnan(row["value"]) for row in bootstrap.intervals([never], 10))


def test_one_video_is_nothing_to_draw_from():
    table, clips = world(videos=1)
    with pytest.raises(SumlError, match="nothing to draw from, got 1 video"):
        bootstrap.intervals(top_k.measures(table, Context(clips)))


def share(hits: list[int]) -> Measure:
    """Accuracy where every video has one clip."""
    right = np.array(hits, float)

    def statistic(weights):
        return weights @ right / weights.sum(axis=1)

    return Measure("verb", "all", "accuracy", 1, len(hits), len(hits), statistic)


def test_p_values():
    half = share([1, 0] * 20)
    (same,) = bootstrap.paired([half], [half], 500)
    assert (same.p_value, same.low, same.high) == (1.0, 0.0, 0.0)
    (much,) = bootstrap.paired([half], [share([1] * 40)], 999)
    assert much.p_value == pytest.approx(1 / 1000)
    assert (much.first, much.second) == (0.5, 1.0)
    assert much.low < 0.5 < much.high
    # One clip of forty: about as likely as not to be drawn once or more beyond its turn.
    (little,) = bootstrap.paired([half], [share([1, 1] + [1, 0] * 19)], 4000)
    # Counts are about Poisson(1): |n - 1| >= 1 unless n = 1.
    assert little.p_value == pytest.approx(1 - math.exp(-1), abs=0.04)


def test_p_values_do_not_prefer_a_run():
    random = np.random.default_rng(0)
    one, other = (share(random.integers(0, 2, 30).tolist()) for _ in range(2))
    (there,), (back,) = (
        bootstrap.paired([a], [b], 2000, seed=1) for a, b in ((one, other), (other, one))
    )
    assert there.p_value == back.p_value
    assert there.low == pytest.approx(-back.high)


def test_p_values_of_equal_runs_are_spread_evenly():
    random = np.random.default_rng(5)
    values = []
    for _ in range(200):
        one, other = (share(random.integers(0, 2, 60).tolist()) for _ in range(2))
        values.append(bootstrap.paired([one], [other], 200)[0].p_value)
    assert np.mean(np.array(values) <= 0.05) < 0.12
    assert np.mean(values) == pytest.approx(0.5, abs=0.1)


def test_protocols_by_name():
    table, clips = world()
    found = bootstrap.measures("top-k", table, Context(clips))
    assert [m.row() for m in found] == top_k.score(table, Context(clips))
    with pytest.raises(SumlError, match=r"no such protocol, got 'topp'.*top_k"):
        bootstrap.measures("topp", table)
