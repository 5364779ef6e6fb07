"""Class activation maps: what they add up to, where they are hot, and which clips they show."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

from sumlctl import tables
from sumlctl.errors import SumlError
from sumlctl.evaluation.cam import partners
from sumlctl.evaluation.cam.class_maps import PREDICTED, class_maps, resampled
from sumlctl.evaluation.cam.examples import cam
from sumlctl.evaluation.cam.whole_frames import WholeFrames, Window, encoder_inputs
from sumlctl.learning import backbones
from sumlctl.learning.backbones.backbone import Backbone
from sumlctl.learning.clips import Clip
from sumlctl.learning.reader import Reader
from sumlctl.learning.reading import Failure
from sumlctl.learning.tasks import Block, Task
from sumlctl.learning.two_view import Branch
from sumlctl.sections import Data, Input
from tests.unit.evaluation import trained_world
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
    ((places, seen),) = encoder_inputs([Window(pixels, np.arange(4.0))], short_side=16)
    assert (places, seen.shape) == ([0], (1, 3, 4, 16, 32))
    branch = branch_of(Averaging()).float()
    branch.heads["verb"].weight[:] = 1
    heat = resampled(class_maps(branch, seen, {"verb": torch.tensor([0])})["verb"].maps, 4, 32, 64)
    time, row, column = np.unravel_index(int(heat[0].argmax()), (4, 32, 64))
    assert time >= 2 and 20 <= row < 28 and 54 <= column < 62
    assert heat[0, 3, :, :30].max() < heat[0, 3].max()


def test_frames_of_one_size_make_a_batch():
    wide, tall = (np.zeros((2, *size, 3), np.uint8) for size in ((20, 40), (40, 20)))
    windows = [Window(pixels, np.zeros(2)) for pixels in (wide, tall, wide)]
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


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return trained_world.build(tmp_path_factory.mktemp("cam") / "workspace")


def test_a_clip_beside_another_run_and_its_pair(world):
    (example,) = cam(world, "sum-l", against="fpv-only", clip_ids=["ego/5"])
    assert (example.clip_id, example.narration) == ("ego/5", "colour 5")
    told = [
        (p.task, p.run, p.viewpoint, p.clip_id, p.class_name, p.of, p.similarity)
        for p in example.panels
    ]
    assert told == [
        (task, run, view, clip, name, "truth", similarity)
        for task, name in (("verb", "bright"), ("noun", "colour 5"))
        for run, view, clip, similarity in (
            ("fpv-only", "fpv", "ego/5", None),
            ("sum-l", "fpv", "ego/5", None),
            ("sum-l", "tpv", "exo/5", 1.0),
        )
    ]
    for panel in example.panels:
        assert panel.exact
        assert sum(float(m.mean()) for m in panel.maps) + panel.bias == pytest.approx(panel.score)
        assert 0 < panel.probability <= 1
        assert panel.heat(48, 80).shape == (4, 48, 80)
        assert "window" not in panel.describe()


def test_clips_are_spread_over_the_split_and_may_show_the_predicted_class(world):
    found = list(cam(world, "sum-l", count=3, of="predicted"))
    assert [example.clip_id for example in found] == ["ego/0", "ego/4", "ego/7"]
    for panel in (p for example in found for p in example.panels):
        assert panel.of == "predicted"
        others = panel.probability if panel.task == "verb" else 1 / 8
        assert panel.viewpoint == "tpv" or panel.probability >= max(others, 1 / 8)


def test_clips_in_no_pair_get_the_clip_that_says_nearly_the_same(world, tmp_path, capsys):
    copied = trained_world.copy(world, tmp_path / "copy")
    small_world.write_pairs(copied, n=4)
    (example,) = cam(copied, "sum-l", clip_ids=["ego/6"])
    assert {p.clip_id for p in example.panels} == {"ego/6", "exo/6"}
    assert "1 of 1 clips are in no pair" in capsys.readouterr().err


def test_a_pair_of_the_clip_comes_before_one_of_its_narration_and_that_before_mining(
    world, tmp_path
):
    copied = trained_world.copy(world, tmp_path / "copy")
    path = small_world.write_pairs(copied)
    table = tables.read(path, "pairs")
    rows = pl.DataFrame(table).filter(pl.col("rank") == 0).head(3)
    rows = rows.with_columns(
        fpv_clip_id=pl.Series(["ego/0", "ego/1", "ego/else"]),
        fpv_narration=pl.Series(["colour 1", "colour 1", "colour 2"]),
        tpv_clip_id=pl.Series(["exo/4", "exo/5", "exo/6"]),
    )
    settings = tables.metadata(table, "config")
    tables.write(rows.to_arrow(), path, "pairs", inputs={}, config=settings)
    asked = pl.DataFrame({"clip_id": [f"ego/{i}" for i in range(5)]})
    said = pl.Series([*small_world.NAMES[:4], ""])
    data = Data(fpv="ego", tpv=["exo"], encoder="test")
    pool, found = partners.find(copied, data, asked.with_columns(narration=said))
    places = [(pool.clips[one.place].clip_id, one.in_table) if one else None for one in found]
    assert places == [("exo/4", True), ("exo/5", True), ("exo/6", True), ("exo/3", False), None]


def test_the_pair_shows_the_label_that_means_the_same(world, tmp_path):
    copied = trained_world.copy(world, tmp_path / "copy")
    trained_world.rewrite(copied, "exo", nouns=pl.lit([2, 5, 6], pl.List(pl.Int32)))
    (example,) = cam(copied, "sum-l", clip_ids=["ego/5"])
    assert [p.class_name for p in example.panels if p.viewpoint == "tpv"] == ["bright", "colour 5"]
    (example,) = cam(copied, "sum-l", clip_ids=["ego/4"])
    assert [p.class_name for p in example.panels if p.viewpoint == "tpv"] == ["bright", "colour 2"]


def test_without_labels_the_predicted_class_is_shown(world, tmp_path):
    copied = trained_world.copy(world, tmp_path / "copy")
    trained_world.rewrite(copied, "ego", nouns=pl.lit([], pl.List(pl.Int32)))
    (example,) = cam(copied, "fpv-only", clip_ids=["ego/1"])
    assert [(p.task, p.of) for p in example.panels] == [("verb", "truth"), ("noun", "predicted")]


def test_no_third_person_branch_or_table_leaves_its_rows_out(world, tmp_path, capsys):
    (example,) = cam(world, "fpv-only", count=1)
    assert {p.viewpoint for p in example.panels} == {"fpv"}
    assert "no third-person rows: stage_two.pt of fpv-only" in capsys.readouterr().err
    copied = trained_world.copy(world, tmp_path / "copy")
    copied.pairs("ego", ["exo"]).unlink()
    (example,) = cam(copied, "sum-l", count=1)
    assert {p.viewpoint for p in example.panels} == {"fpv"}
    assert "table is missing" in capsys.readouterr().err


def test_videos_that_break_are_named_and_all_of_them_are_an_error(world, tmp_path, capsys):
    copied = trained_world.copy(world, tmp_path / "copy")
    for dataset, video in (("ego", "v1"), ("exo", "v2")):
        (copied.data(dataset, "videos") / f"{video}.mp4").write_bytes(b"broken")
    found = list(cam(copied, "sum-l", against="fpv-only", clip_ids=["ego/1", "ego/2"]))
    assert [e.clip_id for e in found] == ["ego/2"]
    assert {p.viewpoint for p in found[0].panels} == {"fpv"}
    said = capsys.readouterr().err
    assert said.count("ego/1 cannot be shown") == 1
    assert said.count("exo/2 cannot be shown") == 1
    with pytest.raises(SumlError, match="not one clip can be decoded, got 1 failures"):
        list(cam(copied, "sum-l", clip_ids=["ego/1"]))


def test_faults(world, tmp_path):
    with pytest.raises(SumlError, match=r"RUN: no such run, got 'sum'.*Did you mean sum-l"):
        cam(world, "sum")
    with pytest.raises(SumlError, match=r"--clip: no such first-person clip.*got 'ego/9'"):
        cam(world, "sum-l", clip_ids=["ego/9"])
    with pytest.raises(SumlError, match=r"--of: no such choice"):
        cam(world, "sum-l", of="true")
    with pytest.raises(SumlError, match="no first-person branch, got tpv weights"):
        cam(world, "sum-l", checkpoint="stage_one.pt")
    with pytest.raises(SumlError, match="checkpoint is missing"):
        cam(world, "sum-l", checkpoint="none.pt")
    copied = trained_world.copy(world, tmp_path / "copy")
    trained_world.rewrite(copied, "ego", verbs=[["dark"], ["bright"], ["new"]])
    with pytest.raises(SumlError, match=r"got 2 verb classes of ego.*expected 3 verb classes"):
        cam(copied, "sum-l")
