"""The way back from a file, and where it ends."""

from __future__ import annotations

import json
import shutil

import pytest

from sumlctl.errors import SumlError
from sumlctl.workflow import lineage

CLIPS = "manifests/tiny-fpv/clips.parquet"
PAIRS = "manifests/pairs/tiny-fpv--tiny-tpv.parquet"
TRAINED = "runs/tiny/checkpoints/stage_two.pt"


def ways(trail: dict[str, lineage.File], start: str) -> set[str]:
    """Every file that can be reached."""
    reached, ahead = set(), [start]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += trail[name].sources
    return reached


@pytest.mark.parametrize("start", ["runs/tiny/metrics.parquet", "runs/tiny/predictions.parquet"])
def test_from_a_prediction_to_the_annotations(ran, start):
    trail = lineage.trace(ran, ran.root / start)
    assert next(iter(trail)) == start
    assert ways(trail, start) == set(trail)
    for name in ("fpv", "tpv"):
        notes = trail[f"data/tiny-{name}/annotations/clips.csv"]
        assert (notes.holds, notes.end, notes.status) == ("21 rows", "given", lineage.AS_MADE)
        assert trail[f"data/tiny-{name}/videos"].holds == "3 files"
        assert f"manifests/tiny-{name}.toml" in trail
    clips = trail[CLIPS]
    assert clips.holds == "21 rows (train fpv 14, val fpv 7)"
    assert clips.command == "sumlctl index tiny-fpv"
    assert "av" in clips.made
    assert trail[TRAINED].settings["backbone.name"] == "tiny"
    assert trail[TRAINED].command == "sumlctl train tiny --run tiny"
    assert {file.status for file in trail.values()} == {lineage.AS_MADE}


def test_from_a_figure(ran):
    trail = lineage.trace(ran, ran.root / "figures" / "tiny.png")
    assert trail["figures/tiny.png"].sources == (PAIRS, CLIPS)
    assert trail[PAIRS].settings["encoder"] == "hashed"


def test_without_receipts_tables_and_runs_tell_what_they_can(ran, copied):
    workspace = copied(ran)
    for receipt in workspace.receipts():
        receipt.unlink()
    trail = lineage.trace(workspace, workspace.run("tiny") / "metrics.parquet")
    assert trail["runs/tiny/metrics.parquet"].sources == ("runs/tiny/predictions.parquet",)
    assert trail["runs/tiny/metrics.parquet"].settings["views"] == "1x1"
    assert TRAINED in trail["runs/tiny/predictions.parquet"].sources
    assert PAIRS in trail[TRAINED].sources
    # The clips table names its annotation file, but not where that lies.
    assert trail["clips.csv"].status == lineage.GONE
    figure = lineage.trace(workspace, workspace.root / "figures" / "tiny.png")
    assert [file.end for file in figure.values()] == [
        "no receipt names it: it was made by hand, or by another program"
    ]


def test_what_changed_and_what_is_gone_since(ran, copied):
    workspace = copied(ran)
    (workspace.root / CLIPS).write_bytes(b"edited")
    shutil.rmtree(workspace.data("tiny-tpv", "annotations"))
    trail = lineage.trace(workspace, workspace.run("tiny") / "metrics.parquet")
    assert trail[CLIPS].status == lineage.CHANGED
    assert trail["data/tiny-tpv/annotations/clips.csv"].status == lineage.GONE
    assert trail[TRAINED].status == lineage.AS_MADE


def test_an_earlier_run_that_is_kept_does_not_claim_the_files_of_the_new_one(ran, copied, sumlctl):
    workspace = copied(ran)
    assert sumlctl("run", "tiny", "--from", "train", "--set", "seed=7").code == 0
    kept = "runs/tiny.old/checkpoints/stage_two.pt"
    seeds = {}
    for name in (TRAINED, kept):
        trail = lineage.trace(workspace, workspace.root / name)
        assert {file.status for file in trail.values()} == {lineage.AS_MADE}
        assert trail[name].command.startswith("sumlctl train tiny --run tiny")
        seeds[name] = trail[name].settings["seed"]
    assert seeds == {TRAINED: 7, kept: 0}
    measured = lineage.trace(workspace, workspace.run("tiny.old") / "metrics.parquet")
    assert kept in measured
    assert TRAINED not in measured


def test_no_such_file(ran):
    with pytest.raises(SumlError, match="no such file"):
        lineage.trace(ran, ran.root / "figures" / "none.png")


def test_the_command_draws_a_tree_or_tells_json(ran, copied, sumlctl):
    copied(ran)
    tree = sumlctl("lineage", "runs/tiny/metrics.parquet").out
    assert tree.splitlines()[0].startswith("runs/tiny/metrics.parquet  ")
    assert "$ sumlctl mine-pairs --fpv tiny-fpv --tpv tiny-tpv --encoder hashed" in tree
    assert "decoder PyAV" in tree
    assert f"{CLIPS}  (above)" in tree
    assert max(map(len, tree.splitlines())) < 200
    files = json.loads(sumlctl("lineage", "runs/tiny/metrics.parquet", "--json").out)
    assert files[0]["name"] == "runs/tiny/metrics.parquet"
    assert len({file["name"] for file in files}) == len(files)
