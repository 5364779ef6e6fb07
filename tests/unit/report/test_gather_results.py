"""Results, confusions and gains of runs whose predictions are known."""

from __future__ import annotations

import pytest

from sumlctl import tables
from sumlctl.errors import SumlError
from sumlctl.evaluation.evaluate import Request, evaluate
from sumlctl.report.content import results
from sumlctl.report.content.subject import find
from tests.unit.report import told_world


def test_numbers_with_intervals_even_if_eval_gave_none(world) -> None:
    found = results.gather(find(world, "mine"))
    top1 = {row["task"]: row for row in found.metrics if row["k"] == 1}
    assert top1["verb"]["value"] == 7 / 8
    assert top1["noun"]["value"] == 1
    assert top1["verb"]["low"] < 7 / 8 < top1["verb"]["high"] <= 1
    assert (top1["noun"]["low"], top1["noun"]["high"]) == (1, 1)
    assert {row["protocol"] for row in found.metrics} == {"top_k"}
    assert found.missing is None


def test_intervals_of_eval_are_taken_as_they_are(own_world) -> None:
    evaluate(own_world, "mine", Request(scores_only=True, ci=True))
    rows = tables.read(own_world.run("mine") / "metrics.parquet", "metrics").to_pylist()
    measured = results.measured(rows)
    assert len(rows) == 3 * len(measured)
    assert measured == results.gather(find(own_world, "mine")).metrics


def test_what_is_confused_and_what_is_gained(world) -> None:
    found = results.gather(find(world, "mine"))
    assert found.confusions["noun"] == []
    (mistake,) = found.confusions["verb"]
    assert (mistake["true_name"], mistake["predicted_name"]) == ("bright", "dark")
    assert (mistake["count"], mistake["share"]) == (1, 0.25)
    (other,) = found.comparisons
    assert (other.run, other.method) == ("other", "fpv-only")
    gained = {row["task"]: row["difference"] for row in other.differences if row["k"] == 1}
    assert gained == {"verb": 1 / 8, "noun": 2 / 8}
    gains = {(row["task"], row["name"]): row["gain"] for row in other.gains}
    assert gains["verb", "dark"] == 0.5
    assert gains["verb", "bright"] == -0.25
    assert gains["noun", "colour 7"] == 1
    assert found.refused == {}


def test_a_run_over_other_clips_is_refused_by_name(own_world, capsys) -> None:
    path = own_world.run("other") / "predictions.parquet"
    fewer = told_world.predictions("other").slice(0, 7)
    tables.write(fewer, path, "predictions", inputs={}, config={})
    found = results.gather(find(own_world, "mine"))
    assert found.comparisons == []
    assert "other clips" in found.refused["other"] or "lacks" in found.refused["other"]
    assert "not compared with other" in capsys.readouterr().err


def test_metrics_of_other_predictions_are_refused(own_world) -> None:
    path = own_world.run("mine") / "predictions.parquet"
    tables.write(told_world.predictions("other"), path, "predictions", inputs={}, config={})
    with pytest.raises(SumlError, match=r"other predictions than.*sumlctl eval mine"):
        results.gather(find(own_world, "mine"))


def test_a_run_that_is_not_evaluated(own_world) -> None:
    (own_world.run("mine") / "metrics.parquet").unlink()
    with pytest.raises(SumlError, match=r"table is missing.*sumlctl eval"):
        results.gather(find(own_world, "mine"))


def test_one_video_gives_no_interval(own_world) -> None:
    clips = tables.read(own_world.table("ego", "clips"), "clips")
    one = clips.set_column(
        clips.schema.get_field_index("video_id"), "video_id", [["v0"] * clips.num_rows]
    )
    extra = {"vocabulary": tables.metadata(clips, "vocabulary")}
    tables.write(one, own_world.table("ego", "clips"), "clips", inputs={}, config={}, extra=extra)
    found = results.gather(find(own_world, "mine", ["other"]))
    assert all(row["low"] is None for row in found.metrics)
    assert found.missing is not None and "at least two" in found.missing
