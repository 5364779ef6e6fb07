"""Both stages of a run: what they start from, what they keep, and how a run goes on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
from dataclasses import asdict

import pytest
import torch

from sumlctl import config, tables
from sumlctl.errors import Interrupted, SumlError
from sumlctl.learning.data import clips
from sumlctl.learning.training import stage_one, trainer
from sumlctl.learning.training import train as module
from sumlctl.learning.training.prepare import prepare
from sumlctl.learning.training.train import train
from tests.builders import write_clips
from tests.unit.learning import small_world

KERNEL = "encoder.layers.0.0.weight"
STILL = ("stage_two.learning_rate=1e-30", "stage_two.epochs=1")


@pytest.fixture
def world(workspace):
    small_world.build(workspace)
    return workspace


def pipeline(workspace, *overrides: str, profile: str | None = None):
    return config.load(workspace.pipelines / "small.toml", overrides, profile)


def weights(folder, stage: str = "stage_two"):
    return torch.load(folder / "checkpoints" / f"{stage}.pt", weights_only=True)["model"]


def same(a, b) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def interrupt_at(monkeypatch, stage: str, epoch: int, batch: int) -> None:
    """SIGTERM in the middle of one batch."""
    original = trainer.StageTrainer._batch

    def batch_with_a_signal(self, content, at_epoch, at_batch, waited_s):
        if (self.savepoints.stage, at_epoch, at_batch) == (stage, epoch, batch):
            os.kill(os.getpid(), signal.SIGTERM)
        original(self, content, at_epoch, at_batch, waited_s)

    monkeypatch.setattr(trainer.StageTrainer, "_batch", batch_with_a_signal)


@pytest.mark.parametrize(
    ("stage", "epoch", "batch"), [("stage_one", 0, 0), ("stage_one", 1, 3), ("stage_two", 1, 1)]
)
def test_a_run_that_was_stopped_ends_bit_for_bit_as_one_that_was_not(
    world, monkeypatch, stage, epoch, batch
):
    settings = ("stage_one.batch_size=2", "stage_two.batch_size=2", "head.dropout=0.5")
    whole = train(world, pipeline(world, *settings), "whole")
    expected = {name: weights(whole, name) for name in ("stage_one", "stage_two")}
    shutil.rmtree(whole)  # its stage one would be reused
    with monkeypatch.context() as patch, pytest.raises(Interrupted, match="--resume parts"):
        interrupt_at(patch, stage, epoch, batch)
        train(world, pipeline(world, *settings, "seed=0"), "parts")
    stopped = torch.load(world.run("parts") / "checkpoints" / "latest.pt", weights_only=True)
    assert (stopped["stage"], stopped["position"]) == (stage, (epoch, batch + 1))
    folder = train(world, pipeline(world, *settings), resume="parts")
    assert folder == world.run("parts")
    for name, weight in expected.items():
        assert same(weights(folder, name), weight)
    assert train(world, pipeline(world, *settings), resume="parts") == folder


def test_a_run_does_not_go_on_with_other_settings_or_tables(world, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        interrupt_at(patch, "stage_two", 0, 0)
        train(world, pipeline(world), "stopped")
    with pytest.raises(SumlError, match=r"settings changed .* got loss\.sigma = 0\.2, was 0\.1;"):
        train(world, pipeline(world, "loss.sigma=0.2"), resume="stopped")
    with pytest.raises(SumlError, match=r"no such run, got 'stoppe'.*stopped"):
        train(world, pipeline(world), resume="stoppe")
    small_world.write_pairs(world, note="made again")
    with pytest.raises(SumlError, match=r"tables changed .* got manifests/pairs/ego--exo\.parquet"):
        train(world, pipeline(world), resume="stopped")
    small_world.write_pairs(world)
    train(world, pipeline(world, "log.every=7", "cache_mb=0"), resume="stopped")


def test_stage_one_is_reused_while_its_inputs_are_the_same(world, capsys):
    first = train(world, pipeline(world), "first")
    capsys.readouterr()
    second = train(world, pipeline(world, "loss.name=triplet", "stage_two.epochs=1"), "second")
    assert "stage_one: the same as in runs/first, reused" in capsys.readouterr().err
    assert same(weights(first, "stage_one"), weights(second, "stage_one"))
    for changed in ("seed=1", "stage_one.epochs=1", "optimiser.momentum=0.8", "backbone.width=4"):
        train(world, pipeline(world, changed, *STILL))
        assert "reused" not in capsys.readouterr().err
    table = tables.read(world.table("exo", "clips"), "clips")
    vocabulary = {"vocabulary": tables.metadata(table, "vocabulary")}
    path = world.table("exo", "clips")
    tables.write(table, path, "clips", inputs={"new": ""}, config={}, extra=vocabulary)
    train(world, pipeline(world, *STILL))
    assert "reused" not in capsys.readouterr().err


def test_a_stage_one_of_other_inputs_is_trained_again_when_a_run_goes_on(
    world, monkeypatch, capsys
):
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        interrupt_at(patch, "stage_two", 0, 0)
        train(world, pipeline(world), "stopped")
    checkpoints = world.run("stopped") / "checkpoints"
    (checkpoints / "stage_one.pt").unlink()  # not needed any more: latest.pt is of stage two
    train(world, pipeline(world), resume="stopped")
    assert "stage_two: goes on" in capsys.readouterr().err
    assert not (checkpoints / "stage_one.pt").exists()

    train(world, pipeline(world, "seed=5"), "other")
    (world.run("other") / "checkpoints" / "stage_two.pt").unlink()
    foreign = world.run("stopped") / "checkpoints" / "stage_one.pt"
    foreign.write_bytes(b"damaged")  # of another run: said, and passed over
    own = world.run("other") / "checkpoints" / "stage_one.pt"
    content = torch.load(own, weights_only=True)
    torch.save({**content, "key": "of other inputs"}, own)
    train(world, pipeline(world, "seed=5"), resume="other")
    assert torch.load(own, weights_only=True)["key"] == content["key"]
    assert "not a checkpoint" in capsys.readouterr().err


def test_encoder_setups_of_table_6(world):
    original = train(world, pipeline(world, *STILL), "original")
    trained = weights(original, "stage_one")[f"tpv.{KERNEL}"]
    assert torch.equal(weights(original)[f"tpv.{KERNEL}"], trained)

    moving = ("encoders.tpv=frozen", "stage_two.epochs=2")
    frozen = train(world, pipeline(world, *moving), "frozen")
    after = weights(frozen)
    kept = {n: w for n, w in weights(frozen, "stage_one").items() if "encoder" in n}
    assert all(torch.equal(after[name], weight) for name, weight in kept.items())

    shared = weights(train(world, pipeline(world, "encoders.tpv=shared"), "shared"))
    assert torch.equal(shared[f"tpv.{KERNEL}"], shared[f"fpv.{KERNEL}"])
    same = weights(train(world, pipeline(world, "encoders.tpv=same-init", *STILL), "same"))
    assert torch.equal(same[f"tpv.{KERNEL}"], same[f"fpv.{KERNEL}"])
    for setup in ("shared", "same-init"):
        train(world, pipeline(world, f"encoders.tpv={setup}", *STILL), setup + ".run")
        assert not (world.run(setup + ".run") / "checkpoints" / "stage_one.pt").exists()


def test_both_encoders_start_from_a_weights_file(world, capsys):
    before = train(world, pipeline(world), "before")
    init = f"encoders.init={before}/checkpoints/stage_two.pt"
    folder = train(world, pipeline(world, init, "encoders.tpv=same-init", *STILL), "after")
    assert "fpv encoder: " in capsys.readouterr().err
    start, end = weights(before), weights(folder)
    for view in ("fpv", "tpv"):  # the same initialisation: the first-person one for both
        assert torch.equal(end[f"{view}.{KERNEL}"], start[f"fpv.{KERNEL}"])
        assert not torch.equal(end[f"{view}.heads.noun.weight"], start[f"{view}.heads.noun.weight"])
    each = train(world, pipeline(world, init, "stage_one.learning_rate=1e-30", *STILL), "each")
    for view in ("fpv", "tpv"):
        assert torch.equal(weights(each)[f"{view}.{KERNEL}"], start[f"{view}.{KERNEL}"])
    shared = weights(train(world, pipeline(world, init, "encoders.tpv=shared", *STILL), "one"))
    assert torch.equal(shared[f"tpv.{KERNEL}"], start[f"fpv.{KERNEL}"])
    with pytest.raises(SumlError, match=r"encoders\.init: weights file is missing, got 'gone.pt'"):
        train(world, pipeline(world, "encoders.init=gone.pt"))
    assert not world.run("ego.sum-l").exists()


def test_the_released_codes_way(world):
    with pytest.raises(SumlError, match=r"mined another way, got --match text; .* --match labels"):
        prepare(world, pipeline(world, profile="released-code"))
    small_world.write_pairs(world, match="labels")
    folder = train(world, pipeline(world, "stage_two.epochs=1", profile="released-code"))
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    steps = [line for line in lines if line["event"] == "steps"]
    assert {line["stage"] for line in steps} == {"stage_two"}
    assert "l_a" in steps[0]["terms"]
    assert config.load(folder / "pipeline.toml").profile == "released-code"


def test_every_optimiser_setting_trains(world):
    settings = ("optimiser.name=adamw", "optimiser.accumulate=2", "optimiser.clip_norm=1.0")
    more = ("stage_two.batch_size=2", "gather_negatives=true", "precision=bf16-mixed")
    folder = train(world, pipeline(world, *settings, *more))
    assert all(torch.isfinite(weight).all() for weight in weights(folder).values())


def test_a_projection_that_cannot_be_compared_with_narrations(world):
    with pytest.raises(SumlError, match=r"projection\.size: sum-l compares .* got 5; expected 8, "):
        prepare(world, pipeline(world, "projection.size=5"))
    other = pipeline(world, "projection.size=5", "loss.name=typical-cl")
    assert prepare(world, other).dimension == 5


def test_too_few_clips_for_the_devices(world):
    with pytest.raises(SumlError, match="stage_one: too few clips to train on, got 1"):
        write_clips(
            world,
            "exo",
            small_world.NAMES,
            vocabulary=small_world.VOCABULARY,
            viewpoint=["tpv"] * 8,
            video_id=["v0"] * 8,
            status=["ok", *["no_video"] * 7],
        )
        alone = prepare(world, pipeline(world, "loss.name=fpv-only"))
        assert alone.dimension is None
        tpv = clips.load(world, ["exo"], "tpv", "train")
        fabric = module.launch(1, "32-true")
        run = module._Run(world, alone, alone.pipeline, fabric, world.root, *[None] * 3)
        data = module.stages.stage_one_data(alone.pipeline, tpv, {"tpv": alone.tasks["fpv"]})
        run._fit(
            "stage_one", alone.pipeline.stage_one, run._model(data.tasks, None), data, None, {}
        )


def test_stage_one_key_of_settings_that_came_later(world):
    """At its default such a setting is in no key, as in those of earlier versions; else it is."""
    usual = pipeline(world)
    parts = ("seed", "precision", "devices", "nodes", "compile", "input", "backbone", "head")
    said = {part: asdict(usual)[part] for part in (*parts, "stage_one", "optimiser")}
    del said["input"]["rate"]
    nothing = {"tasks": [], "quarantined": {}, "init": "", "tables": {}}
    earlier = json.dumps({"settings": said, "split": "train"} | nothing, sort_keys=True)
    key = stage_one.key(world, usual, [], {}, {})
    assert key == hashlib.sha256(earlier.encode()).hexdigest()
    others = ("decoder=decord", "decoder=pyav", "input.rate=60", "input.rate=30")
    keys = {stage_one.key(world, pipeline(world, other), [], {}, {}) for other in others}
    assert len(keys | {key}) == 5


def test_train_and_evaluate_by_decord(world, sumlctl, capsys):
    """The clips of a plain colour are the same by either decoder, and so is every loss."""
    pytest.importorskip("decord")
    losses = {}
    for decoder in ("pyav", "decord"):
        done = sumlctl("train", "small", "--run", decoder, "--decoder", decoder)
        assert done.code == 0, done.err
        assert config.load(world.run(decoder) / "pipeline.toml").decoder == decoder
        lines = (world.run(decoder) / "log.jsonl").read_text().splitlines()
        assert not any("clip_replaced" in line for line in lines)
        losses[decoder] = [e["loss"] for e in map(json.loads, lines) if "loss" in e]
    assert losses["pyav"]
    assert losses["decord"] == pytest.approx(losses["pyav"], rel=0.1)
    assert sumlctl("eval", "decord").code == 0
    assert "is up to date" in sumlctl("eval", "decord", "--decoder", "decord").err
    assert "is up to date" not in sumlctl("eval", "decord", "--decoder", "auto").err
