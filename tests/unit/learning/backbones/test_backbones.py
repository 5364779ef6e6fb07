"""Every backbone: shapes, and features that are the mean of the feature maps."""

from __future__ import annotations

import pytest
import torch

from sumlctl.errors import SumlError
from sumlctl.learning import backbones


@pytest.mark.parametrize(
    ("name", "maps"), [("tiny", (2, 128, 1, 3, 4)), ("r3d50", (2, 2048, 8, 2, 2))]
)
def test_features_are_the_mean_of_the_maps(name, maps):
    torch.manual_seed(0)
    backbone = backbones.build(name).eval()
    clips = torch.randn(2, 3, 8, 48, 64)
    with torch.inference_mode():
        found = backbone.feature_maps(clips)
        assert found.shape == maps
        assert backbone.feature_dim == maps[1]
        torch.testing.assert_close(backbone(clips), found.mean(dim=(2, 3, 4)))


def test_r3d50_is_the_slow_only_resnet_50():
    backbone = backbones.build("r3d50")
    weights = backbone.state_dict()
    assert weights["blocks.0.conv.weight"].shape == (64, 3, 1, 7, 7)
    # Kernels reach over time in the last two stages only.
    first = [
        weights[f"blocks.{s}.res_blocks.0.branch2.conv_a.weight"].shape[2] for s in range(1, 5)
    ]
    assert first == [1, 1, 3, 3]
    # ResNet-50 has 23.5 million weights without its classifier; temporal kernels add 8.1 million.
    assert sum(p.numel() for p in backbone.parameters()) == 31_634_496


def test_width_scales_tiny():
    assert backbones.build("tiny", width=4).feature_dim == 32
    with pytest.raises(ValueError, match="width"):
        backbones.build("tiny", width=0)


def test_unknown_name():
    with pytest.raises(SumlError, match=r"tin.*Did you mean tiny"):
        backbones.build("tin")
