"""One table of all runs: means and deviations by hand, beside the paper's numbers."""

from __future__ import annotations

import pyarrow as pa
import pytest

from sumlctl import tables
from sumlctl.workflow import recipe, results
from tests.unit.workflow import tiny

MATRIX = """
[[matrix]]
loss.name = ["fpv-only", "sum-l"]
seed = [0, 1, 2]
[paper]
table = "Table 9"
numbers.sum-l = { "verb accuracy@1" = 62.3 }
"""


def write_metrics(workspace, run: str, **values: float) -> None:
    """A metrics table with top-1 accuracies by task."""
    rows = [
        {"protocol": "top_k", "task": task, "subset": "all", "metric": "accuracy"}
        | {"k": 1, "value": value, "n_clips": 10, "n_views": 1}
        for task, value in values.items()
    ]
    table = pa.Table.from_pylist(rows, schema=tables.schema("metrics"))
    path = workspace.run(run) / "metrics.parquet"
    tables.write(table, path, "metrics", inputs={}, config={})


@pytest.fixture
def found(workspace):
    tiny.build(workspace, MATRIX)
    for seed, verb in enumerate((0.60, 0.62, 0.67)):
        write_metrics(workspace, f"tiny.sum-l.seed-{seed}", verb=verb, noun=0.5)
    write_metrics(workspace, "tiny.fpv-only.seed-1", verb=0.25, noun=0.125)
    return recipe.read("tiny", workspace)


def test_means_and_sample_deviations_over_seeds(workspace, found):
    numbers = {(n.group, n.metric): n for n in results.numbers(results.collect(found, workspace))}
    verb = numbers["sum-l", "verb accuracy@1"]
    assert verb.mean == pytest.approx(0.63)
    # squares of -0.03, -0.01 and 0.04, over two
    assert verb.std == pytest.approx((0.0026 / 2) ** 0.5)
    assert verb.paper == pytest.approx(0.623)
    alone = numbers["fpv-only", "noun accuracy@1"]
    assert (alone.values, alone.std, alone.paper) == ((0.125,), None, None)


def test_what_is_shown_is_what_the_paper_reports(workspace, found):
    header, lines = results.shown(found, results.collect(found, workspace))
    assert header == ["run", "verb accuracy@1"]
    assert lines == [["fpv-only", "25.0"], ["sum-l", "63.0 ± 3.6 (paper 62.3)"]]


def test_runs_without_figures_yet(workspace):
    tiny.build(workspace, MATRIX)
    header, lines = results.shown(recipe.read("tiny", workspace), [])
    assert (header, lines) == (
        ["run", "verb accuracy@1"],
        [["fpv-only", "-"], ["sum-l", "- (paper 62.3)"]],
    )


def test_the_table_has_a_row_per_run_and_number(workspace, found):
    path = results.write(found, workspace, results.collect(found, workspace))
    table = tables.read(path, "results")
    rows = table.to_pylist()
    assert [(r["run"], r["seed"], r["task"]) for r in rows[:3]] == [
        ("tiny.fpv-only.seed-1", 1, "verb"),
        ("tiny.fpv-only.seed-1", 1, "noun"),
        ("tiny.sum-l.seed-0", 0, "verb"),
    ]
    assert rows[2]["settings"] == '{"loss.name": "sum-l", "seed": 0}'
    assert len(tables.metadata(table, "inputs")) == 4


@pytest.mark.parametrize(
    ("row", "name"),
    [
        (("verb", "all", "accuracy", 5), "verb accuracy@5"),
        (("action", "all", "mAP", None), "action mAP"),
        (("noun", "tail", "accuracy", 1), "tail noun accuracy@1"),
    ],
)
def test_names_of_metrics(row, name):
    assert (
        results.metric_name(dict(zip(("task", "subset", "metric", "k"), row, strict=True))) == name
    )
