"""The page's figures say what they show."""

from __future__ import annotations

import csv
import io
import re

import pytest

from sumlctl.report import charts, curves
from sumlctl.report.content import overlap, results, training
from sumlctl.report.content.results import Comparison
from sumlctl.report.content.subject import find
from sumlctl.report.svg import FPV, SERIES, Chart


def texts(chart: Chart) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", chart.svg)


def table(chart: Chart) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(chart.csv)))


def test_similarity_and_coverage(world) -> None:
    found = overlap.gather(find(world, "mine"))
    bars, curve = charts.similarity(found), charts.coverage(found)
    # Of eight classes at 0.9, 0.8, ..., 0.2: two in the upper ranges but one, of 25 %.
    assert texts(bars).count("25") == 4
    assert "action classes (%)" in texts(bars)
    shares = {row["range"]: float(row["share"]) for row in table(bars)}
    assert shares == {
        "< 0.2": 0, "[0.2, 0.4)": 0.25, "[0.4, 0.6)": 0.25, "[0.6, 0.8)": 0.25, "[0.8, 1]": 0.25,
    }  # fmt: skip
    assert {"clips", "classes"} <= set(texts(curve))
    at_half = [float(row["share"]) for row in table(curve) if row["s"] == "0.5"]
    assert at_half == pytest.approx([5 / 8, 5 / 8])


def comparison(names: list[str], gains: list[float]) -> Comparison:
    rows = [
        {"task": "verb", "class": i, "name": name, "positives": 3, "gain": gain}
        for i, (name, gain) in enumerate(zip(names, gains, strict=True))
    ]
    differences = [
        {
            "task": "verb",
            "subset": "all",
            "metric": "accuracy",
            "k": 1,
            "difference": 0.1,
            "ci_low": 0.05,
            "ci_high": 0.2,
        }
    ]
    return Comparison("other", "fpv-only", differences, rows)


def test_the_classes_that_move_most() -> None:
    names = [f"class {i}" for i in range(40)]
    gains = [(20 - i) / 100 for i in range(40)]
    chart = charts.gains(comparison(names, gains), "verb")
    shown = [text for text in texts(chart) if text.startswith("class")]
    assert shown == [f"class {i} (3)" for i in [*range(8), *range(32, 40)]]
    assert len(table(chart)) == 40
    assert SERIES[0] in chart.svg and SERIES[1] in chart.svg


@pytest.mark.parametrize("name", ["cut $x", r"$\nothing$", "a <b> & c", "x" * 80])
def test_class_names_are_text(name: str) -> None:
    chart = charts.gains(comparison([name, "other"], [0.5, 0.0]), "verb")
    (shown,) = [text for text in texts(chart) if text.endswith("(3)")]
    beginning = name[:20].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert shown.startswith(beginning)
    assert table(chart)[0]["name"] == name


def test_nothing_gained_is_a_chart_too() -> None:
    chart = charts.gains(comparison(["a", "b"], [0.0, 0.0]), "verb")
    assert {"a (3)", "b (3)"} <= set(texts(chart))


def test_differences(world) -> None:
    (beside,) = results.gather(find(world, "mine")).comparisons
    chart = charts.differences(beside)
    assert [t for t in texts(chart) if "top" in t] == [
        "verb top-1", "verb top-5", "noun top-1", "noun top-5",
    ]  # fmt: skip
    # Two of its eight nouns are wrong in the other run, whose ties count against it.
    assert [float(row["difference"]) for row in table(chart)] == [0.125, 0, 0.25, 0.25]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"metric": "accuracy", "k": 5, "subset": "tail_nouns"}, "noun top-5, tail nouns"),
        ({"metric": "mAP", "k": None, "subset": "all"}, "noun mAP"),
        ({"metric": "recall", "k": 5, "subset": "all"}, "noun recall@5"),
    ],
)
def test_rows_in_words(row, said) -> None:
    assert charts.label({"task": "noun"} | row) == said


def test_a_curve_per_term(world) -> None:
    found = training.read(world.run("mine") / "log.jsonl")
    drawn = {chart.name: chart for chart in curves.curves(found)}
    assert list(drawn) == [
        "curve-loss", "curve-l_f", "curve-l_t", "curve-l_m", "curve-learning_rate",
        "curve-validation",
    ]  # fmt: skip
    assert FPV in drawn["curve-l_f"].svg
    assert {"stage 1", "stage 2", "step"} <= {text.strip() for text in texts(drawn["curve-l_t"])}
    # L_m falls to zero, where a logarithm ends.
    assert drawn["curve-l_f"].logarithmic and not drawn["curve-l_m"].logarithmic
    assert table(drawn["curve-l_m"]) == [
        {"stage": "stage_two", "step": "7", "l_m": "1.0"},
        {"stage": "stage_two", "step": "9", "l_m": "0.0"},
    ]
    assert table(drawn["curve-validation"])[1]["task"] == "noun"
