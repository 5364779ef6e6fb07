"""`eval` as it is typed: comparisons, confusion, and options that make no sense."""

from __future__ import annotations

import json

import pytest

from sumlctl import config
from sumlctl.learning.training.train import train
from tests.unit.learning import small_world


@pytest.fixture
def world(workspace):
    small_world.build(workspace)
    for run, epochs in (("better", 30), ("worse", 1)):
        settings = [f"stage_two.epochs={epochs}", "loss.name=fpv-only"]
        train(workspace, config.load(workspace.pipelines / "small.toml", settings), run)
    return workspace


def test_two_runs_are_compared(world, sumlctl):
    assert sumlctl("eval", "worse").code == 0
    shown = sumlctl("eval", "better", "--against", "worse", "--confusion")
    assert shown.code == 0, shown.err
    assert "worse → better" in shown.out and "colour 3" in shown.out
    told = json.loads(sumlctl("eval", "better", "--against", "worse", "--json").out)
    verb = next(r for r in told["comparison"] if (r["task"], r["k"]) == ("verb", 1))
    assert verb["difference"] == pytest.approx(verb["second"] - verb["first"])
    assert len(told["class_gains"]) == 10
    bad = sumlctl("eval", "better", "--sls", "2,3")
    assert (bad.code, "not three supervision levels" in bad.err) == (1, True)


def test_the_receipt_tells_another_split(world, sumlctl):
    path = world.run("worse") / "receipts" / "eval.json"
    for words, split in (((), None), (("--split", "train"), "train")):
        assert sumlctl("eval", "worse", "--views", "1x1", *words).code == 0
        assert json.loads(path.read_text())["settings"].get("split") == split
