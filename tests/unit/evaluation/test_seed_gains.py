"""Gains over seeds and videos: by hand, and against plain resampling of the tables."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from sumlctl.errors import SumlError
from sumlctl.evaluation import seed_gains
from sumlctl.evaluation.protocols.context import Context
from tests.unit.evaluation import scoring

VIDEOS = 30
CLASSES = 3


def world(rows: int = 180):
    random = np.random.default_rng(7)
    target = [[int(t)] for t in random.integers(0, CLASSES, rows)]
    clips = scoring.clips(np.repeat(np.arange(VIDEOS), rows // VIDEOS), verbs=target)
    return target, clips


def predicted(target, accuracy: float, seed: int) -> pl.DataFrame:
    """Predictions of which about that share is right."""
    random = np.random.default_rng(seed)
    shown = [t if random.random() < accuracy else (t + 1) % CLASSES for (t,) in target]
    return scoring.predictions("verb", np.eye(CLASSES)[shown], target)


def top_1(found):
    (gain,) = [g for g in found if g.k == 1]
    return gain


def test_differences_are_paired_by_seed_and_averaged():
    target, clips = world()
    first = {seed: predicted(target, 0.5, seed) for seed in (0, 1, 2, 9)}
    second = {seed: predicted(target, 0.7, 50 + seed) for seed in (2, 1, 0, 5)}
    gain = top_1(seed_gains.gains(first, second, "top_k", Context(clips)))

    def accuracy(table):
        right = [np.argmax(s) == t[0] for s, t in table.select("scores", "target").iter_rows()]
        return np.mean(right)

    assert gain.first == pytest.approx([accuracy(first[seed]) for seed in (0, 1, 2)])
    assert gain.second == pytest.approx([accuracy(second[seed]) for seed in (0, 1, 2)])
    assert gain.difference == pytest.approx(np.mean(gain.second) - np.mean(gain.first))
    assert gain.low < gain.difference < gain.high


def test_a_setup_gains_nothing_over_itself():
    target, clips = world()
    runs = {seed: predicted(target, 0.5, seed) for seed in range(3)}
    gain = top_1(seed_gains.gains(runs, runs, "top_k", Context(clips)))
    assert (gain.difference, gain.low, gain.high) == (0, 0, 0)
    assert not gain.sure


def test_one_difference_in_all_seeds_varies_with_the_videos_alone():
    """The interval is then that of the videos: plain resampling of per-video means."""
    target, clips = world()
    one, other = predicted(target, 0.5, 1), predicted(target, 0.7, 2)
    found = seed_gains.gains(
        dict.fromkeys(range(4), one), dict.fromkeys(range(4), other), "top_k", Context(clips)
    )
    gain = top_1(found)
    right = [
        np.array([np.argmax(s) == t[0] for s, t in t.select("scores", "target").iter_rows()])
        for t in (one, other)
    ]
    per_video = (right[1].astype(float) - right[0]).reshape(VIDEOS, -1).mean(axis=1)
    random = np.random.default_rng(3)
    means = per_video[random.integers(0, VIDEOS, (20_000, VIDEOS))].mean(axis=1)
    assert (gain.low, gain.high) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.01)


def test_seeds_vary_like_the_standard_error_of_their_mean():
    """No test video matters: every clip is right, or every clip is wrong, by seed."""
    target, clips = world()
    wrong, right = predicted(target, 0.0, 0), predicted(target, 1.0, 0)
    outcomes = [1, 1, 0, 1, 0, 1, 1, 0, 0, 1, 1, 0]
    first = dict.fromkeys(range(len(outcomes)), wrong)
    second = {seed: right if one else wrong for seed, one in enumerate(outcomes)}
    gain = top_1(seed_gains.gains(first, second, "top_k", Context(clips)))
    error = np.std(outcomes, ddof=1) / len(outcomes) ** 0.5
    assert gain.high - gain.low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_one_common_seed_is_too_few():
    target, clips = world()
    run = predicted(target, 0.5, 0)
    with pytest.raises(SumlError, match=r"too few seeds .* got 1; expected at least 2"):
        seed_gains.gains({0: run, 1: run}, {1: run, 2: run}, "top_k", Context(clips))


def test_runs_over_other_clips_are_refused():
    target, clips = world()
    run = predicted(target, 0.5, 0)
    with pytest.raises(SumlError, match="the second run lacks 1 predictions"):
        seed_gains.gains({0: run, 1: run}, {0: run, 1: run[1:]}, "top_k", Context(clips))
