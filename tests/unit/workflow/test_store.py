"""Stores in pipelines: what was read from one counts, and how it is made."""

from __future__ import annotations

import json

import pytest

from sumlctl import tables
from sumlctl.config.sections import Data
from sumlctl.tables import provenance
from sumlctl.video.clip_cache import build
from sumlctl.workflow import records, run_steps
from tests.unit.workflow import tiny

FPV, TPV = "store/tiny-fpv/segments.parquet", "store/tiny-tpv/segments.parquet"


def with_decode(workspace, more: str = "") -> None:
    tiny.build(workspace, more)
    path = workspace.pipelines / "tiny.toml"
    path.write_text(path.read_text().replace('"index",', '"index", "decode",', 1))


def settings(workspace, dataset: str) -> set[str]:
    rows = tables.read(workspace.segments(dataset), "segments")
    return set(rows.column("settings").to_pylist())


def test_what_was_read_counts(ran, copied, sumlctl):
    workspace = copied(ran)
    assert FPV not in provenance.of_training(workspace.run("tiny"))
    with_decode(workspace)
    done = sumlctl("run", "tiny")
    # Before, the videos themselves were read.
    assert tiny.commands(done.out) == [
        "decode tiny-fpv",
        "decode tiny-tpv",
        "train tiny",
        "eval tiny",
    ]
    assert f"input {TPV} is new" in done.out
    assert "reused" not in done.err
    stores = {name: tables.digest(workspace.root / name) for name in (FPV, TPV)}
    assert stores.items() <= provenance.of_training(workspace.run("tiny")).items()
    predictions = workspace.run("tiny") / "predictions.parquet"
    assert provenance.of_table(predictions).inputs[FPV] == stores[FPV]
    for step in ("train", "eval"):
        left = records.read(workspace.run("tiny") / "receipts" / f"{step}.json")
        assert left.inputs[FPV].sha256 == stores[FPV]
    assert "tiny: nothing to do" in sumlctl("run", "tiny").out

    # Stage one looks at third-person clips alone.
    assert sumlctl("decode", "tiny-fpv", "--crf", "30").code == 0
    done = sumlctl("run", "tiny")
    assert tiny.commands(done.out) == ["train tiny", "eval tiny"]
    assert f"# input {FPV} changed" in done.out
    assert "stage_one: the same as in runs/tiny.old.2, reused" in done.err  # not runs/tiny.old


def test_predictions_are_those_of_what_is_read(ran, copied, sumlctl):
    copied(ran)
    assert "predictions.parquet is up to date" in sumlctl("eval", "tiny").err
    assert sumlctl("decode", "tiny-fpv").code == 0
    assert "up to date" not in sumlctl("eval", "tiny").err
    assert "predictions.parquet is up to date" in sumlctl("eval", "tiny").err


def test_a_training_does_not_go_on_from_another_source(ran, copied, sumlctl):
    workspace = copied(ran)
    workspace.checkpoint("tiny").unlink()
    assert sumlctl("decode", "tiny-tpv").code == 0
    refused = sumlctl("train", "--resume", "tiny")
    assert refused.code == 1
    assert f"tables changed since the run began, got {TPV};" in refused.err
    workspace.store("tiny-tpv").rename(workspace.root / "aside")
    assert sumlctl("train", "--resume", "tiny").code == 0
    assert tiny.weights(workspace, "tiny") == tiny.weights(ran, "tiny")


def test_activation_maps_come_from_the_stores_too(ran):
    step = run_steps.cam(ran, "tiny", Data("tiny-fpv", ["tiny-tpv"]), {})
    assert {ran.root / FPV, ran.root / TPV} <= set(step.inputs)


def test_a_store_of_fewer_pixels_than_training_takes_is_named_once(ran, copied, sumlctl):
    copied(ran)  # videos of 32x32, short side jittered from 32 to 36
    dry = ("train", "tiny", "--dry-run")
    assert sumlctl("decode", "tiny-fpv", "tiny-tpv").code == 0
    assert "scaled up" not in sumlctl(*dry).err  # as large as the videos are
    assert sumlctl("decode", "tiny-fpv", "tiny-tpv", "--short-side", "24").code == 0
    said = sumlctl(*dry).err
    assert said.count("scaled up") == 1
    assert "up to 36 pixels, and the stores have 24 (tiny-fpv), 24 (tiny-tpv); `sumlctl" in said
    assert "`sumlctl decode tiny-fpv tiny-tpv --short-side 36`" in said
    assert sumlctl("decode", "tiny-tpv", "--short-side", "36").code == 0
    assert "have 24 (tiny-fpv); `sumlctl decode tiny-fpv --short-side 36`" in sumlctl(*dry).err


def test_the_pipeline_says_how_stores_are_made(ran, copied, sumlctl):
    workspace = copied(ran)
    with_decode(workspace)
    assert sumlctl("decode", "tiny-fpv", "--crf", "30").code == 0
    rows = json.loads(sumlctl("run", "tiny", "--dry-run", "--json").out)["steps"]
    words = {row["step"]: row["command"][2:] for row in rows}
    # What was made by hand stays where the pipeline says nothing.
    assert words["decode tiny-fpv"] == ["--crf", "30"]
    assert words["decode tiny-tpv"] == []
    with_decode(workspace, "[decode]\nshort_side = 24\nmargin = 1")
    done = sumlctl("run", "tiny", "--set", "decode.whole=true")
    assert "$ sumlctl decode tiny-tpv --short-side 24 --margin 1.0 --whole  #" in done.out
    assert "setting crf = 22, was 30" in done.out
    for name in ("tiny-fpv", "tiny-tpv"):
        assert settings(workspace, name) == {"x264/2 short-side=24 crf=22"}


@pytest.mark.parametrize("said", ["short_side = 1", "crf = 52", "margin = nan", "margin = -1.0"])
def test_what_a_pipeline_cannot_say_of_stores(workspace, sumlctl, said):
    tiny.build(workspace, f"[decode]\n{said}")
    refused = sumlctl("run", "tiny")
    assert (refused.code, f"decode.{said} is not " in refused.err) == (1, True)


def test_a_store_that_was_begun_is_not_taken_for_finished(ran, copied, sumlctl, monkeypatch):
    workspace = copied(ran)
    with_decode(workspace)
    assert sumlctl("decode", "tiny-fpv").code == 0
    before = records.read(workspace.receipt("decode", "tiny-fpv"))

    def stopped(*_):
        told = records.read(workspace.receipt("decode", "tiny-fpv"))
        assert (told.finished, told.settings["crf"]) == ("", 30)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(build, "_make", stopped)
        assert sumlctl("decode", "tiny-fpv", "--crf", "30").code == 130
    done = sumlctl("run", "tiny", "--dry-run").out
    assert "decode tiny-fpv: will run: it was begun and not finished" in done

    assert sumlctl("decode", "tiny-fpv").code == 0
    monkeypatch.setattr(build, "plan", lambda *_: (_ for _ in ()).throw(OSError(5, "broken")))
    assert sumlctl("decode", "tiny-fpv", "--crf", "30").code == 1
    assert records.read(workspace.receipt("decode", "tiny-fpv")).settings == before.settings
