"""Maps of a class: what they add up to, where they are hot, and the frames that they lie over."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sumlctl.config.sections import Input
from sumlctl.evaluation.cam.class_maps import PREDICTED, class_maps, resampled
from sumlctl.evaluation.cam.whole_frames import FrameWindow, WholeFrames, encoder_inputs
from sumlctl.learning import backbones
from sumlctl.learning.backbones.backbone import Backbone
from sumlctl.learning.data.clips import Clip
from sumlctl.learning.data.reader import Reader
from sumlctl.learning.data.requests import Failure
from sumlctl.learning.tasks import Block, Task
from sumlctl.learning.two_view import Branch
from tests.unit.learning import small_world

SIZES = {"verb": 5, "noun": 7}
TASKS = [
    Task(name, True, (Block("d", f"{name}s", tuple(map(str, range(size)))),))
    for name, size in SIZES.items()
]
WANTED = {"verb": torch.tensor([4, PREDICTED]), "noun": torch.tensor([PREDICTED, 2])}


def branch_of(encoder: nn.Module) -> Branch:
    torch.manual_seed(0)
    return Branch(encoder, TASKS, dropout=0.5).double().eval().requires_grad_(False)


def clips(*size: int) -> torch.Tensor:
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1)).double()


class Averaging(Backbone):
    """Two pathways of given channels, which average the clip in blocks of pixels."""

    feature_dim = 6

    def __init__(self) -> None:
        super().__init__(checkpointing=False)

    def feature_maps(self, clips):
        slow = nn.functional.avg_pool3d(clips[:, :, ::2], (1, 4, 4))
        return slow, nn.functional.avg_pool3d(clips, (1, 2, 2)).relu()


class ByGradients(Averaging):
    """The same features; it does not tell that they are means."""

    averages_maps = False


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize(
    ("name", "size"), [("tiny", (4, 40, 56)), ("r3d50", (2, 32, 48)), ("slowfast50", (8, 32, 48))]
)
def test_means_of_the_maps_and_bias_add_up_to_the_logit(name, size, relative):
    branch, seen = branch_of(backbones.build(name)), clips(*size)
    found = class_maps(branch, seen, WANTED, relative)
    logits = branch(seen).logits
    for task, one in found.items():
        assert one.exact
        assert len(one.maps) == (2 if name == "slowfast50" else 1)
        for i, wanted in enumerate(WANTED[task].tolist()):
            own = logits[task][i]
            number = int(own.argmax()) if wanted == PREDICTED else wanted
            assert int(one.classes[i]) == number
            total = sum(each[i].mean() for each in one.maps) + one.bias[i]
            above = own.mean() if relative else 0
            assert float(total) == pytest.approx(float(own[number] - above), abs=1e-9)
            assert float(one.score[i]) == pytest.approx(float(total), abs=1e-9)


def test_a_map_is_the_head_at_every_place():
    branch, seen = branch_of(Averaging()), clips(4, 8, 12)
    one = class_maps(branch, seen, {"noun": torch.tensor([3, 6])})["noun"]
    weight = branch.heads["noun"].weight
    for pathway, features in enumerate(branch.encoder.feature_maps(seen)):
        for i, number in enumerate((3, 6)):
            own = weight[number][3 * pathway : 3 * pathway + 3]
            expected = (own[:, None, None, None] * features[i]).sum(dim=0)
            torch.testing.assert_close(one.maps[pathway][i], expected)


def test_gradients_of_a_mean_give_the_map_at_each_of_its_places_and_nothing_below_zero():
    seen = clips(4, 8, 12)
    (exact, by_gradients) = (
        class_maps(branch_of(encoder), seen, WANTED) for encoder in (Averaging(), ByGradients())
    )
    for task in SIZES:
        slow, heat = exact[task].maps[0], by_gradients[task].maps
        assert len(heat) == 1
        assert not by_gradients[task].exact
        torch.testing.assert_close(heat[0] * slow[0].numel(), slow.relu())


def test_gradients_agree_with_differences():
    """The mean gradient of a channel, times its places: what shifting the channel does."""
    branch, seen = branch_of(backbones.build("x3d_s")), clips(2, 32, 32)
    one = class_maps(branch, seen, {"verb": torch.tensor([1, 3])})["verb"]
    maps = branch.encoder.feature_maps(seen)[0]
    step, channels = 1e-6, torch.eye(maps.shape[1]).double()[:, :, None, None, None]
    for i, number in enumerate((1, 3)):
        high, low = (
            branch.heads["verb"](branch.encoder.pooled((maps[i] + sign * step * channels,)))
            for sign in (1, -1)
        )
        share = (high - low)[:, number] / (2 * step) / maps[i, 0].numel()
        expected = torch.einsum("d,dxyz->xyz", share, maps[i]).relu()
        torch.testing.assert_close(one.maps[0][i], expected, rtol=1e-5, atol=1e-9)


def test_an_encoder_of_one_size_has_maps_too():
    branch = branch_of(backbones.build("mvit_b", frames=4, crop=32))
    found = class_maps(branch, clips(4, 32, 32), WANTED)
    assert found["verb"].maps[0].shape == (2, 2, 1, 1)
    assert (found["verb"].maps[0] >= 0).all()


def test_maps_reach_from_the_first_frame_to_the_last_and_add_up():
    slow = torch.tensor([0.0, 1.0]).reshape(1, 2, 1, 1)
    fast = torch.full((1, 5, 2, 3), 10.0)
    both = resampled((slow, fast), 5, 4, 6)
    assert both.shape == (1, 5, 4, 6)
    expected = torch.tensor([10, 10.25, 10.5, 10.75, 11])
    torch.testing.assert_close(both, expected.reshape(1, 5, 1, 1).expand(1, 5, 4, 6))


def test_what_lies_outside_the_central_square_is_seen_where_it_is():
    pixels = np.zeros((4, 32, 64, 3), np.uint8)
    pixels[2:, 20:28, 54:62] = 255
    ((places, seen),) = encoder_inputs([FrameWindow(pixels, np.arange(4.0))], short_side=16)
    assert (places, seen.shape) == ([0], (1, 3, 4, 16, 32))
    branch = branch_of(Averaging()).float()
    branch.heads["verb"].weight[:] = 1
    heat = resampled(class_maps(branch, seen, {"verb": torch.tensor([0])})["verb"].maps, 4, 32, 64)
    time, row, column = np.unravel_index(int(heat[0].argmax()), (4, 32, 64))
    assert time >= 2 and 20 <= row < 28 and 54 <= column < 62
    assert heat[0, 3, :, :30].max() < heat[0, 3].max()


def test_frames_of_one_size_make_a_batch():
    wide, tall = (np.zeros((2, *size, 3), np.uint8) for size in ((20, 40), (40, 20)))
    windows = [FrameWindow(pixels, np.zeros(2)) for pixels in (wide, tall, wide)]
    found = [(places, tuple(seen.shape)) for places, seen in encoder_inputs(windows, 10)]
    assert found == [([0, 2], (2, 3, 2, 10, 20)), ([1], (1, 3, 2, 20, 10))]


def test_windows_are_whole_frames_or_their_central_square(tmp_path):
    small_world.write_video(tmp_path / "v.mp4", (200, 30, 30), width=80)
    listed = [
        Clip("d/0", tmp_path / "v.mp4", 0.0, 1.0, 8.0),
        None,
        Clip("d/1", tmp_path / "none.mp4", 0.0, 1.0, 8.0),
    ]
    settings = Input(frames=4, stride=1, short_side=[32, 36], crop=32)
    with Reader(0, 60, 512) as reader:
        (whole, nothing, failed), (square, *_) = (
            next(WholeFrames(listed, settings, cut).batches(reader, 3)) for cut in (False, True)
        )
    assert whole.pixels.shape == (4, 48, 80, 3)
    np.testing.assert_allclose(np.diff(whole.times_s), 1 / 8)
    assert nothing is None
    assert isinstance(failed, Failure) and failed.clip_id == "d/1"
    assert square.pixels.shape == (4, 48, 48, 3)
