"""The learning rate's course by hand, and which weights decay."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sumlctl.config.sections import Optimiser, Stage
from sumlctl.learning.training.optimisation import base_rate, build, factor


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


def test_the_rate_is_scaled_with_the_batch_only_when_asked():
    stage = Stage(learning_rate=0.01)
    assert base_rate(Optimiser(), stage, 512) == 0.01
    assert base_rate(Optimiser(rate_for_batch=64), stage, 512) == pytest.approx(0.08)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv3d(1, 2, 1), nn.BatchNorm3d(2)
        self.still = nn.Linear(2, 2).requires_grad_(False)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_norms_do_not_decay_and_still_weights_are_left_out(name):
    net = Net()
    settings = Optimiser(name=name, weight_decay=0.5, norm_weight_decay=0.0)
    decays = {
        id(weight): group["weight_decay"]
        for group in build(net, settings).param_groups
        for weight in group["params"]
    }
    names = {id(weight): name for name, weight in net.named_parameters()}
    assert {names[key]: decay for key, decay in decays.items()} == {
        "conv.weight": 0.5,
        "conv.bias": 0.5,
        "norm.weight": 0.0,
        "norm.bias": 0.0,
    }


def test_adamw_takes_its_first_step_as_published():
    weight = nn.Parameter(torch.tensor(1.0))
    module = nn.Module()
    module.weight = weight
    optimiser = build(module, Optimiser(name="adamw", weight_decay=0.1))
    optimiser.param_groups[0]["lr"] = 0.01
    (3 * weight).backward()
    optimiser.step()
    # Decay by lr * 0.1, then a step of lr in the gradient's direction.
    assert weight.item() == pytest.approx(1 - 0.001 - 0.01, abs=1e-7)
