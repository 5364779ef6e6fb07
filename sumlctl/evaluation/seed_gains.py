"""What one setup gains over another, both trained from the same seeds and tested on the same clips.

Two things could have come out otherwise: the seeds, and the videos that are tested on. Each
bootstrap sample draws both. Of n seeds it draws n - 1, since the mean of n drawn ones varies by
the factor (n - 1) / n too little (Efron, The Jackknife, the Bootstrap and Other Resampling Plans,
1982, Ch. 8), which matters for a handful.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import polars as pl

from sumlctl.errors import SumlError
from sumlctl.evaluation import bootstrap
from sumlctl.evaluation.compare import check_same_clips
from sumlctl.evaluation.protocols.context import Context
from sumlctl.evaluation.protocols.measures import Measure


@dataclass(frozen=True)
class Gain:
    """One number of two setups over the same seeds and clips.

    Args:
        task, subset, metric, k: which number, see `protocols.measures.Measure`.
        first: of the first setup, one value per seed.
        second: of the second setup, in the same order.
        low: lower end of the 95 % interval of the mean difference, second - first.
        high: its upper end.
    """

    task: str
    subset: str
    metric: str
    k: int | None
    first: tuple[float, ...]
    second: tuple[float, ...]
    low: float
    high: float

    @property
    def difference(self) -> float:
        """Mean over seeds."""
        return fmean(self.second) - fmean(self.first)

    @property
    def sure(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Group:
    """A setup of a sweep beside the one that it is compared with.

    Args:
        name: its label in the sweep.
        setup: the same without the name of its third-person pool.
        similarity: mean similarity of its best pairs; None for a method without pairs.
        gains: one for each number of the protocol, the setup compared with first.
    """

    name: str
    setup: str
    similarity: float | None
    gains: Sequence[Gain]


def gains(
    first: Mapping[int, pl.DataFrame],
    second: Mapping[int, pl.DataFrame],
    protocol: str,
    context: Context | None = None,
    resamples: int = 10_000,
    seed: int = 0,
) -> list[Gain]:
    """Every number of a protocol for two setups, and their paired differences.

    Args:
        first: training seed -> predictions of the setup to compare with.
        second: the same of the other setup; seeds that only one of them has do not count.
        protocol: name of the protocol.
        context: the clips of the split and the dataset's annotations.
        resamples: samples of seeds and videos.
        seed: the only source of randomness.

    Raises:
        SumlError: fewer than two common seeds, predictions of other clips or with other labels,
            or ones that do not fit the protocol.
    """
    common = sorted(first.keys() & second.keys())
    if len(common) < 2:
        raise SumlError(
            "comparison over seeds",
            "too few seeds that both were trained from",
            got=len(common),
            expected="at least 2",
            fix="Train them from more seeds.",
        )
    pairs = [(first[number], second[number]) for number in common]
    for pair in pairs:
        check_same_clips(*pair)
    measured = [[bootstrap.measures(protocol, p, context) for p in pair] for pair in pairs]
    ones, others = zip(*measured, strict=True)
    samples = _differences(ones, others, resamples, seed)
    drawn = _seeds(len(common), resamples, seed)
    found = []
    for i, about in enumerate(ones[0]):
        values = np.einsum("sr,rs->r", samples[:, i], drawn)
        low, high = bootstrap.interval(values)
        before, after = (tuple(m[i].value for m in side) for side in (ones, others))
        found.append(
            Gain(about.task, about.subset, about.metric, about.k, before, after, low, high)
        )
    return found


def _differences(
    ones: Sequence[Sequence[Measure]],
    others: Sequence[Sequence[Measure]],
    resamples: int,
    seed: int,
) -> np.ndarray:
    """Differences in the same samples of videos [seeds, numbers, resamples]."""
    flat = [measure for side in (ones, others) for listed in side for measure in listed]
    values = bootstrap.replicates(flat, resamples, seed)
    before, after = values.reshape(2, len(ones), len(ones[0]), resamples)
    return after - before


def _seeds(n: int, resamples: int, seed: int) -> np.ndarray:
    """How much each seed counts in each sample [resamples, n], summing to 1."""
    random = np.random.default_rng([seed, n])
    return random.multinomial(n - 1, np.full(n, 1 / n), size=resamples) / (n - 1)
