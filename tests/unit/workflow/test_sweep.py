"""`sumlctl run` over a matrix: one table, shared steps, and cells that fail."""

from __future__ import annotations

import json
import shutil

import polars as pl

from sumlctl.learning.training import trainer
from sumlctl.workflow import records
from tests.unit.workflow import tiny


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
    tiny.build(workspace, matrix)
    for run in ("tiny.fpv-only", "tiny.sum-l"):
        shutil.rmtree(workspace.run(run))
    workspace.run("tiny.sum-l").mkdir()
    (workspace.run("tiny.sum-l") / "other.bin").touch()
    done = sumlctl("run", "tiny", "--json")
    assert done.code == 1
    found = tiny.statuses(done)
    assert (found["train tiny.sum-l"], found["eval tiny.sum-l"]) == ("failed", "not reached")
    assert (found["eval tiny.fpv-only"], found["eval tiny.triplet"]) == ("done", "done")
    assert "warning: train tiny.sum-l failed, going on with the next: " in done.err
    assert "error: tiny: 1 of 3 runs failed, got train tiny.sum-l (" in done.err
    rows = pl.read_parquet(workspace.root / "runs" / "tiny.results.parquet")
    assert set(rows["group"]) == {"fpv-only", "triplet"}
    shutil.rmtree(workspace.run("tiny.sum-l"))
    again = tiny.statuses(sumlctl("run", "tiny", "--json"))
    assert [step for step, status in again.items() if status == "done"] == [
        "train tiny.sum-l",
        "eval tiny.sum-l",
    ]


def test_the_page_follows_from_the_runs_that_it_shows_beside(swept, copied, sumlctl):
    workspace = copied(swept)
    path = workspace.pipelines / "tiny.toml"
    path.write_text(path.read_text().replace('"eval"]', '"eval", "report"]'))
    assert tiny.statuses(sumlctl("run", "tiny", "--json"))["report tiny.sum-l"] == "done"
    other = "runs/tiny.fpv-only/predictions.parquet"
    left = records.read(workspace.run("tiny.sum-l") / "receipts" / "report.json")
    assert other in left.inputs
    assert "nothing to do" in sumlctl("run", "tiny").out
    assert sumlctl("eval", "tiny.fpv-only", "--views", "2x1").code == 0
    rows = json.loads(sumlctl("run", "tiny", "--dry-run", "--json").out)["steps"]
    (page,) = (row for row in rows if row["step"] == "report tiny.sum-l")
    assert page["reasons"] == [f"input {other} changed"]


def test_a_page_that_was_written_by_hand_is_no_edit(swept, copied, sumlctl):
    workspace = copied(swept)
    path = workspace.pipelines / "tiny.toml"
    path.write_text(path.read_text().replace('"eval"]', '"eval", "report"]'))
    assert sumlctl("run", "tiny").code == 0
    before = (workspace.run("tiny.sum-l") / "report.html").read_bytes()
    assert sumlctl("report", "tiny.sum-l", "--previews", "0", "--maps", "0").code == 0
    assert (workspace.run("tiny.sum-l") / "report.html").read_bytes() != before
    assert tiny.commands(sumlctl("run", "tiny").out) == ["report tiny.sum-l"]
    assert "nothing to do" in sumlctl("run", "tiny").out


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
    assert tiny.commands(done.out) == ["eval other"]
    assert tiny.weights(workspace, "other") == tiny.weights(swept, "tiny.fpv-only")
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
