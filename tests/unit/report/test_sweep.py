"""The table and the figure of a sweep's gains."""

from __future__ import annotations

import csv
import io
from xml.etree import ElementTree

import pytest

from sumlctl.errors import SumlError
from sumlctl.evaluation.seed_gains import Gain, Group
from sumlctl.report import sweep


def gain(task: str, second: tuple[float, float], low: float, high: float, k: int = 1) -> Gain:
    return Gain(task, "all", "accuracy", k, (0.50, 0.60), second, low, high)


@pytest.fixture
def groups() -> list[Group]:
    poor = [gain("verb", (0.52, 0.64), -0.01, 0.07), gain("verb", (0.8, 0.9), 0.1, 0.4, k=5)]
    rich = [gain("verb", (0.60, 0.70), 0.05, 0.15), gain("verb", (0.9, 1.0), 0.1, 0.5, k=5)]
    return [
        Group("poor.sum-l", "sum-l", 0.3, poor),
        Group("rich.sum-l", "sum-l", 0.9, rich),
    ]


def test_the_table_has_means_deviations_and_gains_in_per_cent(groups):
    header, rows = sweep.shown(groups, "fpv-only")
    assert header == ["group", "seeds", "verb top-1", "gain [95 %]"]
    # sd of two values is their distance over the root of two: 0.1 and 0.12
    assert rows == [
        ["fpv-only", "2", "55.0 ± 7.1", ""],
        ["poor.sum-l", "2", "58.0 ± 8.5", "+3.0 [-1.0, +7.0]"],
        ["rich.sum-l", "2", "65.0 ± 7.1", "+10.0 [+5.0, +15.0]"],
    ]


def test_the_csv_has_every_number(groups):
    rows = list(csv.DictReader(io.StringIO(sweep.csv(groups))))
    assert [(row["group"], row["k"]) for row in rows] == [
        (name, k) for name in ("poor.sum-l", "rich.sum-l") for k in ("1", "5")
    ]
    assert float(rows[0]["difference"]) == pytest.approx(0.03)
    assert float(rows[2]["similarity"]) == 0.9


@pytest.mark.parametrize(("chosen", "along"), [(slice(0, 2), True), (slice(0, 1), False)])
def test_gains_are_drawn_along_similarity_where_pools_differ(groups, tmp_path, chosen, along):
    path = tmp_path / "figure.svg"
    sweep.draw(groups[chosen], "fpv-only", path)
    texts = {"".join(e.itertext()).strip() for e in ElementTree.parse(path).iter()}
    assert {group.name for group in groups[chosen]} <= texts
    assert ("mean similarity of the best third-person match" in texts) is along


def test_another_ending_is_refused(groups, tmp_path):
    with pytest.raises(SumlError, match="unknown picture format"):
        sweep.draw(groups, "fpv-only", tmp_path / "figure.gif")
