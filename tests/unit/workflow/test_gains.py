"""What the setups of a sweep gain over one of them, as `compare` tells it."""

from __future__ import annotations

import csv
import json
from statistics import fmean

import pytest

from sumlctl import tables
from sumlctl.cli.app import app
from sumlctl.cli.run import perform
from sumlctl.workflow import recipe
from sumlctl.workspace import Workspace
from tests.unit.workflow import tiny

SWEEP = '[[matrix]]\nloss.name = ["fpv-only", "sum-l"]\nseed = [0, 1, 2]\n'


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    workspace = Workspace(tmp_path_factory.mktemp("seeded"))
    tiny.build(workspace, SWEEP)
    for card in workspace.manifests.glob("tiny-*.toml"):  # an interval takes two videos
        card.write_text(card.read_text().replace("val = 7", "val = 12"), encoding="utf-8")
    perform(app, recipe.read("tiny", workspace), workspace)
    return workspace


def top_1(workspace, method, seed, task):
    path = workspace.run(f"tiny.{method}.seed-{seed}") / "metrics.parquet"
    rows = tables.read(path, "metrics").to_pylist()
    (value,) = (
        r["value"] for r in rows if (r["task"], r["metric"], r["k"]) == (task, "accuracy", 1)
    )
    return value


def test_a_gain_is_the_mean_of_the_seeds_differences(seeded, sumlctl, tmp_path):
    figure = tmp_path / "gains.svg"
    words = ("compare", "tiny", "--against", "fpv-only", "--workspace", str(seeded.root))
    told = sumlctl(*words, "--json", "--out", str(figure))
    assert told.code == 0, told.err
    rows = json.loads(told.out)
    for task in ("verb", "noun"):
        (row,) = (r for r in rows if (r["task"], r["metric"], r["k"]) == (task, "accuracy", 1))
        before, after = (
            [top_1(seeded, method, seed, task) for seed in range(3)]
            for method in ("fpv-only", "sum-l")
        )
        assert row["difference"] == pytest.approx(fmean(after) - fmean(before), abs=1e-9)
        assert row["ci_low"] <= row["difference"] <= row["ci_high"]
    assert figure.read_text().lstrip().startswith("<?xml")
    with figure.with_suffix(".csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(rows)
    assert "sum-l" in sumlctl(*words).out
    fewer = sumlctl(*words, "--json", "--set", "seed=1").err
    assert "sum-l is left out: 1 of its seeds evaluated as fpv-only's" in fewer


def test_what_cannot_be_compared(seeded, sumlctl, workspace):
    there = ("--workspace", str(seeded.root))
    unknown = sumlctl("compare", "tiny", "--against", "sum", *there)
    assert unknown.code == 1
    assert "no such group of cells, got sum; expected sum-l" in unknown.err
    tiny.build(workspace, SWEEP)
    nothing = sumlctl("compare", "tiny", "--against", "fpv-only")
    assert nothing.code == 1
    assert "nothing to compare" in nothing.err
    assert "Run `sumlctl run tiny` first." in nothing.err
