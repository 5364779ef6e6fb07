"""Where the views of a clip lie, and one decoding for all of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sumlctl.errors import SumlError
from sumlctl.evaluation.views import ClipViews, Views, collate
from sumlctl.learning.data import requests
from sumlctl.learning.data.clips import Clip
from sumlctl.learning.data.reader import Reader
from sumlctl.learning.data.requests import Failure


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


def ramp(width: int, height: int) -> list[torch.Tensor]:
    """Two frames whose columns say how far right they are."""
    row = torch.arange(width, dtype=torch.uint8).view(1, 1, width, 1)
    return [row.expand(2, height, width, 3).contiguous()]


def pixels(view: torch.Tensor) -> np.ndarray:
    return ((view * 0.225 + 0.45) * 255).numpy()


BOTH = [torch.tensor([[0, 1]])]


def test_crops_are_left_middle_and_right():
    (views,) = Views(1, 3).crops(ramp(30, 10), BOTH, 10, at_once=3)
    assert views.shape == (3, 3, 2, 10, 10)
    means = pixels(views).mean(axis=(1, 2, 3, 4))
    np.testing.assert_allclose(means, [4.5, 14.5, 24.5], atol=1e-3)


def test_offsets_are_pyslowfasts():
    """A frame of 11 x 24 scaled to a short side of 11: offsets 0, ceil(13 / 2) and 13."""
    (views,) = Views(1, 3).crops(ramp(24, 11), BOTH, 11, at_once=3)
    np.testing.assert_allclose(pixels(views)[:, 0, 0, 0, 0], [0, 7, 13], atol=1e-3)


def test_views_come_clip_by_clip_whatever_their_sizes_and_the_batch():
    random = torch.Generator().manual_seed(0)
    frames = [
        torch.randint(0, 256, (5, *hw, 3), dtype=torch.uint8, generator=random)
        for hw in ((12, 30), (20, 14), (12, 30))
    ]
    places = [torch.tensor([[0, 2], [i, 4]]) for i in range(3)]
    together = torch.cat(list(Views(2, 3).crops(frames, places, 10, at_once=5)))
    assert len(together) == 18
    for i in range(3):
        for window in range(2):
            alone = Views(1, 3).crops([frames[i][places[i][window]]], BOTH, 10, at_once=1)
            at = (i * 2 + window) * 3
            assert torch.cat(list(alone)).equal(together[at : at + 3])


def test_each_clip_is_decoded_once(tmp_path, monkeypatch):
    clips = [Clip(f"d/{i}", tmp_path / f"{i}.mp4", i, i + 1.0, 8.0) for i in range(3)]
    asked = []

    def answer(request):
        asked.append(request.times_s)
        if request.path == clips[1].path:
            raise SumlError(request.path, "cannot be read", got="", expected="", fix="")
        numbers = np.arange(len(request.times_s), dtype=np.uint8).reshape(-1, 1, 1, 1)
        return np.broadcast_to(numbers, (len(numbers), 2, 2, 3)), request.times_s

    monkeypatch.setattr(requests, "answer", answer)
    seen = ClipViews(clips, Views(5, 3), frames=4, stride=1, short_side=32)
    with Reader(0, 60, 512) as reader:
        first, last = seen.batches(reader, 2)
    assert [failure.clip_id for failure in first["failed"]] == ["d/1"]
    assert (first["index"].tolist(), last["index"].tolist()) == ([0], [2])
    assert len(asked) == 3
    for place, batch in ((0, first), (2, last)):
        assert (np.diff(asked[place]) > 0).all()
        (frames,), (places,) = batch["frames"], batch["places"]
        times_s = asked[place][frames[places][..., 0, 0, 0].numpy()]
        np.testing.assert_array_equal(times_s, Views(5, 3).times(clips[place], 4, 1))


def test_clips_that_cannot_be_decoded_are_named():
    failure = Failure("d/1", "broken")
    item = {"index": 7, "frames": torch.zeros(5, 6, 8, 3), "places": torch.zeros(2, 4)}
    batch = collate([item, failure])
    assert batch["index"].tolist() == [7]
    assert (batch["frames"], batch["places"]) == ([item["frames"]], [item["places"]])
    assert batch["failed"] == [failure]
    assert collate([failure]) == {"failed": [failure]}
