"""Backbones against the models that pytorchvideo publishes: sizes, names of weights, logits."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from sumlctl.learning import backbones
from sumlctl.learning.backbones.residual import quiet_import

CLASSES = 400
# ours -> pytorchvideo's, length of a feature row, published parameters in millions
PEERS = {
    "r3d50": ("slow_r50", 2048, 32.45),
    "slowfast50": ("slowfast_r50", 2304, 34.57),
    "slowfast101": ("slowfast_r101", 2304, 62.83),
    "x3d_s": ("x3d_s", 2048, 3.79),
    "mvit_b": ("mvit_base_16x4", 768, 36.61),
}


def published(name: str, **options: object) -> nn.Module:
    """A model of pytorchvideo's hub with random weights."""
    with quiet_import():
        from pytorchvideo.models import hub

    return getattr(hub, name)(**options)


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", PEERS)
def test_weights_have_the_published_number_and_names(name):
    theirs, features, millions = PEERS[name]
    # Transformers compute sizes with tensors, which have no values on the meta device.
    with torch.device("cpu" if name == "mvit_b" else "meta"):
        peer, ours = published(theirs), backbones.build(name)
    classifier = features * CLASSES + CLASSES
    assert parameters(peer) / 1e6 == pytest.approx(millions, abs=0.005)
    assert parameters(ours) == parameters(peer) - classifier
    shapes = {key: value.shape for key, value in peer.state_dict().items()}
    found = {key: value.shape for key, value in ours.state_dict().items()}
    left = {key: shape for key, shape in shapes.items() if key not in found}
    assert {*left.values()} == {(CLASSES, features), (CLASSES,)}
    assert found | left == shapes
    # torch.compile takes numbers of NumPy, which the peer's shortcuts have, for tensors.
    convolutions = [module for module in ours.modules() if isinstance(module, nn.Conv3d)]
    assert {type(stride) for module in convolutions for stride in module.stride} == {int}


def test_r3d50_is_the_slow_only_resnet_50():
    with torch.device("meta"):
        backbone = backbones.build("r3d50")
    weights = backbone.state_dict()
    assert weights["blocks.0.conv.weight"].shape == (64, 3, 1, 7, 7)
    # Kernels reach over time in the last two stages only.
    first = [
        weights[f"blocks.{s}.res_blocks.0.branch2.conv_a.weight"].shape[2] for s in range(1, 5)
    ]
    assert first == [1, 1, 3, 3]
    # ResNet-50 has 23.5 million weights without its classifier; temporal kernels add 8.1 million.
    assert parameters(backbone) == 31_634_496


def test_slowfast_starts_with_residual_branches_that_add_nothing():
    weights = backbones.build("slowfast50").state_dict()
    last = [w for n, w in weights.items() if n.endswith("branch2.norm_c.weight")]
    assert len(last) == 2 * (3 + 4 + 6 + 3)
    assert not torch.cat(last).any()


def slow_peer() -> nn.Module:
    peer = published("slow_r50")
    peer.blocks[-1].pool = nn.AvgPool3d((4, 2, 2))
    return peer


def small_x3d() -> nn.Module:
    with quiet_import():
        from pytorchvideo.models.x3d import create_x3d

    return create_x3d(input_clip_length=5, input_crop_size=64, head_activation=None)


def same_weights(peer: nn.Module, ours: nn.Module, projection: str) -> nn.Linear:
    """Gives both the same weights, none of them neutral; returns the peer's classifier."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in peer.parameters():
            if weight.ndim == 1:
                weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.3)
        for name, buffer in peer.named_buffers():
            if name.endswith("running_mean"):
                buffer.add_(torch.randn(buffer.shape, generator=generator), alpha=0.1)
            elif name.endswith("running_var"):
                buffer.mul_(0.5 + torch.rand(buffer.shape, generator=generator))
    weights = {n: w for n, w in peer.state_dict().items() if not n.startswith(f"{projection}.")}
    ours.load_state_dict(weights)
    return peer.get_submodule(projection)


# case -> the peer, our options, a clip [T, H, W], the peer's classifier
LOGITS = {
    "r3d50": (slow_peer, {}, (4, 64, 64), "blocks.5.proj"),
    "slowfast50": (
        partial(published, "slowfast_r50", head_pool_kernel_sizes=((2, 2, 2), (8, 2, 2))),
        {},
        (8, 64, 64),
        "blocks.6.proj",
    ),
    "x3d_s": (
        partial(published, "x3d_s", head_activation=None),
        {},
        (13, 160, 160),
        "blocks.5.proj",
    ),
    "x3d_s of another size": (small_x3d, {}, (5, 64, 64), "blocks.5.proj"),
    "mvit_b": (
        partial(published, "mvit_base_16x4", temporal_size=4, spatial_size=96),
        {"frames": 4, "crop": 96},
        (4, 96, 96),
        "head.proj",
    ),
}


@pytest.mark.parametrize("case", LOGITS)
def test_logits_are_those_of_the_peer(case):
    torch.manual_seed(0)
    make, options, size, projection = LOGITS[case]
    peer, ours = make().eval(), backbones.build(case.split()[0], **options).eval()
    classifier = same_weights(peer, ours, projection)
    clips = torch.randn(1, 3, *size)
    with torch.inference_mode():
        # The slow pathway's two of eight frames are the first and the last.
        seen = [clips[:, :, [0, 7]], clips] if case == "slowfast50" else clips
        expected = peer(seen)
        difference = (classifier(ours(clips)) - expected).abs().amax() / expected.abs().amax()
    assert expected.std() > 1e-3
    assert difference < 1e-5
