"""The contrastive losses against NumPy in float64, hand-worked cases and invariants."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sumlctl.learning.losses.contrastive import (
    cross_view,
    decoupled,
    info_nce,
    semantic_weights,
    video_text,
)

TAU, SIGMA = 0.06, 0.1


def unit(seed: int, n: int = 6, d: int = 5) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n, d))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def tensor(rows: np.ndarray) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def numpy_decoupled(a, b, tau, weights=None, intra=False):
    """Eq. 6, 9 written out as loops."""
    total = 0.0
    for i in range(len(a)):
        s = sum(math.exp(a[i] @ b[j] / tau) for j in range(len(a)) if j != i)
        if intra:
            s += sum(math.exp(a[i] @ a[j] / tau) for j in range(len(a)) if j != i)
        w = 1.0 if weights is None else weights[i]
        total += math.log(s) - w * (a[i] @ b[i]) / tau
    return total / len(a)


def test_info_nce_is_equation_3():
    a, b = unit(0), unit(1)
    expected = 0.0
    for i in range(len(a)):
        positive = math.exp(a[i] @ b[i] / TAU)
        others = sum(math.exp(a[i] @ b[j] / TAU) for j in range(len(a)) if j != i)
        expected -= math.log(positive / (positive + others)) / len(a)
    assert info_nce(tensor(a), tensor(b), TAU).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("intra", [False, True])
def test_decoupled_is_equation_6(intra):
    a, b = unit(0), unit(1)
    got = decoupled(tensor(a), tensor(b), TAU, negatives="cross+intra" if intra else "cross")
    assert got.item() == pytest.approx(numpy_decoupled(a, b, TAU, intra=intra), rel=1e-12)


def test_two_pairs_by_hand():
    # a and b are the axes in the same order: positives 1, negatives 0; log exp(0) - 1 / tau = -2.
    axes = torch.eye(2, dtype=torch.float64)
    assert decoupled(axes, axes, 0.5).item() == pytest.approx(-2.0)
    assert info_nce(axes, axes, 0.5).item() == pytest.approx(math.log(1 + math.exp(-2.0)))
    # The released code's S_i also holds the other row of a: log(2 exp(0)) - 2.
    both = decoupled(axes, axes, 0.5, negatives="cross+intra")
    assert both.item() == pytest.approx(math.log(2) - 2)
    # Swapped partners: positives 0, negatives 1, so log exp(2) - 0.
    assert decoupled(axes, axes.flip(0), 0.5).item() == pytest.approx(2.0)


def test_weights_of_one_leave_equation_6():
    a, b = tensor(unit(0)), tensor(unit(1))
    ones = torch.ones(len(a), dtype=torch.float64)
    assert torch.equal(decoupled(a, b, TAU, weights=ones), decoupled(a, b, TAU))


def test_semantic_weights_are_equation_10():
    d_f, d_t = unit(2), unit(3)
    powers = np.exp((d_f * d_t).sum(axis=1) / SIGMA)
    weights = semantic_weights(tensor(d_f), tensor(d_t), SIGMA)
    np.testing.assert_allclose(weights.numpy(), powers / powers.mean(), rtol=1e-12)
    assert weights.mean().item() == pytest.approx(1.0)


@pytest.mark.parametrize("intra", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_view_is_the_loss_of_the_kept_pairs_alone(weighted, intra):
    z_f, z_t, d_f, d_t = (unit(seed, n=9) for seed in range(4))
    similarity = (d_f * d_t).sum(axis=1)
    threshold = float(np.sort(similarity)[4] + 1e-9)
    kept = similarity > threshold
    assert kept.sum() == 4
    weights = np.exp(similarity[kept] / SIGMA)
    weights = weights / weights.mean() if weighted else np.ones(4)
    expected = numpy_decoupled(z_f[kept], z_t[kept], TAU, weights, intra)
    expected += numpy_decoupled(z_t[kept], z_f[kept], TAU, weights, intra)
    args = map(tensor, (z_f, z_t, d_f, d_t))
    negatives = "cross+intra" if intra else "cross"
    got = cross_view(*args, TAU, SIGMA, threshold, weighted, negatives)
    assert got.item() == pytest.approx(expected, rel=1e-12)


def test_dropped_pairs_get_no_gradient():
    z_f, z_t, d_f, d_t = (tensor(unit(seed, n=9)).requires_grad_() for seed in range(4))
    similarity = (d_f * d_t).sum(dim=1).detach()
    threshold = similarity.sort().values[4].item() + 1e-9
    cross_view(z_f, z_t, d_f, d_t, TAU, SIGMA, threshold).backward()
    dropped = similarity <= threshold
    for z in (z_f, z_t):
        assert torch.equal(z.grad[dropped], torch.zeros_like(z.grad[dropped]))
        assert (z.grad[~dropped].abs().sum(dim=1) > 0).all()


@pytest.mark.parametrize("intra", [False, True])
def test_video_text_is_equation_11(intra):
    z_f, d_f, z_t, d_t = (unit(seed) for seed in range(4))
    ways = ((z_f, d_f), (d_f, z_f), (z_t, d_t), (d_t, z_t))
    expected = sum(numpy_decoupled(a, b, TAU, intra=intra) for a, b in ways)
    negatives = "cross+intra" if intra else "cross"
    got = video_text(*map(tensor, (z_f, d_f, z_t, d_t)), TAU, negatives)
    assert got.item() == pytest.approx(expected, rel=1e-12)


def losses(z_f, z_t, d_f, d_t):
    yield info_nce(z_f, z_t, TAU)
    yield decoupled(z_f, z_t, TAU)
    yield decoupled(z_f, z_t, TAU, semantic_weights(d_f, d_t, SIGMA), "cross+intra")
    yield cross_view(z_f, z_t, d_f, d_t, TAU, SIGMA, -0.2)
    yield cross_view(z_f, z_t, d_f, d_t, TAU, SIGMA, -0.2, weighted=False)
    yield video_text(z_f, d_f, z_t, d_t, TAU)


def test_gradients():
    inputs = [tensor(unit(seed, n=4, d=3)).requires_grad_() for seed in range(4)]
    assert torch.autograd.gradcheck(lambda *x: torch.stack(list(losses(*x))), inputs)


def test_order_of_the_pairs_does_not_matter():
    inputs = [tensor(unit(seed, n=7)) for seed in range(4)]
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    before = torch.stack(list(losses(*inputs)))
    after = torch.stack(list(losses(*(x[order] for x in inputs))))
    torch.testing.assert_close(after, before, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n", [0, 1])
def test_without_negatives_the_loss_is_zero_with_gradient(n):
    inputs = [tensor(unit(seed, n=2)[:n]).requires_grad_() for seed in range(4)]
    for loss in losses(*inputs):
        assert loss.item() == 0.0
        (gradient,) = torch.autograd.grad(loss, inputs[0])
        assert torch.equal(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize("kept", [0, 1])
def test_fewer_than_two_kept_pairs_are_zero_with_gradient(kept):
    z_f, z_t = (tensor(unit(seed, n=4)).requires_grad_() for seed in range(2))
    d_f, d_t = torch.eye(4, dtype=torch.float64), torch.eye(4, dtype=torch.float64).flip(0)
    d_t[:kept] = d_f[:kept]
    loss = cross_view(z_f, z_t, d_f, d_t, TAU, SIGMA, 0.5)
    loss.backward()
    assert loss.item() == 0.0
    assert not z_f.grad.any() and not z_t.grad.any()


def test_the_threshold_itself_is_not_kept():
    d_f = torch.eye(4, dtype=torch.float64)
    z = [tensor(unit(seed, n=4)) for seed in range(2)]
    assert cross_view(*z, d_f, d_f, TAU, SIGMA, 1.0).item() == 0.0
    assert cross_view(*z, d_f, d_f, TAU, SIGMA, 0.999).item() != 0.0


@pytest.mark.parametrize("tau", [0.06, 0.001])
def test_half_precision_under_autocast_stays_accurate(tau):
    wide = [torch.tensor(unit(seed, n=16, d=32)) for seed in range(2)]
    half = [x.bfloat16() for x in wide]
    exact = decoupled(*(x.double() for x in half), tau)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = decoupled(*half, tau)
    assert got.dtype == torch.float32
    assert got.item() == pytest.approx(exact.item(), rel=1e-5)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        decoupled(torch.ones(3, 2), torch.ones(4, 2), TAU)
    with pytest.raises(ValueError, match="cross\\+intra"):
        decoupled(torch.ones(3, 2), torch.ones(3, 2), TAU, negatives="all")
