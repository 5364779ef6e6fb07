"""Protocols for any table: which clips and classes count, and what is no table to score."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from sumlctl import tables
from sumlctl.config import registry
from sumlctl.errors import SumlError
from sumlctl.evaluation.protocols import multi_label, top_k
from sumlctl.evaluation.protocols.context import Context
from tests.unit.evaluation import scoring
from tests.unit.evaluation.scoring import clips, predictions

EXACT = {"rel": 0, "abs": 1e-9}


def test_protocols_are_found_by_name():
    known = {"charades_ego", "charades_ego_nan", "ek100", "ek55", "multi_label", "top_k"}
    assert known <= set(registry.names("protocols"))
    assert registry.load("protocols", "top-k") is top_k.score
    # Modules that protocols share are none.
    assert not {"context", "scored", "epic", "charades"} & set(registry.names("protocols"))


def test_top_k_scores_each_task_over_its_labelled_clips():
    seven = [[0.4, 0.3, 0.2, 0.1, 0.0, -0.1, -0.2]]
    both = pl.concat(
        [
            predictions("verb", [[0.9, 0.1], [0.9, 0.1], [0.5, 0.6]], [[0], [1], []]),
            predictions("noun", seven * 3, [[1, 6], [6], [0]]),
        ]
    )
    rows = {(r["task"], r["k"]): (r["value"], r["n_clips"]) for r in top_k.score(both)}
    assert rows["verb", 1] == (0.5, 2)
    assert rows["verb", 5] == (1.0, 2)
    assert rows["noun", 1] == (pytest.approx(1 / 3), 3)
    assert rows["noun", 5] == (pytest.approx(2 / 3), 3)


def test_multi_label_is_the_mean_over_classes_with_positives():
    scores = [[0.9, 0.1, 0.5], [0.8, 0.9, 0.4], [0.1, 0.2, 0.3]]
    (row,) = multi_label.score(predictions("action", scores, [[0], [], [0, 1]]))
    # Class 0: hits at ranks 1 and 3, (1 + 2/3) / 2. Class 1: hit at rank 2, 1/2. Class 2: none.
    assert row["value"] == pytest.approx(((1 + 2 / 3) / 2 + 1 / 2) / 2)
    assert (row["metric"], row["k"], row["n_clips"]) == ("mAP", None, 3)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 7), st.integers(1, 9))
def test_both_by_their_definition_with_ties(seed, classes, levels):
    random = np.random.default_rng(seed)
    scores = scoring.tied(random, 12, classes, levels)
    target = random.integers(0, classes, 12)
    first, fifth = top_k.score(predictions("verb", scores, [[t, 0] for t in target]))
    assert first["value"] == pytest.approx(scoring.top(scores, target, 1), **EXACT)
    assert fifth["value"] == pytest.approx(scoring.top(scores, target, 5), **EXACT)
    (row,) = multi_label.score(predictions("action", scores, [[t] for t in target]))
    each = [average_precision_score(target == c, scores[:, c]) for c in set(target.tolist())]
    assert row["value"] == pytest.approx(np.mean(each), **EXACT)


def test_rows_fit_the_metrics_table():
    rows = top_k.score(predictions("verb", [[0.9, 0.1]], [[0]]))
    full = [{"protocol": "top_k", **row, "n_views": 1} for row in rows]
    assert [set(row) for row in full] == [set(tables.schema("metrics").names)] * 2


def test_classes_one_by_one():
    table = predictions("verb", [[0.9, 0.1], [0.9, 0.1], [0.5, 0.6]], [[0], [1], [1]])
    assert top_k.per_class(table) == [
        {"task": "verb", "class": 0, "positives": 1, "value": 1.0},
        {"task": "verb", "class": 1, "positives": 2, "value": 0.5},
    ]
    assert multi_label.per_class(table) == [
        {"task": "verb", "class": 0, "positives": 1, "value": 0.5},
        {"task": "verb", "class": 1, "positives": 2, "value": pytest.approx((1 + 2 / 3) / 2)},
    ]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("score", [top_k.score, multi_label.score])
def test_scores_that_are_no_numbers_are_refused(score, value):
    table = predictions("verb", [[0.1, 0.9], [value, 0.2], [0.3, value]], [[0], [1], [1]])
    with pytest.raises(SumlError, match="scores of 2 clips are NaN or infinite, first d/1") as told:
        score(table, Context(source="runs/r/predictions.parquet"))
    assert str(told.value).startswith("runs/r/predictions.parquet: ")
    assert "\n" not in str(told.value)


def test_scores_of_no_or_another_size_are_refused():
    table = predictions("verb", [[0.1, 0.9], [0.3, 0.7]], [[0], [1]])
    for scores in ([[0.1, 0.9], [0.3]], [[], []], [None, [0.1, 0.9]]):
        broken = table.with_columns(scores=pl.Series(scores, dtype=pl.List(pl.Float32)))
        with pytest.raises(SumlError, match="scores of several sizes"):
            top_k.score(broken)


def test_a_class_without_score_and_no_label_are_refused():
    with pytest.raises(
        SumlError, match=r"1 clips have a class without score, first d/1, got \[2\]"
    ):
        top_k.score(predictions("verb", [[0.1, 0.9]] * 2, [[0], [2]]))
    with pytest.raises(SumlError, match="no clip has a label, got 2 clips without"):
        top_k.score(predictions("verb", [[0.1, 0.9]] * 2, [[], []]))
    with pytest.raises(SumlError, match="nothing to score"):
        multi_label.score(predictions("verb", np.zeros((0, 2)), []))


def test_predictions_must_be_those_of_the_split(capsys):
    table = predictions("verb", [[0.1, 0.9], [0.3, 0.7], [0.8, 0.2]], [[1], [1], [0]])
    split = clips("aab", verbs=[[1], [1], [0]])
    assert top_k.score(table, Context(split))[0]["value"] == 1.0
    with pytest.raises(SumlError, match="2 of 3 clips of the split have no prediction, first d/1"):
        top_k.score(table[:1], Context(split))
    (first, _) = top_k.score(table[:1], Context(split, allow_missing=True))
    assert (first["value"], first["n_clips"]) == (1.0, 1)
    told = capsys.readouterr().err
    assert "2 of 3 clips of the split have no prediction, first d/1; they are left out" in told
    with pytest.raises(SumlError, match="1 clips are not in the split, first d/2"):
        top_k.score(table, Context(split[:2]))
    with pytest.raises(SumlError, match="1 clips are not in the split, first d/2"):
        top_k.score(table, Context(split[:2], allow_missing=True))
    with pytest.raises(SumlError, match="1 clips are predicted more than once, first d/0"):
        top_k.score(pl.concat([table, table[:1]]), Context(split))


def test_a_context_holds_one_split_of_one_viewpoint(workspace):
    names = tables.schema("clips").names
    rows = clips("aab", verbs=[[1], [1], [0]]).with_columns(
        dataset=pl.lit("d"),
        viewpoint=pl.Series(["fpv", "tpv", "fpv"]),
        split=pl.Series(["val", "val", "train"]),
        start_s=0.0,
        stop_s=1.0,
        narration=pl.lit(""),
        status=pl.lit("ok"),
    )
    path = workspace.table("d", "clips")
    tables.write(rows.select(names).to_arrow(), path, "clips", inputs={}, config={})
    context = Context.load(workspace, "d", "val")
    assert context.clips is not None
    assert context.clips["clip_id"].to_list() == ["d/0"]
    assert context.annotations == workspace.data("d", "annotations")
    with pytest.raises(SumlError, match="no tpv clips of split test, got splits val"):
        Context.load(workspace, "d", "test", viewpoint="tpv")


def test_lists_are_read_where_they_lie(tmp_path):
    context = Context(annotations=tmp_path)
    with pytest.raises(SumlError, match=r"a list of protocol p is missing.*expected few\.csv"):
        context.listed("p", "few.csv", "verb")
    (tmp_path / "few.csv").write_text("verb\n3\n12\n")
    assert context.listed_ids("p", "few.csv", "verb") == [3, 12]
    with pytest.raises(SumlError, match="got columns verb; expected a column noun"):
        context.listed("p", "few.csv", "noun")
    (tmp_path / "few.csv").write_text("verb\n3\nx\n")
    with pytest.raises(SumlError, match="got 'x'; expected class ids in column verb"):
        context.listed_ids("p", "few.csv", "verb")
    (tmp_path / "few.csv").write_bytes(b"\x89PNG\x00\xff\n\x00,\n1,2,3\n")
    with pytest.raises(SumlError, match="not a list of classes"):
        context.listed("p", "few.csv", "verb")
    (tmp_path / "few.csv").write_text("")
    with pytest.raises(SumlError, match="not a list of classes"):
        context.listed("p", "few.csv", "verb")
