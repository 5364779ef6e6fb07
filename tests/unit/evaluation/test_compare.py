"""What a run gains over another, class by class and overall."""

from __future__ import annotations

import polars as pl
import pytest

from sumlctl.errors import SumlError
from sumlctl.evaluation.compare import class_gains, compare
from sumlctl.evaluation.protocols.context import Context
from tests.unit.evaluation.scoring import clips, predictions

TARGET = [[0], [0], [1], [1], [1], [2]]
FIRST = [[9, 1, 0], [1, 9, 0], [1, 9, 0], [9, 1, 0], [9, 1, 0], [0, 1, 9]]
# Right where the first is and on two of class 1 besides; wrong on class 2.
SECOND = [[9, 1, 0], [1, 9, 0], [1, 9, 0], [1, 9, 0], [1, 9, 0], [9, 1, 0]]
CONTEXT = Context(clips("aabbcc", verbs=TARGET))


def test_differences_of_every_number():
    found = compare(
        predictions("verb", FIRST, TARGET), predictions("verb", SECOND, TARGET), "top-k", CONTEXT
    )
    assert found.columns == [
        "task",
        "subset",
        "metric",
        "k",
        "first",
        "second",
        "difference",
        "ci_low",
        "ci_high",
        "p_value",
        "n_clips",
    ]
    first, fifth = found.iter_rows(named=True)
    assert (first["k"], first["first"], first["second"]) == (1, 0.5, pytest.approx(4 / 6))
    assert first["difference"] == pytest.approx(1 / 6)
    # Per video: a 0 of 2, b +1 of 2, c +1 - 1 of 2. Only b matters, drawn 0 to 3 times of 3.
    assert first["ci_low"] == 0
    assert first["ci_high"] == pytest.approx(1 / 2)
    # At least as far from 1/6 as 0 is: b not drawn once, which happens 1 - 3 * 4 / 27 of the time.
    assert first["p_value"] == pytest.approx(1 - 12 / 27, abs=0.02)
    assert (fifth["difference"], fifth["p_value"]) == (0, 1)


def test_the_order_of_rows_does_not_matter():
    one, other = (predictions("verb", s, TARGET) for s in (FIRST, SECOND))
    assert compare(one, other.reverse(), "top-k", CONTEXT, 200).equals(
        compare(one, other, "top-k", CONTEXT, 200)
    )


def test_gains_by_class():
    one, other = (predictions("verb", s, TARGET) for s in (FIRST, SECOND))
    found = class_gains(one, other, "top-k", CONTEXT, {"verb": ["take", "put", "wash"]})
    assert found.rows() == [
        ("verb", 1, "put", 3, pytest.approx(1 / 3), 1.0, pytest.approx(2 / 3)),
        ("verb", 0, "take", 2, 0.5, 0.5, 0.0),
        ("verb", 2, "wash", 1, 1.0, 0.0, -1.0),
    ]
    bare = class_gains(one, other, "top-k", CONTEXT)
    assert bare.columns == ["task", "class", "positives", "first", "second", "gain"]


def test_gains_of_average_precision():
    target = [[0], [], [0, 1]]
    one = predictions("action", [[9, 1], [5, 5], [1, 9]], target)
    other = predictions("action", [[9, 1], [5, 5], [7, 3]], target)
    context = Context(clips("abc", actions=target))
    for protocol in ("multi-label", "charades-ego"):
        found = class_gains(one, other, protocol, context)
        # Class 0: hits at 1 and 3, then 1 and 2. Class 1: a hit at 1, then at 2.
        assert found.rows() == [
            ("action", 0, 2, pytest.approx(5 / 6), 1.0, pytest.approx(1 / 6)),
            ("action", 1, 1, 1.0, 0.5, -0.5),
        ]


def test_other_clips_or_labels_are_refused():
    one = predictions("verb", FIRST, TARGET)
    with pytest.raises(SumlError, match="the second run lacks 2 predictions, first verb of d/4"):
        compare(one, one[:4], "top-k")
    with pytest.raises(SumlError, match="the first run lacks 1 predictions, first verb of d/5"):
        class_gains(one[:5], one, "top-k")
    changed = predictions("verb", FIRST, [*TARGET[:5], [0]])
    with pytest.raises(SumlError, match="1 predictions have other labels, first verb of d/5"):
        compare(one, changed, "top-k")
    renamed = one.with_columns(task=pl.lit("noun"))
    with pytest.raises(SumlError, match="the second run lacks 6 predictions"):
        compare(one, renamed, "top-k")


def test_the_run_at_fault_is_named():
    one = predictions("verb", FIRST, TARGET)
    broken = predictions("verb", [[float("nan"), 1, 0], *FIRST[1:]], TARGET)
    with pytest.raises(SumlError, match=r"^predictions of the second run: .* first d/0"):
        compare(one, broken, "top-k", CONTEXT)
