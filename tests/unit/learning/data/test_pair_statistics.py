"""What pairs allow, counted by hand and by enumeration."""

from itertools import combinations

import numpy as np
import pytest

from sumlctl.learning.data.pair_statistics import PairStatistics, shared_in_batch


@pytest.mark.parametrize("batch_size", [2, 3, 4, 6])
def test_shared_in_batch_by_enumeration(batch_size):
    """All batches of six rows, of groups a a a b b c."""
    rows = "aaabbc"
    batches = [[rows[i] for i in chosen] for chosen in combinations(range(6), batch_size)]
    shared = [np.mean([batch.count(row) > 1 for row in batch]) for batch in batches]
    found = shared_in_batch(np.array([3, 2, 1]), batch_size)
    assert found == pytest.approx(np.mean(shared), abs=1e-12)


def test_shared_in_batch_of_all_different_rows():
    assert shared_in_batch(np.ones(50, int), 32) == 0


def statistics(**changed) -> PairStatistics:
    values = {
        "pairs": 200,
        "threshold": 0.5,
        "above_threshold": 50,
        "best_similarity": 0.9,
        "tpv_clips": 40,
        "partners": 10,
        "most_reused": 0.25,
        "batch_size": 16,
        "shared_clip": 0.5,
        "shared_narration": 0.75,
        "unused_ranks": 0,
    }
    return PairStatistics(**values | changed)


def test_describe_gives_the_counts():
    first, second, third = statistics().describe()
    assert first.startswith("50 of 200 pairs (25.0%) exceed the similarity threshold 0.5")
    assert second.startswith("partners: 10 of 40 third-person clips, one of them in 25.0%")
    assert "75% of the rows share their partner's narration" in third
    assert "50% its very clip" in third


def test_describe_names_ranks_that_are_not_trained_on():
    assert list(statistics(unused_ranks=2).describe())[-1].startswith("2 further ranks are")


def test_rarely_aligned_is_less_than_two_pairs_a_batch():
    assert not statistics(above_threshold=25).rarely_aligned  # 16 * 25 / 200 = 2
    assert statistics(above_threshold=24).rarely_aligned
    assert not statistics(threshold=None, above_threshold=0).rarely_aligned
