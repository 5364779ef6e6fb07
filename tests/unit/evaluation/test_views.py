"""Where the views of a clip lie, and one decoding for all of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sumlctl.errors import SumlError
from sumlctl.evaluation.views import ClipViews, Views, collate
from sumlctl.learning import reading
from sumlctl.learning.batches import padded
from sumlctl.learning.clips import Clip
from sumlctl.learning.reader import Reader
from sumlctl.learning.reading import Failure


def test_parse():
    assert Views.parse("10x3") == Views(10, 3)
    assert Views.parse("10x3").count == 30
    for text in ("10", "0x3", "3x0", "axb", "10x3x1", ""):
        with pytest.raises(SumlError, match="--views"):
            Views.parse(text)


def test_windows_from_begin_to_end_and_one_in_the_middle(tmp_path):
    clip = Clip("d/0", tmp_path, 2.0, 12.0, 10.0)
    starts = Views(3, 1).times(clip, frames=2, stride=10)[:, 0]
    np.testing.assert_allclose(starts, [2.0, 6.0, 10.0])
    assert Views(1, 1).times(clip, frames=2, stride=10)[0, 0] == pytest.approx(6.0)


def test_crops_are_left_middle_and_right():
    ramp = torch.arange(30, dtype=torch.uint8).view(1, 1, 1, 30, 1).expand(1, 2, 10, 30, 3)
    sizes = np.array([[10, 30]])
    means = [crop.mean() * 0.225 + 0.45 for crop in Views(1, 3).crops(ramp, sizes, 10)]
    np.testing.assert_allclose([m.item() * 255 for m in means], [4.5, 14.5, 24.5], atol=1e-3)


def test_clips_of_several_sizes_are_seen_as_each_alone():
    random = torch.Generator().manual_seed(0)
    each = [
        torch.randint(0, 256, (2, *hw, 3), dtype=torch.uint8, generator=random)
        for hw in ((12, 30), (20, 14), (12, 30))
    ]
    clips, sizes = padded([clip.numpy() for clip in each])
    together = list(Views(1, 3).crops(clips, sizes, 10))
    for i, clip in enumerate(each):
        alone = list(Views(1, 3).crops(clip[None], np.array([clip.shape[1:3]]), 10))
        for view, expected in zip(together, alone, strict=True):
            assert view[i].equal(expected[0])


def test_offsets_are_pyslowfasts():
    """A frame of 11 x 24 scaled to a short side of 11: offsets 0, ceil(13 / 2) and 13."""
    ramp = torch.arange(24, dtype=torch.uint8).view(1, 1, 1, 24, 1).expand(1, 1, 11, 24, 3)
    firsts = [
        round(float(crop[0, 0, 0, 0, 0] * 0.225 + 0.45) * 255)
        for crop in Views(1, 3).crops(ramp, np.array([[11, 24]]), 11)
    ]
    assert firsts == [0, 7, 13]


def test_each_clip_is_decoded_once(tmp_path, monkeypatch):
    clips = [Clip(f"d/{i}", tmp_path / f"{i}.mp4", i, i + 1.0, 8.0) for i in range(3)]
    asked = []

    def answer(request):
        asked.append(request.times_s)
        if request.path == clips[1].path:
            raise SumlError(request.path, "cannot be read", got="", expected="", fix="")
        numbers = np.arange(len(request.times_s), dtype=np.uint8).reshape(-1, 1, 1, 1)
        return np.broadcast_to(numbers, (len(numbers), 2, 2, 3)), request.times_s

    monkeypatch.setattr(reading, "answer", answer)
    seen = ClipViews(clips, Views(5, 3), frames=4, stride=1, short_side=32)
    with Reader(0, 60, 512) as reader:
        first, last = seen.batches(reader, 2)
    assert [failure.clip_id for failure in first["failed"]] == ["d/1"]
    assert (first["index"].tolist(), last["index"].tolist()) == ([0], [2])
    assert len(asked) == 3
    for place, batch in ((0, first), (2, last)):
        assert (np.diff(asked[place]) > 0).all()
        times_s = asked[place][batch["clips"][..., 0, 0, 0].numpy()]
        np.testing.assert_array_equal(times_s, Views(5, 3).times(clips[place], 4, 1))


def test_clips_that_cannot_be_decoded_are_named():
    failure = Failure("d/1", "broken")
    window = np.zeros((2, 4, 6, 8, 3), dtype=np.uint8)
    batch = collate([{"index": 7, "clips": window}, failure])
    assert batch["index"].tolist() == [7]
    assert batch["clips"].shape == (2, 4, 6, 8, 3)
    assert batch["failed"] == [failure]
    assert collate([failure]) == {"failed": [failure]}
