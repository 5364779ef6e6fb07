"""How sure a number is: bootstrap over videos, since the clips of one video are alike.

A sample draws as many videos as there are, with replacement, and every number is computed anew
from the clips of the videos drawn (Efron and Tibshirani, An Introduction to the Bootstrap, 1993).
With few videos, such as the 14 of EPIC-KITCHENS-55's validation split, intervals are coarse.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from sumlctl.config import registry
from sumlctl.errors import SumlError
from sumlctl.evaluation.protocols.context import Context
from sumlctl.evaluation.protocols.measures import Measure

_LEVEL = 0.95
_BLOCK = 1 << 17  # weights at once: a sample of many videos must not fill the memory


@dataclass(frozen=True)
class Difference:
    """One number of two runs over the same clips.

    Args:
        first: of the first run.
        second: of the second run.
        low: lower end of the 95 % interval of second - first.
        high: its upper end.
        p_value: two-sided.
    """

    first: float
    second: float
    low: float
    high: float
    p_value: float


def measures(
    protocol: str, predictions: pl.DataFrame, context: Context | None = None
) -> list[Measure]:
    """The numbers of a protocol, by its name, before they are computed.

    Raises:
        SumlError: no such protocol, or predictions that do not fit it.
    """
    module = importlib.import_module(registry.load("protocols", protocol).__module__)
    return module.measures(predictions, context)


def intervals(
    found: Sequence[Measure], resamples: int = 1000, seed: int = 0
) -> list[dict[str, Any]]:
    """95 % confidence intervals, as further rows of the metrics table.

    The percentiles of the samples; those in which a number has no clip at all do not count.

    Args:
        found: numbers of one protocol and set of predictions.
        resamples: how many samples.
        seed: the only source of randomness.

    Returns:
        Two rows for each number: its metric's name ends in `_ci_low` and `_ci_high`.

    Raises:
        SumlError: fewer than two videos.
    """
    rows = []
    for measure, values in zip(found, replicates(found, resamples, seed), strict=True):
        low, high = interval(values)
        rows += [measure.row(low, "_ci_low"), measure.row(high, "_ci_high")]
    return rows


def paired(
    first: Sequence[Measure], second: Sequence[Measure], resamples: int = 10_000, seed: int = 0
) -> list[Difference]:
    """Differences of two runs, both computed from the same samples of videos.

    The p-value is the share of samples whose difference is as far from the observed one as that
    is from zero (Berg-Kirkpatrick et al., EMNLP 2012, two-sided), the observed one counted in.

    Args:
        first: numbers of the first run.
        second: the same numbers of the second run, over the same clips.
        resamples: how many samples.
        seed: the only source of randomness.

    Returns:
        One difference for each number.

    Raises:
        SumlError: fewer than two videos.
    """
    samples = replicates([*first, *second], resamples, seed)
    differences = samples[len(first) :] - samples[: len(first)]
    return [
        _difference(one, other, values)
        for one, other, values in zip(first, second, differences, strict=True)
    ]


def _difference(first: Measure, second: Measure, samples: np.ndarray) -> Difference:
    before, after = first.value, second.value
    drawn = samples[~np.isnan(samples)]
    observed = after - before
    # Sums of the same clips may differ in their last bit: what is equal must count as such.
    as_far = np.abs(drawn - observed) >= abs(observed) - 1e-12
    p_value = (1 + int(as_far.sum())) / (1 + len(drawn))
    return Difference(before, after, *interval(drawn), p_value)


def replicates(found: Sequence[Measure], resamples: int, seed: int) -> np.ndarray:
    """Values of several numbers in the same samples of videos.

    Args:
        found: numbers that count the same videos.
        resamples: how many samples.
        seed: the only source of randomness.

    Returns:
        [numbers, resamples]; NaN where a sample has no clip to measure a number on.

    Raises:
        SumlError: fewer than two videos.
    """
    values = np.full((len(found), resamples), np.nan)
    if not found:
        return values
    start = 0
    for weights in _samples(found[0].videos, resamples, seed):
        stop = start + len(weights)
        for i, measure in enumerate(found):
            values[i, start:stop] = measure.statistic(weights)
        start = stop
    return values


def _samples(videos: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each video is drawn, some samples at a time [B, V]."""
    if videos < 2:
        raise SumlError(
            "bootstrap",
            "nothing to draw from",
            got=f"{videos} video",
            expected="at least two",
            fix="Score without confidence intervals.",
        )
    random = np.random.default_rng(seed)
    chances = np.full(videos, 1 / videos)
    at_once = max(_BLOCK // videos, 1)
    for start in range(0, resamples, at_once):
        size = min(at_once, resamples - start)
        yield random.multinomial(videos, chances, size=size).astype(np.float64)


def interval(values: np.ndarray) -> tuple[float, float]:
    """The middle 95 % of samples; those that are NaN do not count."""
    values = values[~np.isnan(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)
