"""The model: two branches that share nothing."""

from __future__ import annotations

import torch

from sumlctl.learning.tasks import Block, Task
from sumlctl.learning.two_view import Branch, TwoView
from sumlctl.settings import Component

TASK = Task("noun", True, (Block("d", "nouns", ("cup", "box", "pan")),))
TINY = Component("tiny", {"width": 4})


def test_features_are_unit_vectors_and_branches_are_separate():
    torch.manual_seed(0)
    model = TwoView({v: Branch(TINY, [TASK], 0.0, 6) for v in ("fpv", "tpv")})
    clips = {v: torch.randn(3, 3, 4, 16, 16) for v in ("fpv", "tpv")}
    seen = model(clips)
    for branch in seen.values():
        assert branch.z.shape == (3, 6)
        torch.testing.assert_close(branch.z.norm(dim=1), torch.ones(3))
        assert branch.logits["noun"].shape == (3, 3)
    (seen["fpv"].z.sum() + seen["fpv"].logits["noun"].sum()).backward()
    assert all(p.grad is not None for p in model["fpv"].parameters())
    assert all(p.grad is None for p in model["tpv"].parameters())


def test_without_projection_there_are_no_features_to_align():
    branch = Branch(TINY, [TASK], 0.0, None)
    assert branch(torch.randn(2, 3, 4, 16, 16)).z.shape == (2, 0)
    assert not [name for name, _ in branch.named_parameters() if "projection" in name]
