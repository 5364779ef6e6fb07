"""Crops against plain slicing and an independent resampling, and the randomness of the boxes."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from sumlctl.config.sections import Input
from sumlctl.learning.data import transforms
from sumlctl.learning.data.transforms import Box
from sumlctl.learning.training.randomness import generator


def clips(height: int = 20, width: int = 30) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 3, height, width, 3), dtype=torch.uint8, generator=random)


def by_slicing(clips: torch.Tensor, left: int, top: int, side: int) -> torch.Tensor:
    cut = clips[:, :, top : top + side, left : left + side].permute(0, 4, 1, 2, 3)
    return (cut / 255 - 0.45) / 0.225


def test_a_box_of_its_own_size_is_a_slice():
    pixels = clips()
    got = transforms.crops(pixels, [Box(7, 3, 12)] * 2, 12)
    torch.testing.assert_close(got, by_slicing(pixels, 7, 3, 12))
    assert got.is_contiguous(memory_format=torch.channels_last_3d)


def test_each_clip_is_mirrored_on_its_own():
    pixels = clips()
    got = transforms.crops(pixels, [Box(7, 3, 12)] * 2, 12, flips=np.array([True, False]))
    plain = by_slicing(pixels, 7, 3, 12)
    torch.testing.assert_close(got[0], plain[0].flip(-1))
    torch.testing.assert_close(got[1], plain[1])


def test_scaling_is_pillows_bilinear_to_a_grey_level():
    pixels = clips(20, 20)
    for size in (9, 28):
        got = transforms.crops(pixels, [Box(0, 0, 20)] * 2, size)
        image = Image.fromarray(pixels[1, 2].numpy())
        expected = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR), np.float32)
        levels = (got[1, :, 2].permute(1, 2, 0).numpy() * 0.225 + 0.45) * 255
        np.testing.assert_allclose(levels, expected, atol=1.01)


def test_random_boxes_are_crops_of_a_jittered_clip():
    sizes = np.array([[240, 426]] * 400)
    left, top, side = np.array(transforms.random_boxes(sizes, (256, 320), 256, generator(0))).T
    assert (side.min(), side.max()) == (240 * 256 // 320, 240)
    assert (left.min(), top.min()) == (0, 0)
    assert (left + side).max() <= 426 and (left + side).max() > 415
    assert (top + side).max() == 240
    assert len(np.unique(side)) > 40


def test_view_boxes_reach_from_end_to_end():
    sizes = np.array([[20, 30], [30, 20]])
    assert [transforms.view_boxes(sizes, position) for position in (0.0, 0.5, 1.0)] == [
        [(0, 0, 20), (0, 0, 20)],
        [(5, 0, 20), (0, 5, 20)],
        [(10, 0, 20), (0, 10, 20)],
    ]


def test_augmentation_is_drawn_by_seed_epoch_and_step():
    batch = {"fpv": {"clips": clips(), "sizes": np.array([[20, 30]] * 2)}}
    settings = Input(short_side=[16, 20], crop=16)

    def drawn(seed: int, epoch: int, step: int, rank: int = 0) -> np.ndarray:
        augment = transforms.Augmentation(settings, seed, rank)
        return augment(batch, ["fpv"], epoch, step)["fpv"].numpy()

    first = drawn(0, 0, 0)
    assert first.shape == (2, 3, 3, 16, 16)
    np.testing.assert_array_equal(first, drawn(0, 0, 0))
    for other in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0, 1)):
        assert not np.array_equal(first, drawn(*other))
