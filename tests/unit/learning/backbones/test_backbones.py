"""Every backbone behind its one interface: shapes, pooling, number formats, impossible values."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import pytest
import torch

from sumlctl.errors import SumlError
from sumlctl.learning import backbones
from sumlctl.learning.backbones.backbone import Backbone
from sumlctl.learning.backbones.slowfast import slow_frames

# name -> its options, a clip [T, H, W], what feature_maps gives for two of them
CASES: dict[str, tuple[dict[str, Any], tuple[int, int, int], list[tuple[int, ...]]]] = {
    "tiny": ({}, (8, 48, 64), [(2, 128, 1, 3, 4)]),
    "r3d50": ({}, (2, 48, 64), [(2, 2048, 2, 2, 2)]),
    "slowfast50": ({}, (8, 48, 64), [(2, 2048, 2, 2, 2), (2, 256, 8, 2, 2)]),
    "slowfast101": ({}, (4, 32, 32), [(2, 2048, 1, 1, 1), (2, 256, 4, 1, 1)]),
    "x3d_s": ({}, (5, 48, 64), [(2, 192, 5, 2, 2)]),
    "mvit_b": ({"frames": 4, "crop": 64}, (4, 64, 64), [(2, 768, 2, 2, 2), (2, 768, 1, 1, 1)]),
}
FEATURES = {
    "tiny": 128,
    "r3d50": 2048,
    "slowfast50": 2048 + 256,
    "slowfast101": 2048 + 256,
    "x3d_s": 2048,
    "mvit_b": 768,
}


class Seen(NamedTuple):
    backbone: Backbone
    clips: torch.Tensor
    maps: tuple[torch.Tensor, ...]
    features: torch.Tensor


@cache
def seen(name: str) -> Seen:
    """What a backbone makes of two clips of noise."""
    torch.manual_seed(0)
    options, size, _ = CASES[name]
    backbone, clips = backbones.build(name, **options).eval(), torch.randn(2, 3, *size)
    with torch.no_grad():
        maps = backbone.feature_maps(clips)
        return Seen(backbone, clips, maps, backbone.pooled(maps))


@pytest.mark.parametrize("name", CASES)
def test_maps_become_features(name):
    backbone, _, maps, features = seen(name)
    assert isinstance(maps, tuple)
    assert [tuple(each.shape) for each in maps] == CASES[name][2]
    assert features.shape == (2, FEATURES[name])
    assert backbone.feature_dim == FEATURES[name]
    assert backbone.averages_maps == (name not in {"x3d_s", "mvit_b"})
    if backbone.averages_maps:
        torch.testing.assert_close(features, torch.cat([m.mean((2, 3, 4)) for m in maps], 1))


@pytest.mark.parametrize("name", ["x3d_s", "mvit_b"])
def test_gradients_reach_the_maps_where_these_are_not_averaged(name):
    backbone, _, maps, _ = seen(name)
    leaves = tuple(each.clone().requires_grad_() for each in maps)
    of_maps = torch.autograd.grad(backbone.pooled(leaves)[:, :9].sum(), leaves)
    assert all(grad.isfinite().all() and grad.abs().amax() > 0 for grad in of_maps)


@pytest.mark.parametrize("name", ["tiny", "slowfast50", "x3d_s", "mvit_b"])
def test_channels_last_and_bfloat16(name):
    backbone, clips, _, features = seen(name)
    backbone.to(memory_format=torch.channels_last_3d)
    with torch.inference_mode():
        found = backbone(clips.contiguous(memory_format=torch.channels_last_3d))
        with torch.autocast("cpu", torch.bfloat16):
            coarse = backbone(clips)
    torch.testing.assert_close(found, features, rtol=1e-4, atol=1e-4)
    # bfloat16 has eight bits of a number, which dozens of layers blur further.
    assert (coarse - features).norm() < 0.05 * features.norm()


def test_slow_pathway_sees_the_first_and_last_frame_and_evenly_between():
    # 31 / 7 is 4.43: the multiples are 4.4, 8.9, 13.3, 17.7, 22.1, 26.6.
    assert slow_frames(32).tolist() == [0, 4, 8, 13, 17, 22, 26, 31]
    assert slow_frames(16).tolist() == [0, 5, 10, 15]
    assert slow_frames(4).tolist() == [0]


@pytest.mark.parametrize(("frames", "fix"), [(3, 4), (9, 8), (30, 28)])
def test_slowfast_says_how_many_frames_it_can_see(frames, fix):
    with pytest.raises(ValueError, match=rf"see {frames} frames.*input\.frames = {fix}$"):
        seen("slowfast50").backbone(torch.zeros(1, 3, frames, 32, 32))


def test_mvit_says_what_size_it_can_see():
    with pytest.raises(ValueError, match=r"8 x 64 x 64; set input\.frames = 4.*input\.crop = 64"):
        seen("mvit_b").backbone(torch.zeros(1, 3, 8, 64, 64))


@pytest.mark.parametrize(
    ("name", "options", "fault"),
    [
        ("tiny", {"width": 0}, "width = 0"),
        ("mvit_b", {"frames": 7}, "frames = 7 .* 2"),
        ("mvit_b", {"frames": 0}, "frames = 0"),
        ("mvit_b", {"crop": 30}, "crop = 30 .* 4"),
    ],
)
def test_impossible_values(name, options, fault):
    with pytest.raises(ValueError, match=fault):
        backbones.build(name, **options)


def test_width_scales_tiny():
    assert backbones.build("tiny", width=4).feature_dim == 32


def test_unknown_name():
    with pytest.raises(SumlError, match=r"tin.*Did you mean tiny"):
        backbones.build("tin")


@pytest.mark.parametrize("name", CASES)
def test_unknown_option(name):
    with pytest.raises(TypeError, match="depth"):
        backbones.build(name, depth=18)
