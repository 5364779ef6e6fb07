"""Metrics against scikit-learn and their definitions, and ties by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    precision_score,
    recall_score,
    top_k_accuracy_score,
)

from sumlctl.evaluation import metrics
from sumlctl.evaluation.metrics import mean_average_precision, pair_ranks, topk_accuracy
from tests.unit.evaluation import scoring

SEEDS = st.integers(0, 10**6)
EXACT = {"rel": 0, "abs": 1e-9}


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


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 9), st.integers(1, 8), st.integers(1, 5))
def test_topk_by_its_definition_with_ties(seed, classes, levels, k):
    random = np.random.default_rng(seed)
    scores = scoring.tied(random, 12, classes, levels)
    target = random.integers(0, classes, 12)
    assert topk_accuracy(scores, target, k) == pytest.approx(scoring.top(scores, target, k))
    decided = metrics.decisions(scores, target)
    assert ((decided == target) == (metrics.target_ranks(scores, target) == 1)).all()
    best = scores.max(axis=1)
    assert (np.take_along_axis(scores, decided[:, None], axis=1)[:, 0] == best).all()


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 9), st.integers(1, 9), st.integers(1, 12), st.integers(1, 6))
def test_pairs_rank_as_among_all_products(seed, firsts, seconds, levels, limit):
    random = np.random.default_rng(seed)
    first = scoring.tied(random, 10, firsts, levels).astype(np.float32)
    second = scoring.tied(random, 10, seconds, levels).astype(np.float32)
    target = random.integers(0, firsts, 10), random.integers(0, seconds, 10)
    found = pair_ranks(first, second, target, limit)
    for i, (a, b) in enumerate(zip(*target, strict=True)):
        products = [float(x) * float(y) for x, y in itertools.product(first[i], second[i])]
        expected = scoring.rank(products, float(first[i, a]) * float(second[i, b]))
        assert min(found[i], limit + 1) == min(expected, limit + 1)


def test_the_best_pair_needs_both():
    first, second = np.array([[0.6, 0.4]]), np.array([[0.1, 0.9]])
    # Products by rank: .54 (0, 1), .36 (1, 1), .06 (0, 0), .04 (1, 0).
    ranks = {
        (a, b): pair_ranks(first, second, (np.array([a]), np.array([b])), 4)[0]
        for a in range(2)
        for b in range(2)
    }
    assert ranks == {(0, 1): 1, (1, 1): 2, (0, 0): 3, (1, 0): 4}


def test_pairs_that_cannot_be_multiplied_are_refused():
    target = (np.array([0]), np.array([0]))
    with pytest.raises(ValueError, match="negative"):
        pair_ranks(np.array([[-1.0, 2.0]]), np.array([[1.0]]), target, 1)
    with pytest.raises(ValueError, match="as many rows"):
        pair_ranks(np.ones((1, 2)), np.ones((2, 2)), (target[0], np.array([0, 0])), 1)


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 6), st.integers(1, 12))
def test_class_means_agree_with_scikit_learn(seed, classes, rows):
    random = np.random.default_rng(seed)
    target, predicted = random.integers(0, classes, (2, rows))
    wanted = np.flatnonzero(random.random(classes) < 0.7)
    present = [c for c in wanted if c in target]
    recall = metrics.mean_class_recall(predicted, target, wanted)
    precision = metrics.mean_class_precision(predicted, target, wanted)
    if not present:
        assert math.isnan(recall)
        assert math.isnan(precision)
        return
    options = {"labels": present, "average": "macro", "zero_division": 0}
    assert recall == pytest.approx(recall_score(target, predicted, **options), **EXACT)
    assert precision == pytest.approx(precision_score(target, predicted, **options), **EXACT)


def test_class_means_by_hand():
    target, predicted = np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 1, 0])
    # Recall of 0: 1/2; of 1: 1. Precision of 0: 1/2 (a clip of class 2 is taken for it); of 1: 1/3.
    assert metrics.mean_class_recall(predicted, target, [0, 1, 7]) == pytest.approx(3 / 4)
    assert metrics.mean_class_precision(predicted, target, [0, 1, 7]) == pytest.approx(5 / 12)


@pytest.mark.parametrize("levels", [1000, 4])
def test_map_agrees_with_scikit_learn_also_on_ties(levels):
    random = np.random.default_rng(1)
    scores = random.integers(0, levels, size=(60, 9)) / levels
    targets = (random.random((60, 9)) < 0.2).astype(int)
    targets[:, 3] = 0
    present = [c for c in range(9) if c != 3]
    expected = np.mean([average_precision_score(targets[:, c], scores[:, c]) for c in present])
    assert mean_average_precision(scores, targets) == pytest.approx(expected)


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 15), st.integers(1, 6), st.sampled_from([0.0, 0.2, 0.9, 1.0]))
def test_weights_count_rows_as_often(seed, rows, levels, share):
    random = np.random.default_rng(seed)
    scores = scoring.tied(random, rows, 4, levels)
    targets = (random.random((rows, 4)) < share).astype(int)
    weights = random.integers(0, 3, (5, rows))
    found = metrics.average_precisions(scores, targets, weights)
    for times, values in zip(weights, found, strict=True):
        copies = np.repeat(np.arange(rows), times)
        for c in range(4):
            if targets[copies, c].any():
                expected = average_precision_score(targets[copies, c], scores[copies, c])
                assert values[c] == pytest.approx(expected, **EXACT)
            else:
                assert math.isnan(values[c])


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
