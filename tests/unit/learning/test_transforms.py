"""Crops against plain slicing and torchvision, and the randomness of the boxes."""

from __future__ import annotations

import numpy as np
import torch
from torchvision.transforms.v2 import functional

from sumlctl.config import Input
from sumlctl.learning import transforms
from sumlctl.learning.randomness import generator


def clips(height: int = 20, width: int = 30) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 3, height, width, 3), dtype=torch.uint8, generator=random)


def by_slicing(clips: torch.Tensor, left: int, top: int, side: int) -> torch.Tensor:
    cut = clips[:, :, top : top + side, left : left + side].permute(0, 4, 1, 2, 3)
    return (cut / 255 - 0.45) / 0.225


def test_a_box_of_whole_pixels_is_a_slice():
    pixels = clips()
    boxes = torch.tensor([[7.0, 3.0, 12.0]]).expand(2, 3)
    got = transforms.crops(pixels, boxes, 12)
    torch.testing.assert_close(got, by_slicing(pixels, 7, 3, 12), atol=1e-4, rtol=0)
    assert got.is_contiguous(memory_format=torch.channels_last_3d)


def test_each_clip_is_mirrored_on_its_own():
    pixels = clips()
    boxes = torch.tensor([[7.0, 3.0, 12.0]]).expand(2, 3)
    got = transforms.crops(pixels, boxes, 12, flips=torch.tensor([True, False]))
    plain = by_slicing(pixels, 7, 3, 12)
    torch.testing.assert_close(got[0], plain[0].flip(-1), atol=1e-4, rtol=0)
    torch.testing.assert_close(got[1], plain[1], atol=1e-4, rtol=0)


def test_scaling_is_torchvisions_bilinear():
    pixels = clips(20, 20)
    got = transforms.crops(pixels, torch.tensor([[0.0, 0.0, 20.0]]).expand(2, 3), 28)
    images = pixels.permute(0, 1, 4, 2, 3).float()
    expected = functional.resize(images, [28, 28], antialias=False).permute(0, 2, 1, 3, 4)
    torch.testing.assert_close(got, (expected / 255 - 0.45) / 0.225, atol=1e-4, rtol=0)


def test_random_boxes_are_crops_of_a_jittered_clip():
    sizes = torch.tensor([[240, 426]] * 200)
    left, top, side = transforms.random_boxes(sizes, (256, 320), 256, generator(0)).unbind(1)
    assert side.min() >= 240 * 256 / 320 and side.max() <= 240
    assert left.min() >= 0 and (left + side).max() <= 426
    assert top.min() >= 0 and (top + side).max() <= 240 + 1e-3
    shorts = 240 * 256 / side
    assert torch.allclose(shorts, shorts.round(), atol=1e-3)
    assert len(shorts.round().unique()) > 30


def test_view_boxes_reach_from_end_to_end():
    sizes = torch.tensor([[20, 30], [30, 20]])
    ends = [transforms.view_boxes(sizes, position).tolist() for position in (0.0, 0.5, 1.0)]
    assert ends == [
        [[0, 0, 20], [0, 0, 20]],
        [[5, 0, 20], [0, 5, 20]],
        [[10, 0, 20], [0, 10, 20]],
    ]


def test_augmentation_is_drawn_by_seed_epoch_and_step():
    batch = {"fpv": {"clips": clips(), "sizes": torch.tensor([[20, 30]] * 2)}}
    settings = Input(short_side=[16, 20], crop=16)

    def drawn(seed: int, epoch: int, step: int, rank: int = 0) -> np.ndarray:
        augment = transforms.Augmentation(settings, seed, rank)
        return augment(batch, ["fpv"], epoch, step)["fpv"].numpy()

    first = drawn(0, 0, 0)
    assert first.shape == (2, 3, 3, 16, 16)
    np.testing.assert_array_equal(first, drawn(0, 0, 0))
    for other in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0, 1)):
        assert not np.array_equal(first, drawn(*other))
