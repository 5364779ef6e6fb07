"""The model: two branches, and the encoder setups of Table 6."""

from __future__ import annotations

import pytest
import torch

from sumlctl.config import Pipeline
from sumlctl.config.parsing import Component
from sumlctl.config.sections import Encoders, Input, Projection
from sumlctl.errors import SumlError
from sumlctl.learning import two_view
from sumlctl.learning.tasks import Block, Task

TASK = Task("noun", True, (Block("d", "nouns", ("cup", "box", "pan")),))
TASKS = {"fpv": [TASK], "tpv": [TASK]}


def build(tpv: str = "original", dimension: int | None = 6, **projection):
    torch.manual_seed(0)
    pipeline = Pipeline(
        backbone=Component("tiny", {"width": 4}),
        encoders=Encoders(tpv=tpv),
        projection=Projection(**projection),
    )
    return two_view.build(pipeline, TASKS, dimension)


def clips() -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    return {v: torch.randn(3, 3, 4, 16, 16, generator=random) for v in TASKS}


def test_features_are_unit_vectors_and_branches_are_separate():
    model = build()
    seen = model(clips())
    for branch in seen.values():
        assert branch.z.shape == (3, 6)
        torch.testing.assert_close(branch.z.norm(dim=1), torch.ones(3))
        assert branch.logits["noun"].shape == (3, 3)
    (seen["fpv"].z.sum() + seen["fpv"].logits["noun"].sum()).backward()
    assert all(p.grad is not None for p in model["fpv"].parameters())
    assert all(p.grad is None for p in model["tpv"].parameters())


def test_without_projection_there_are_no_features_to_align():
    model = build(dimension=None)
    assert model(clips())["fpv"].z.shape == (3, 0)
    assert not [name for name, _ in model.named_parameters() if "projection" in name]


def test_unit_features_make_the_projection_blind_to_their_length():
    model = build(unit_features=True).eval()
    branch, features = model["fpv"], torch.rand(2, 32)
    torch.testing.assert_close(branch._projected(features), branch._projected(3 * features))
    plain = build().eval()["fpv"]
    assert not torch.allclose(plain._projected(features), plain._projected(3 * features))


def test_a_frozen_encoder_stays_and_its_projection_and_heads_learn():
    model = build("frozen")
    model["tpv"].freeze()
    model.train()
    before = {name: value.clone() for name, value in model["tpv"].encoder.state_dict().items()}
    seen = model(clips())["tpv"]
    (seen.z.sum() + seen.logits["noun"].sum()).backward()
    torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0).step()
    assert all(
        torch.equal(before[n], value) for n, value in model["tpv"].encoder.state_dict().items()
    )
    assert model["tpv"].projection.weight.grad is not None
    assert model["tpv"].heads["noun"].weight.grad is not None
    assert model["fpv"].encoder.training and not model["tpv"].encoder.training


def test_shared_weights_are_one_encoder():
    model = build("shared")
    assert model["fpv"].encoder is model["tpv"].encoder
    assert model["fpv"].projection is not model["tpv"].projection
    separate = sum(p.numel() for p in build().parameters())
    encoder = sum(p.numel() for p in model["fpv"].encoder.parameters())
    assert sum(p.numel() for p in model.parameters()) == separate - encoder


@pytest.mark.parametrize("tpv", ["original", "frozen", "same-init"])
def test_other_setups_have_two_encoders(tpv):
    model = build(tpv)
    assert model["fpv"].encoder is not model["tpv"].encoder


@pytest.mark.parametrize(
    ("name", "frames", "crop"),
    [("tiny", 4, 16), ("r3d50", 8, 64), ("slowfast50", 32, 64), ("mvit_b", 16, 224)],
)
def test_sizes_that_a_backbone_takes(name, frames, crop):
    size = Input(frames=frames, crop=crop, short_side=[crop, crop])
    two_view.check_input(Pipeline(backbone=Component(name), input=size))


@pytest.mark.parametrize(
    ("name", "frames", "told"),
    [("slowfast50", 30, "multiples of 4"), ("mvit_b", 32, r"input\.frames")],
)
def test_sizes_that_it_does_not_take_are_told_before_anything_is_read(name, frames, told):
    size = Input(frames=frames, crop=224)
    with pytest.raises(SumlError, match=rf"input: {name} cannot take.*got {frames} frames.*{told}"):
        two_view.check_input(Pipeline(backbone=Component(name), input=size))
