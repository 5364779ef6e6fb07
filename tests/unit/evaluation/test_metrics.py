"""Metrics against scikit-learn, and ties by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, top_k_accuracy_score

from sumlctl.evaluation.metrics import mean_average_precision, topk_accuracy


@pytest.mark.parametrize("k", [1, 2, 5])
def test_topk_agrees_with_scikit_learn(k):
    random = np.random.default_rng(0)
    scores, target = random.normal(size=(200, 7)), random.integers(0, 7, 200)
    expected = top_k_accuracy_score(target, scores, k=k, labels=range(7))
    assert topk_accuracy(scores, target, k) == pytest.approx(expected)


def test_ties_count_against_the_target():
    scores = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    assert topk_accuracy(scores, np.array([0, 0]), 1) == 0.5
    assert topk_accuracy(scores, np.array([0, 0]), 2) == 1.0
    assert topk_accuracy(np.ones((4, 10)), np.zeros(4, dtype=int), 5) == 0.0
    assert topk_accuracy(np.ones((4, 3)), np.zeros(4, dtype=int), 5) == 1.0


@pytest.mark.parametrize("levels", [1000, 4])
def test_map_agrees_with_scikit_learn_also_on_ties(levels):
    random = np.random.default_rng(1)
    scores = random.integers(0, levels, size=(60, 9)) / levels
    targets = (random.random((60, 9)) < 0.2).astype(int)
    targets[:, 3] = 0
    present = [c for c in range(9) if c != 3]
    expected = np.mean([average_precision_score(targets[:, c], scores[:, c]) for c in present])
    assert mean_average_precision(scores, targets) == pytest.approx(expected)


def test_average_precision_by_hand():
    # Ranked: hit, miss, hit. Precision 1 at the first hit, 2/3 at the second.
    scores, targets = np.array([[0.9], [0.5], [0.1]]), np.array([[1], [0], [1]])
    assert mean_average_precision(scores, targets) == pytest.approx((1 + 2 / 3) / 2)


def test_nothing_to_score_is_nan():
    assert math.isnan(topk_accuracy(np.zeros((0, 3)), np.zeros(0, dtype=int), 1))
    assert math.isnan(mean_average_precision(np.zeros((4, 3)), np.zeros((4, 3))))


@pytest.mark.parametrize(
    ("scores", "target", "k"),
    [
        ([[np.nan, 0.0]], [0], 1),
        ([[0.0, 1.0]], [2], 1),
        ([[0.0, 1.0]], [-1], 1),
        ([[0.0, 1.0]], [0, 1], 1),
        ([[0.0, 1.0]], [0], 0),
    ],
)
def test_impossible_input_is_refused(scores, target, k):
    with pytest.raises(ValueError, match=r"."):
        topk_accuracy(np.array(scores), np.array(target), k)


def test_impossible_targets_are_refused():
    with pytest.raises(ValueError, match="0 or 1"):
        mean_average_precision(np.zeros((1, 2)), np.array([[0, 2]]))
    with pytest.raises(ValueError, match="targets"):
        mean_average_precision(np.zeros((1, 2)), np.zeros((2, 2)))
