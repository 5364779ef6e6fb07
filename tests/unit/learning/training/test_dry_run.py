"""What a dry run says, against counting by hand."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from sumlctl import config
from sumlctl.errors import SumlError
from sumlctl.learning.training.dry_run import _kept_for_backward, memory_bytes, plan
from sumlctl.learning.training.prepare import prepare
from sumlctl.learning.two_view import Branch, TwoView
from tests.unit.learning import small_world


@pytest.fixture
def world(workspace):
    small_world.build(workspace)
    return workspace


def test_prepare_refuses_a_threshold_that_no_pair_exceeds(world):
    """The pairs of this world all have similarity 1."""
    path = world.pipelines / "small.toml"
    with pytest.raises(SumlError, match="the cross-view loss would be zero in every step") as fault:
        prepare(world, config.load(path, ["loss.threshold=1.0"]))
    assert fault.value.got == "0 of 8 pairs above 1, the best 1.000"
    assert prepare(world, config.load(path, ["loss.threshold=1.0", "loss.w_aw=0"])).statistics
    assert prepare(world, config.load(path, ["loss.name=fpv-only"])).statistics is None


def test_plan_counts_the_pairs_above_the_threshold(world):
    statistics = plan(prepare(world, config.load(world.pipelines / "small.toml"))).statistics
    assert (statistics.pairs, statistics.above_threshold, statistics.threshold) == (8, 8, 0.5)
    assert (statistics.partners, statistics.tpv_clips) == (8, 8)
    assert statistics.shared_narration == statistics.shared_clip == 0


def test_parts_and_steps(world):
    path = world.pipelines / "small.toml"
    chosen = config.load(path, ["stage_two.batch_size=3", "optimiser.accumulate=2"])
    planned = plan(prepare(world, chosen))
    # Width 8: 27 * (3 * 8 + 8 * 16 + 16 * 32 + 32 * 64) weights, and two for each of 120 channels.
    encoder = 27 * (24 + 128 + 512 + 2048) + 2 * 120
    assert planned.parameters == {
        "fpv.encoder": encoder,
        "fpv.projection": 64 * 8 + 8,
        "fpv.heads": 65 * 10,
        "tpv.encoder": encoder,
        "tpv.projection": 64 * 8 + 8,
        "tpv.heads": 65 * 10,
        "all": 2 * (encoder + 520 + 650),
    }
    one, two = planned.stages
    assert (one.stage, one.clips, one.steps_per_epoch, one.steps) == ("stage_one", 8, 1, 2)
    assert (two.stage, two.clips, two.batch, two.steps_per_epoch, two.steps) == (
        "stage_two",
        8,
        3,
        1,
        2,
    )
    assert planned.left_out == {"fpv": {}, "tpv": {}}


class Flat(nn.Module):
    """Pixels as features, so that what is kept is known."""

    feature_dim = 3 * 4 * 8 * 8

    def forward(self, clips):
        return clips.flatten(1)


def test_activations_are_counted_once_and_weights_are_not():
    class Model(nn.Sequential):
        def forward(self, clips):
            return super().forward(clips["x"])

    net = Model(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 5)).to("meta")
    # The input, 7 x 10 floats, and what ReLU gives, 7 x 20, kept by two layers; twice no more.
    assert _kept_for_backward(net, {"x": torch.empty(7, 10, device="meta")}) == 4 * 7 * 30


def test_memory_of_a_model_without_activations_of_its_own(world):
    chosen = config.load(
        world.pipelines / "small.toml", ["input.crop=8", "input.short_side=[8, 8]"]
    )
    model = TwoView({"fpv": Branch(Flat(), [], 0.0)})
    clips = 5 * 3 * 4 * 8 * 8
    assert memory_bytes(model, chosen, 5) == 4 * clips


def test_the_command(world, sumlctl):
    shown = sumlctl("train", "small", "--dry-run")
    assert shown.code == 0, shown.err
    assert 'name = "sum-l"' in shown.out
    assert "fpv.encoder" in shown.out and "stage_two" in shown.out
    assert "tpv clips without frames: none" in shown.out
    assert not (world.root / "runs").exists()
    told = json.loads(sumlctl("train", "small", "--dry-run", "--json").out)
    assert told["stages"][1]["clips"] == 8
    assert told["pipeline"]["loss"]["options"]["threshold"] == 0.5


@pytest.mark.parametrize("more", [(), ("--method", "fpv-only")])
def test_more_devices_than_pairs_are_refused(workspace, sumlctl, more):
    """Eight clips are no two each for five processes; nothing is divided by zero."""
    small_world.build(workspace)
    for devices in ("5", "64"):
        for dry in (("--dry-run",), ()):
            refused = sumlctl("train", "small", "--devices", devices, *more, *dry)
            assert refused.code == 1
            assert "too few clips to train on, got 8; expected at least 2 per device" in refused.err
            assert "unexpected" not in refused.err
    planned = sumlctl("train", "small", "--devices", "4", *more, "--dry-run", "--json")
    assert planned.code == 0


def test_a_dry_run_names_videos_that_are_gone_and_weights(world, sumlctl):
    for i in (0, 1, 2):
        (world.data("ego", "videos") / f"v{i}.mp4").unlink()
    done = sumlctl("train", "small", "--dry-run")
    assert done.code == 0
    first = world.data("ego", "videos").absolute() / "v0.mp4"
    assert f"missing: 3 of 8 fpv videos, such as {first}" in done.out
    assert "tpv videos" not in done.out
    assert "missing: weights to start from: encoders.init is empty" in done.out
    told = json.loads(sumlctl("train", "small", "--dry-run", "--json").out)["missing"]
    assert [text.split(",")[0] for text in told] == ["3 of 8 fpv videos", told[1].split(",")[0]]


def test_a_dry_run_without_its_weights_tells_the_rest_too(world, sumlctl):
    (world.data("exo", "videos") / "v5.mp4").unlink()
    done = sumlctl("train", "small", "--dry-run", "--init", "absent.pyth")
    assert done.code == 1
    assert "missing: 1 of 8 tpv videos" in done.out
    assert "error: encoders.init: weights file is missing, got 'absent.pyth'" in done.err
    assert 'init = "absent.pyth"' in done.out
    for dataset in ("ego", "exo"):
        small_world.write_videos_table(
            world, dataset, world.data(dataset, "videos"), status=["missing"] * 8
        )
    nothing = sumlctl("train", "small", "--dry-run", "--init", "absent.pyth")
    assert nothing.code == 1
    assert "warning: encoders.init: weights file is missing" in nothing.err
    assert "no fpv clip of split train has a video" in nothing.err
