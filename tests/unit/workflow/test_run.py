"""`sumlctl run`: what is done, what is not done again, and what stops it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal

import polars as pl
import pytest

from sumlctl import tables
from sumlctl.learning.training import trainer
from sumlctl.workflow import receipts
from tests.unit.workflow import tiny

PAIRS = "manifests/pairs/tiny-fpv--tiny-tpv.parquet"


def statuses(done) -> dict[str, str]:
    """step -> status, of `run --json`."""
    return {row["step"]: row["status"] for row in json.loads(done.out)}


def commands(out: str) -> list[str]:
    return re.findall(r"\$ sumlctl (\S+ \S+)", out)


def edit(workspace, more: str) -> None:
    tiny.build(workspace, more)


def weights(workspace, run: str) -> bytes:
    return (workspace.run(run) / "checkpoints" / "stage_two.pt").read_bytes()


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
    assert commands(done.out) == []
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
    assert (done.code, commands(done.out)) == (0, [])
    assert "tiny: nothing to do" in done.out


def test_a_new_video_is_noticed_and_what_follows_from_it_done(ran, copied, sumlctl):
    workspace = copied(ran)
    film = next((workspace.data("tiny-tpv", "videos")).glob("*.mp4"))
    os.utime(film, ns=(1, 1))
    done = sumlctl("run", "tiny")
    assert "index tiny-tpv  # input data/tiny-tpv/videos changed" in done.out
    # The videos table has the new time; the clips are the same.
    assert commands(done.out) == ["index tiny-tpv", "train tiny", "eval tiny"]
    assert "input manifests/tiny-tpv/videos.parquet changed" in done.out
    assert (workspace.root / "runs" / "tiny.old" / "metrics.parquet").is_file()


def test_a_changed_setting_is_named(ran, copied, sumlctl):
    workspace = copied(ran)
    edit(workspace, "[mining]\ntop_k = 2")
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
    assert commands(again.out) == ["index tiny-fpv", "index tiny-tpv"]


def test_from_does_a_step_again_and_later_ones_only_if_needed(ran, copied, sumlctl):
    workspace = copied(ran)
    (workspace.root / "data").rename(workspace.root / "gone")  # earlier steps are not looked at
    assert statuses(sumlctl("run", "tiny", "--from", "mine-pairs", "--json")) == {
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
    assert weights(workspace, "tiny.old") == weights(ran, "tiny")
    left = receipts.read(workspace.run("tiny") / "receipts" / "train.json")
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
    assert commands(done.out) == ["train --resume", "eval tiny"]
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


def test_a_sweep_ends_in_one_table_and_shares_its_steps(swept):
    rows = pl.read_parquet(swept.root / "runs" / "tiny.results.parquet")
    assert rows["run"].unique(maintain_order=True).to_list() == ["tiny.fpv-only", "tiny.sum-l"]
    reported = rows.filter(pl.col("paper").is_not_null())
    assert dict(reported.select("task", "paper").iter_rows()) == {"verb": 0.1, "noun": 0.2}
    for run in ("tiny.fpv-only", "tiny.sum-l"):
        own = pl.read_parquet(swept.run(run) / "metrics.parquet")
        assert rows.filter(pl.col("run") == run)["value"].to_list() == own["value"].to_list()
    assert len(list((swept.manifests / "receipts").glob("*.json"))) == 6


def test_a_cell_that_fails_is_survived_and_named(swept, copied, sumlctl):
    workspace = copied(swept)
    matrix = '[[matrix]]\nloss.name = ["fpv-only", "sum-l", "triplet"]\n'
    edit(workspace, matrix)
    for run in ("tiny.fpv-only", "tiny.sum-l"):
        shutil.rmtree(workspace.run(run))
    workspace.run("tiny.sum-l").mkdir()
    (workspace.run("tiny.sum-l") / "other.bin").touch()
    done = sumlctl("run", "tiny", "--json")
    assert done.code == 1
    found = statuses(done)
    assert (found["train tiny.sum-l"], found["eval tiny.sum-l"]) == ("failed", "not reached")
    assert (found["eval tiny.fpv-only"], found["eval tiny.triplet"]) == ("done", "done")
    assert "warning: train tiny.sum-l failed, going on with the next: " in done.err
    assert "error: tiny: 1 of 3 runs failed, got train tiny.sum-l (" in done.err
    rows = pl.read_parquet(workspace.root / "runs" / "tiny.results.parquet")
    assert set(rows["group"]) == {"fpv-only", "triplet"}
    shutil.rmtree(workspace.run("tiny.sum-l"))
    again = statuses(sumlctl("run", "tiny", "--json"))
    assert [step for step, status in again.items() if status == "done"] == [
        "train tiny.sum-l",
        "eval tiny.sum-l",
    ]


def test_an_unexpected_fault_of_a_cell_leaves_its_traceback(swept, copied, sumlctl, monkeypatch):
    workspace = copied(swept)
    shutil.rmtree(workspace.run("tiny.fpv-only"))

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(trainer.StageTrainer, "fit", broken)
    done = sumlctl("run", "tiny")
    assert done.code == 1
    told = "ZeroDivisionError: a bug (runs/tiny.fpv-only/failed.txt has the traceback)"
    assert f"train tiny.fpv-only failed, going on with the next: {told}" in done.err
    text = (workspace.run("tiny.fpv-only") / "failed.txt").read_text()
    assert text.startswith("Traceback")


def test_an_equal_run_of_another_pipeline_is_taken_over(swept, copied, sumlctl):
    workspace = copied(swept)
    other = 'extends = "tiny"\nmatrix = []\nsteps = ["train", "eval"]\nloss = { name = "fpv-only" }'
    (workspace.pipelines / "other.toml").write_text(other)
    done = sumlctl("run", "other")
    assert done.code == 0
    assert "train other: the same as runs/tiny.fpv-only, taken over" in done.err
    assert commands(done.out) == ["eval other"]
    assert weights(workspace, "other") == weights(swept, "tiny.fpv-only")
    assert "nothing to do" in sumlctl("run", "other").out


def test_results_so_far(swept, copied, sumlctl):
    copied(swept)
    shown = sumlctl("run", "tiny", "--results").out
    assert "verb accuracy@1" in shown
    assert "(paper 10.0)" in shown
    rows = json.loads(sumlctl("run", "tiny", "--results", "--json").out)
    assert {row["run"] for row in rows} == {"tiny.fpv-only", "tiny.sum-l"}


def test_a_fault_in_one_cell_is_told_before_the_first_is_trained(workspace, sumlctl):
    tiny.build(workspace, "[[matrix]]\nhead.dropout = [0.1, 7]")
    done = sumlctl("run", "tiny")
    assert (done.code, done.out) == (1, "")
    assert "dropout-7: a fault in the pipeline, got head.dropout = 7.0 is not at most" in done.err


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
