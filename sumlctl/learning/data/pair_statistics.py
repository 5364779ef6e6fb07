"""What the pairs of a training allow, counted before its first step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from sumlctl.config import Pipeline
from sumlctl.errors import SumlError
from sumlctl.learning.data.pairs import PairSet
from sumlctl.learning.losses.terms import Method


@dataclass(frozen=True)
class PairStatistics:
    """Counts over the pairs that a training learns from.

    Args:
        pairs: number of pairs.
        threshold: similarity that a pair must exceed to be aligned; None where all are aligned.
        above_threshold: pairs that exceed it.
        best_similarity: of all pairs.
        tpv_clips: third-person clips that can be decoded.
        partners: third-person clips in some pair.
        most_reused: fraction of the pairs that have the most frequent partner.
        batch_size: pairs that are each other's negatives.
        shared_clip: expected fraction of the rows of a batch whose partner is another row's too.
        shared_narration: the same for the partner's narration.
        unused_ranks: ranks of the pairs table that are not trained on.
    """

    pairs: int
    threshold: float | None
    above_threshold: int
    best_similarity: float
    tpv_clips: int
    partners: int
    most_reused: float
    batch_size: int
    shared_clip: float
    shared_narration: float
    unused_ranks: int

    def describe(self) -> Iterator[str]:
        """Yield the sentences that are printed before training."""
        if self.threshold is not None:
            fraction = self.above_threshold / self.pairs
            yield (
                f"{self.above_threshold:,} of {self.pairs:,} pairs ({fraction:.1%}) exceed the "
                f"similarity threshold {self.threshold:g} and are aligned"
            )
        yield (
            f"partners: {self.partners:,} of {self.tpv_clips:,} third-person clips, one of them "
            f"in {self.most_reused:.1%} of the pairs"
        )
        if self.shared_narration >= 0.01:
            yield (
                f"in a batch of {self.batch_size:,}, {self.shared_narration:.0%} of the rows share "
                f"their partner's narration with another row, {self.shared_clip:.0%} its very "
                "clip: the losses count these among the row's negatives"
            )
        if self.unused_ranks:
            many = "rank is" if self.unused_ranks == 1 else "ranks are"
            yield f"{self.unused_ranks} further {many} in the pairs table and not trained on"

    @property
    def rarely_aligned(self) -> bool:
        """Whether the usual batch has fewer than the two aligned pairs that a contrast needs."""
        if self.threshold is None:
            return False
        return self.batch_size * self.above_threshold / self.pairs < 2


def count(pairs: PairSet, pipeline: Pipeline, method: Method) -> PairStatistics | None:
    """Count what the pairs allow; None for a method that looks at no third-person clip.

    Raises:
        SumlError: the cross-view loss would be zero in every step, as fewer than two pairs exceed
            its threshold.
    """
    if pairs.tpv is None:
        return None
    threshold = method.aligned_above
    above = int((pairs.similarity > threshold).sum()) if threshold is not None else 0
    best = float(pairs.similarity.max())
    total = len(pairs.similarity)
    if threshold is not None and above < 2:
        raise SumlError(
            "loss.threshold",
            "the cross-view loss would be zero in every step",
            got=f"{above:,} of {total:,} pairs above {threshold:g}, the best {best:.3f}",
            expected="at least 2 pairs above it",
            fix="Lower loss.threshold, mine with another encoder or pool, or train without this "
            "loss: --set loss.w_aw=0.",
        )
    processes = pipeline.devices * pipeline.nodes if pipeline.gather_negatives else 1
    batch_size = min(pipeline.stage_two.batch_size * processes, len(pairs.tpv_rows))
    narration = pairs.tpv.rows.get_column("narration").gather(pairs.tpv_rows)
    uses = np.unique(pairs.tpv_rows, return_counts=True)[1]
    return PairStatistics(
        pairs=len(pairs.tpv_rows),
        threshold=threshold,
        above_threshold=above,
        best_similarity=best,
        tpv_clips=len(pairs.tpv),
        partners=len(uses),
        most_reused=float(uses.max() / uses.sum()),
        batch_size=batch_size,
        shared_clip=shared_in_batch(uses, batch_size),
        shared_narration=shared_in_batch(_sizes(narration), batch_size),
        unused_ranks=pairs.ranks - 1,
    )


def _sizes(values: pl.Series) -> np.ndarray:
    return values.value_counts().get_column("count").to_numpy()


def shared_in_batch(sizes: np.ndarray, batch_size: int) -> float:
    """Return the expected fraction of a batch's rows that are not alone of their group.

    Args:
        sizes: rows of each group, int [groups].
        batch_size: rows drawn without replacement from all groups.
    """
    total = int(sizes.sum())
    others = np.arange(batch_size - 1)
    # A row of a group of c is alone if the other rows all come from the total - c outside of it.
    alone = np.prod(
        np.maximum(total - sizes[:, None] - others, 0) / (total - 1 - others), axis=1
    )  # [groups]
    return float(1 - (alone * sizes).sum() / total)
