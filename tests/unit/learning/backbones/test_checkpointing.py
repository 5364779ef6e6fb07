"""Checkpointing saves memory and changes nothing else."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from sumlctl.learning import backbones

CASES = {
    "tiny": ({}, (4, 32, 32)),
    "r3d50": ({}, (2, 32, 32)),
    "slowfast50": ({}, (4, 32, 32)),
    "x3d_s": ({}, (3, 32, 32)),
    "mvit_b": ({"frames": 4, "crop": 32}, (4, 32, 32)),
}


def trained(backbone: nn.Module, size: tuple[int, int, int]) -> list[torch.Tensor]:
    """Losses and gradients of two steps, weights and buffers after them."""
    generator = torch.Generator().manual_seed(2)
    told = []
    optimiser = torch.optim.SGD(backbone.parameters(), lr=0.01)
    for _ in range(2):
        clips = torch.randn(2, 3, *size, generator=generator)
        target = torch.randn(2, backbone.feature_dim, generator=generator)
        optimiser.zero_grad(set_to_none=True)
        loss = (backbone(clips) - target).square().mean()
        loss.backward()
        told += [loss.detach(), *(p.grad for p in backbone.parameters())]
        optimiser.step()
    return [*told, *backbone.state_dict().values()]


def pair(name: str) -> tuple[nn.Module, nn.Module]:
    """The same backbone without and with checkpointing, no branch of it neutral."""
    torch.manual_seed(0)
    saving = backbones.build(name, **CASES[name][0], checkpointing=True)
    with torch.no_grad():
        for weight in saving.parameters():
            if weight.ndim == 1:
                weight.add_(torch.randn(weight.shape), alpha=0.1)
    plain = deepcopy(saving)
    plain.checkpointing = False
    return plain.train(), saving.train()


def calls_of(backbone: nn.Module, *kinds: type) -> list[nn.Module]:
    """A list that each call of a module of these kinds extends."""
    calls: list[nn.Module] = []
    for module in backbone.modules():
        if isinstance(module, kinds):
            module.register_forward_hook(lambda m, *_: calls.append(m))
    return calls


@pytest.mark.parametrize("name", CASES)
def test_two_steps_are_the_same_bit_for_bit(name):
    plain, saving = pair(name)
    calls = calls_of(saving, nn.BatchNorm3d, nn.GELU)
    expected, found = trained(plain, CASES[name][1]), trained(saving, CASES[name][1])
    assert len(found) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    # Two steps, and everything twice but what no gradient asks for again.
    assert len(calls) > 2 * 1.5 * len(set(calls))


def test_nothing_is_computed_twice_outside_training():
    _, saving = pair("tiny")
    calls = calls_of(saving, nn.BatchNorm3d)
    clips = torch.randn(2, 3, 4, 32, 32, requires_grad=True)
    saving.eval()(clips).sum().backward()
    with torch.no_grad():
        saving.train()(clips)
    assert len(calls) == 2 * len(set(calls))


def stored_numbers(backbone: nn.Module, clips: torch.Tensor) -> int:
    """How many numbers, weights aside, the forward pass keeps for the backward pass."""
    weights = {weight.data_ptr() for weight in backbone.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in weights:
            kept[tensor.data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        backbone(clips)
    return sum(tensor.numel() for tensor in kept.values())


def test_blocks_store_only_their_inputs():
    plain, saving = pair("x3d_s")
    clips = torch.randn(2, 3, 3, 64, 64)
    assert 0 < stored_numbers(saving, clips) < stored_numbers(plain, clips) / 4


def test_one_encoder_may_see_two_batches_and_go_back_twice():
    found = []
    for backbone in pair("tiny"):
        torch.manual_seed(3)
        one, other = torch.randn(2, 2, 3, 4, 32, 32)
        loss = (backbone(one) * backbone(other)).sum()
        loss.backward(retain_graph=True)
        loss.backward()
        found.append([*(p.grad for p in backbone.parameters()), *backbone.buffers()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_a_norm_kept_in_evaluation_uses_its_statistics_both_times():
    found = []
    for backbone in pair("tiny"):
        backbone.layers[1][1].eval()
        backbone.layers[1][1].running_mean += 0.5
        found.append(trained(backbone, (4, 32, 32)))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_compiled_statistics_are_updated_once():
    _, saving = pair("tiny")
    compiled = deepcopy(saving)
    compiled.compile(backend="aot_eager")
    found, expected = trained(compiled, (4, 32, 32)), trained(saving, (4, 32, 32))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)
