"""The most confused pairs, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sumlctl.errors import SumlError
from sumlctl.evaluation.confusion import confused
from sumlctl.evaluation.protocols.context import Context
from tests.unit.evaluation.scoring import clips, predictions, tied

SCORES = np.eye(4)


def table(pairs):
    """Each clip's class, and the class that it is taken for."""
    return predictions("verb", [SCORES[p] for _, p in pairs], [[t] for t, _ in pairs])


def test_pairs_by_count_then_share_then_id():
    pairs = [(0, 1), (0, 1), (0, 0), (1, 2), (1, 1), (1, 1), (2, 3), (3, 0), (3, 3), (3, 3)]
    found = confused(table(pairs), "verb")
    assert found.columns == ["true", "predicted", "count", "share"]
    assert found.rows() == [
        (0, 1, 2, pytest.approx(2 / 3)),
        (2, 3, 1, 1.0),
        (1, 2, 1, pytest.approx(1 / 3)),
        (3, 0, 1, pytest.approx(1 / 3)),
    ]
    assert confused(table(pairs), "verb", top=1).rows() == found.rows()[:1]
    named = confused(table(pairs), "verb", names=["take", "put", "wash", "open"])
    assert named.row(0) == (0, 1, "take", "put", 2, pytest.approx(2 / 3))


def test_at_most_twenty_pairs_and_every_wrong_clip():
    random = np.random.default_rng(0)
    scores = tied(random, 400, 9, 4)
    target = random.integers(0, 9, 400)
    some = predictions("noun", scores, [[t] for t in target])
    assert confused(some, "noun").height == 20
    every = confused(some, "noun", top=1000)
    wrong = sum(
        row.tolist().count(row.max()) > 1 or row[t] < row.max()
        for row, t in zip(scores, target, strict=True)
    )
    assert every["count"].sum() == wrong
    assert (every["true"] != every["predicted"]).all()


def test_a_tie_is_a_confusion():
    found = confused(predictions("verb", [[0.5, 0.5]], [[0]]), "verb")
    assert found.rows() == [(0, 1, 1, 1.0)]


def test_what_does_not_fit_is_named():
    with pytest.raises(SumlError, match="no such task, got 'vrb'"):
        confused(table([(0, 1)]), "vrb")
    with pytest.raises(SumlError, match="not in the split"):
        confused(table([(0, 1), (1, 1)]), "verb", Context(clips("a", verbs=[[0]])))
