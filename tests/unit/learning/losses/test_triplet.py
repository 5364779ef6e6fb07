"""The triplet loss against PyTorch's own and by hand."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from sumlctl.learning.losses.triplet import triplet


def test_by_hand():
    anchor = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    positive = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    negative = torch.tensor([[0.0, 2.0], [5.0, 0.0]])
    # Rows: 5 - 2 + 0.1, and max(0, 1 - 5 + 0.1).
    assert triplet(anchor, positive, negative, 0.1).item() == pytest.approx(3.1 / 2)


def test_agrees_with_pytorch():
    rows = torch.randn(3, 8, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = functional.triplet_margin_loss(*rows, margin=0.1, eps=0)
    torch.testing.assert_close(triplet(*rows, 0.1), expected)


def test_gradients_and_equal_rows():
    rows = torch.randn(3, 4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    inputs = [row.requires_grad_() for row in rows.unbind()]
    assert torch.autograd.gradcheck(lambda a, p, n: triplet(a, p, n, 5.0), inputs)
    same = torch.ones(2, 3, requires_grad=True)
    triplet(same, same, same, 0.1).backward()
    assert torch.isfinite(same.grad).all()


def test_empty_batch_is_zero():
    assert triplet(*torch.ones(3, 0, 4), 0.1).item() == 0.0
