"""Training over videos that are broken, and over some that harm the decoder."""

from __future__ import annotations

import json
import os
import signal

import numpy as np
import polars as pl
import pytest
import torch

from sumlctl import config, tables
from sumlctl.errors import Interrupted, SumlError
from sumlctl.learning.training import trainer
from sumlctl.learning.training.train import train
from tests.processes import workers
from tests.unit.learning import hostile, small_world
from tests.unit.learning.hostile import decoder_stub  # noqa: F401, a fixture

SETTINGS = (*hostile.LIMITS, "workers=2", "stage_one.batch_size=2", "stage_two.batch_size=2")


def pipeline(workspace, *overrides: str):
    return config.load(workspace.pipelines / "small.toml", overrides)


def log(folder, event):
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [line for line in lines if line["event"] == event]


def weights(folder):
    return torch.load(folder / "checkpoints" / "stage_two.pt", weights_only=True)["model"]


def same(a, b) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def videos(workspace, dataset):
    return pl.DataFrame(tables.read(workspace.table(dataset, "videos"), "videos"))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_set_with_a_tenth_of_its_files_broken(workspace, capsys, workers):
    """Twenty files of each view; two of each broke after they were indexed."""
    small_world.build(workspace, 20)
    ego, exo = (workspace.data(dataset, "videos") for dataset in ("ego", "exo"))
    (ego / "v3.mp4").write_bytes(b"")
    whole = (ego / "v11.mp4").read_bytes()
    (ego / "v11.mp4").write_bytes(whole[: len(whole) // 2])
    flipped = np.frombuffer((exo / "v3.mp4").read_bytes(), np.uint8).copy()
    rng = np.random.default_rng(0)
    for place, bit in zip(rng.integers(0, len(flipped), 300), rng.integers(0, 8, 300), strict=True):
        flipped[place] ^= 1 << bit
    (exo / "v3.mp4").write_bytes(flipped.tobytes())
    (exo / "v7.mp4").write_bytes(b"<html>404</html>")
    broken = {"stage_one": {"exo/3", "exo/7"}, "stage_two": {"ego/3", "ego/11", "exo/3", "exo/7"}}

    settings = (f"workers={workers}", "stage_one.batch_size=5", "stage_two.batch_size=5")
    folder = train(workspace, pipeline(workspace, *settings))
    said = capsys.readouterr().err
    replaced = log(folder, "clip_replaced")
    for stage, clips in broken.items():
        named = [line["clip_id"] for line in replaced if line["stage"] == stage]
        assert sorted(named) == sorted([*clips, *clips])  # once in each of two epochs
        counted = f"{2 * len(clips)} undecodable clips replaced, {len(clips)} different, "
        assert f"{stage}: {counted}" in said
    for line in replaced:
        dataset, _, number = line["clip_id"].partition("/")
        assert f"{dataset}/videos/v{number}.mp4: " in line["reason"]
    assert (videos(workspace, "exo")["status"] == "ok").all()  # `index` sees changed files anyway


@pytest.fixture
def world(workspace):
    """One file for each deed, in four of eight pairs."""
    small_world.build(workspace)
    for number, (dataset, deed) in enumerate(zip(("ego", "exo") * 2, hostile.DEEDS, strict=True)):
        hostile.corrupt(workspace.data(dataset, "videos") / f"v{2 * number}.mp4", deed)
    return workspace


@pytest.mark.usefixtures("decoder_stub")
def test_hostile_files_are_quarantined_with_their_reasons(world, capsys):
    settings = (*SETTINGS, "max_failed_share=1.0")
    folder = train(world, pipeline(world, *settings))
    assert not workers()
    lost = log(folder, "video_quarantined")
    deeds = dict(zip(("ego/0", "exo/2", "ego/4", "exo/6"), hostile.DEEDS, strict=True))
    assert {line["clip_id"]: line["reason"] for line in lost} == {
        clip: hostile.REASONS[deed] for clip, deed in deeds.items()
    }
    assert len(lost) == 4  # each once, though both stages ask for the third-person ones
    said = capsys.readouterr().err
    for dataset in ("ego", "exo"):
        table = videos(world, dataset).with_columns(clip=pl.format("{}/{}", "dataset", "video_id"))
        for row in table.iter_rows(named=True):
            deed = deeds.get(row["clip"].replace("/v", "/"))
            assert row["status"] == ("unreadable" if deed else "ok")
            assert row["error"] == (hostile.REASONS[deed] if deed else None)
    for line in lost:
        assert f"{line['file']} is in quarantine: {line['reason']}" in said

    assert "4 videos are marked unreadable" in said
    train(world, pipeline(world, *settings, "stage_two.epochs=1"), "after")
    said = capsys.readouterr().err
    assert "training on 4 pairs" in said
    assert "undecodable" not in said
    assert "reused" not in said  # stage one had more clips


@pytest.mark.usefixtures("decoder_stub")
def test_a_run_with_hostile_files_goes_on_as_if_it_had_not_been_stopped(world, monkeypatch):
    settings = (*SETTINGS, "max_failed_share=1.0", "encoders.tpv=same-init")
    clean = {dataset: world.table(dataset, "videos").read_bytes() for dataset in ("ego", "exo")}
    expected = weights(train(world, pipeline(world, *settings), "whole"))
    assert videos(world, "ego")["status"].to_list().count("unreadable") == 2
    for dataset, table in clean.items():
        world.table(dataset, "videos").write_bytes(table)

    original = trainer.StageTrainer._batch

    def with_a_signal(self, content, epoch, batch, waited_s):
        if (epoch, batch) == (0, 2):
            os.kill(os.getpid(), signal.SIGTERM)
        original(self, content, epoch, batch, waited_s)

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(trainer.StageTrainer, "_batch", with_a_signal)
        train(world, pipeline(world, *settings), "parts")
    assert "unreadable" in videos(world, "ego")["status"]  # marked already
    known = len(log(world.run("parts"), "video_quarantined"))
    assert known
    folder = train(world, pipeline(world, *settings), resume="parts")
    assert same(weights(folder), expected)
    assert len(log(folder, "video_quarantined")) == 4


@pytest.mark.usefixtures("decoder_stub")
def test_too_many_hostile_files_stop_the_run(world):
    with pytest.raises(SumlError, match="stage_one: too many clips cannot be decoded"):
        train(world, pipeline(world, *SETTINGS))
    assert not workers()
