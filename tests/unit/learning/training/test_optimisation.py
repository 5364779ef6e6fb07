"""The learning rate's course, by hand."""

from __future__ import annotations

import pytest

from sumlctl.config import Optimiser
from sumlctl.learning.schedules import factor


@pytest.mark.parametrize(
    ("epoch", "expected"), [(0, 1), (19.9, 1), (20, 0.1), (24, 0.1), (25, 0.01), (29, 0.01)]
)
def test_steps_of_the_released_code(epoch, expected):
    assert factor(Optimiser(schedule="steps"), epoch, 30) == pytest.approx(expected)


@pytest.mark.parametrize(("epoch", "expected"), [(0, 1), (15, 0.75), (30, 0.5), (60, 0)])
def test_cosine(epoch, expected):
    # cos(45 degrees) is not 0.5: a quarter of the way the factor is (1 + sqrt(1/2)) / 2.
    expected = (1 + 0.5**0.5) / 2 if epoch == 15 else expected
    assert factor(Optimiser(schedule="cosine"), epoch, 60) == pytest.approx(expected)


def test_warm_up_rises_linearly():
    constant = Optimiser(schedule="constant", warmup_epochs=4)
    assert [factor(constant, epoch, 10) for epoch in (0, 1, 4, 9)] == [0, 0.25, 1, 1]
