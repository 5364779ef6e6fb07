"""`sumlctl run`: what is done, what is not done again, and what stops it."""

from __future__ import annotations

import json
import os
import shutil
import signal

import polars as pl
import pytest

from sumlctl import tables
from sumlctl.learning.training import trainer
from sumlctl.workflow import records
from tests.unit.workflow import tiny

PAIRS = "manifests/pairs/tiny-fpv--tiny-tpv.parquet"


def test_every_step_leaves_its_outputs_and_its_receipt(ran):
    for name in (
        "manifests/tiny-fpv/clips.parquet",
        "manifests/tiny-tpv/narrations.hashed.parquet",
        PAIRS,
        "figures/tiny.png",
        "runs/tiny/checkpoints/stage_two.pt",
        "runs/tiny/metrics.parquet",
    ):
        assert (ran.root / name).is_file()
    assert {path.stem for path in ran.receipts()} == {
        "index.tiny-fpv",
        "index.tiny-tpv",
        "embed.tiny-fpv.hashed",
        "embed.tiny-tpv.hashed",
        "mine-pairs.tiny-fpv--tiny-tpv",
        "histogram.figures.tiny.png",
        "train",
        "eval",
    }


def test_what_is_up_to_date_is_left_alone(ran, copied, sumlctl):
    workspace = copied(ran)
    before = {path: path.stat().st_mtime_ns for path in workspace.root.rglob("*")}
    done = sumlctl("run", "tiny")
    assert done.code == 0
    assert "tiny: nothing to do" in done.out
    assert tiny.commands(done.out) == []
    assert {path: path.stat().st_mtime_ns for path in workspace.root.rglob("*")} == before


def test_work_done_by_hand_counts(workspace, sumlctl, tmp_path):
    """Even where the annotations and videos lie elsewhere."""
    tiny.build(workspace)
    for name in ("tiny-fpv", "tiny-tpv"):
        folders = [str(tmp_path / "elsewhere" / name / kind) for kind in ("notes", "films")]
        assert sumlctl("index", name, "--annotations", folders[0], "--videos", folders[1]).code == 0
    assert sumlctl("embed", "--encoder", "hashed").code == 0
    assert sumlctl("mine-pairs", "--fpv", "tiny-fpv", "--tpv", "tiny-tpv").code == 0
    figure = str(workspace.root / "figures" / "tiny.png")
    assert sumlctl("histogram", "--out", figure).code == 0
    assert sumlctl("train", "tiny", "--run", "tiny").code == 0
    assert sumlctl("eval").code == 0
    done = sumlctl("run", "tiny")
    assert (done.code, tiny.commands(done.out)) == (0, [])
    assert "tiny: nothing to do" in done.out


def test_a_new_video_is_noticed_and_what_follows_from_it_done(ran, copied, sumlctl):
    workspace = copied(ran)
    film = next((workspace.data("tiny-tpv", "videos")).glob("*.mp4"))
    os.utime(film, ns=(1, 1))
    done = sumlctl("run", "tiny")
    assert "index tiny-tpv  # input data/tiny-tpv/videos changed" in done.out
    # The videos table has the new time; the clips are the same.
    assert tiny.commands(done.out) == ["index tiny-tpv", "train tiny", "eval tiny"]
    assert "input manifests/tiny-tpv/videos.parquet changed" in done.out
    assert (workspace.root / "runs" / "tiny.old" / "metrics.parquet").is_file()


def test_a_changed_setting_is_named(ran, copied, sumlctl):
    workspace = copied(ran)
    tiny.build(workspace, "[mining]\ntop_k = 2")
    told = sumlctl("run", "tiny", "--dry-run").out
    assert "mine-pairs tiny-fpv--tiny-tpv: will run: setting top_k = 2, was 1" in told
    assert "train tiny: may run: depends on what mine-pairs tiny-fpv--tiny-tpv makes" in told
    assert "embed tiny-fpv hashed: up to date" in told


def test_neutral_settings_change_nothing(ran, copied, sumlctl):
    workspace = copied(ran)
    path = workspace.pipelines / "tiny.toml"
    path.write_text(path.read_text().replace('title = "Tiny"', 'title = "Other"\nseed = 0'))
    done = sumlctl("run", "tiny", "--set", "workers=1", "--set", "log.every=7")
    assert "tiny: nothing to do" in done.out


def test_a_dry_run_tells_the_work_and_does_nothing(workspace, sumlctl):
    tiny.build(workspace)
    done = sumlctl("run", "tiny", "--dry-run")
    assert done.code == 0
    assert "train tiny: will run: not done yet (known after the steps before it)" in done.out
    assert not (workspace.manifests / "receipts").exists()


def test_a_dry_run_counts_what_it_can(ran, copied, sumlctl):
    workspace = copied(ran)
    shutil.rmtree(workspace.manifests / "receipts")
    shutil.rmtree(workspace.root / "runs")
    rows = json.loads(sumlctl("run", "tiny", "--dry-run", "--json").out)["steps"]
    work = {row["step"].split()[0]: row["work"] for row in rows}
    assert work["embed"] == "0 of 21 narrations to encode"
    assert work["mine-pairs"] == "14 first-person clips"
    # 14 clips in batches of 4, those left over wait for the next epoch
    assert work["train"] == (
        "1 epochs of 3 steps, 14 third-person clips; 1 epochs of 3 steps, 14 pairs"
    )
    assert work["eval"] == "7 clips in 1x1 views"


def test_an_edited_table_stops_the_run(ran, copied, sumlctl):
    workspace = copied(ran)
    path = workspace.table("tiny-fpv", "clips")
    table = tables.read(path, "clips")
    rows = pl.DataFrame(table).with_columns(narration=pl.lit("wash the dog"))
    extra = {"vocabulary": tables.metadata(table, "vocabulary"), "videos_root": "data/x"}
    tables.write(rows.to_arrow(), path, "clips", inputs={}, config={}, extra=extra)
    done = sumlctl("run", "tiny")
    assert done.code == 1
    (line,) = (line for line in done.err.splitlines() if line.startswith("error: "))
    assert line == (
        "error: manifests/tiny-fpv/clips.parquet: edited since `index tiny-fpv` wrote it, got "
        "other content; expected what the step's receipt says. Make it anew with `--from index`, "
        "or go on with it as it is by `--from embed`."
    )
    assert "index tiny-fpv: edited" in sumlctl("run", "tiny", "--dry-run").out
    again = sumlctl("run", "tiny", "--from", "index")
    assert again.code == 0
    # The table is as it was, and so is all that was made from it.
    assert tiny.commands(again.out) == ["index tiny-fpv", "index tiny-tpv"]


def test_from_does_a_step_again_and_later_ones_only_if_needed(ran, copied, sumlctl):
    workspace = copied(ran)
    (workspace.root / "data").rename(workspace.root / "gone")  # earlier steps are not looked at
    assert tiny.statuses(sumlctl("run", "tiny", "--from", "mine-pairs", "--json")) == {
        "index tiny-fpv": "left out",
        "index tiny-tpv": "left out",
        "embed tiny-fpv hashed": "left out",
        "embed tiny-tpv hashed": "left out",
        "mine-pairs tiny-fpv--tiny-tpv": "done",
        "histogram figures/tiny.png": "up to date",
        "train tiny": "up to date",
        "eval tiny": "up to date",
    }


def test_from_train_keeps_the_earlier_run(ran, copied, sumlctl):
    workspace = copied(ran)
    assert sumlctl("run", "tiny", "--from", "train").code == 0
    assert {folder.name for folder in workspace.runs()} == {"tiny", "tiny.old"}
    assert tiny.weights(workspace, "tiny.old") == tiny.weights(ran, "tiny")
    left = records.read(workspace.run("tiny") / "receipts" / "train.json")
    assert left.command == ["train", "tiny", "--run", "tiny"]


@pytest.mark.parametrize("step", ["fly", "cam"])
def test_from_a_step_that_the_pipeline_has_not(ran, copied, sumlctl, step):
    copied(ran)
    done = sumlctl("run", "tiny", "--from", step)
    assert done.code == 1
    assert f"error: --from: no such step in the pipeline, got '{step}'; expected index," in done.err


def test_an_interrupted_training_goes_on(ran, copied, sumlctl, monkeypatch):
    workspace = copied(ran)
    shutil.rmtree(workspace.run("tiny"))
    original = trainer.StageTrainer._batch

    def batch(self, content, epoch, at, waited_s):
        if (self.savepoints.stage, at) == ("stage_two", 1):
            os.kill(os.getpid(), signal.SIGTERM)
        original(self, content, epoch, at, waited_s)

    with monkeypatch.context() as patch:
        patch.setattr(trainer.StageTrainer, "_batch", batch)
        stopped = sumlctl("run", "tiny")
    assert stopped.code == 128 + signal.SIGTERM
    assert "go on with `sumlctl train --resume tiny`, or with the same `sumlctl run`" in stopped.err
    done = sumlctl("run", "tiny")
    assert done.code == 0
    assert tiny.commands(done.out) == ["train --resume", "eval tiny"]
    assert "stage_two: goes on at epoch 0" in done.err
    ended = pl.read_parquet(workspace.run("tiny") / "predictions.parquet")
    assert ended.equals(pl.read_parquet(ran.run("tiny") / "predictions.parquet"))
    assert "nothing to do" in sumlctl("run", "tiny").out


def test_a_folder_of_another_program(ran, copied, sumlctl):
    workspace = copied(ran)
    shutil.rmtree(workspace.run("tiny"))
    workspace.run("tiny").mkdir()
    (workspace.run("tiny") / "model.bin").write_text("mine")
    done = sumlctl("run", "tiny")
    assert (done.code, (workspace.run("tiny") / "model.bin").read_text()) == (1, "mine")
    assert "runs/tiny: not a run of sumlctl, got no pipeline.toml" in done.err


def test_weights_that_are_not_there_are_told_before_anything_is_done(workspace, sumlctl):
    tiny.build(workspace, '[encoders]\ninit = "SLOW_8x8_R50.pyth"')
    done = sumlctl("run", "tiny")
    expected = workspace.root / "data" / "weights" / "SLOW_8x8_R50.pyth"
    assert (done.code, done.out) == (1, "")
    assert (
        "error: encoders.init: weights file is missing, got 'SLOW_8x8_R50.pyth'; expected the "
        f"file {expected}." in done.err
    )
    told = sumlctl("run", "tiny", "--dry-run").out
    assert "missing: weights SLOW_8x8_R50.pyth" in told


@pytest.mark.parametrize("variable", ["WORLD_SIZE", "SLURM_STEP_NUM_TASKS"])
def test_several_processes_of_run_are_refused(workspace, sumlctl, monkeypatch, variable):
    tiny.build(workspace)
    monkeypatch.setenv(variable, "2")
    assert "error: run: started several times over" in sumlctl("run", "tiny").err


def test_several_machines_are_refused(ran, copied, sumlctl):
    copied(ran)
    done = sumlctl("run", "tiny", "--set", "nodes=2")
    assert "error: nodes: `sumlctl run` trains on one machine, got 2; expected 1." in done.err


def test_a_pipeline_without_datasets(sumlctl):
    done = sumlctl("run", "sum-l")
    assert "leaves its datasets open, got no data.fpv and no data.tpv;" in done.err
