"""The figures of all runs of a pipeline as one table, averaged over seeds, beside the paper's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from sumlctl import tables
from sumlctl.workflow.recipe import Cell, Recipe
from sumlctl.workspace import Workspace


@dataclass(frozen=True)
class Number:
    """A metric of a group of cells that differ in their seed alone.

    Args:
        group: their label.
        metric: see `metric_name`.
        values: of the seeds, fractions.
        paper: what the paper reports, a fraction; None where it does not.
    """

    group: str
    metric: str
    values: tuple[float, ...]
    paper: float | None

    @property
    def mean(self) -> float:
        return fmean(self.values)

    @property
    def std(self) -> float | None:
        """Sample standard deviation; None of a single seed."""
        return stdev(self.values) if len(self.values) > 1 else None


def metric_name(row: Mapping[str, Any]) -> str:
    """How a pipeline's `[paper]` calls a row of metrics, such as `verb accuracy@1`.

    A subset other than all clips stands in front: `tail verb accuracy@1`.
    """
    subset = "" if row["subset"] == "all" else f"{row['subset']} "
    return f"{subset}{row['task']} {row['metric']}" + (f"@{row['k']}" if row["k"] else "")


def collect(recipe: Recipe, workspace: Workspace) -> list[dict[str, Any]]:
    """Rows of the results table, of the runs that are evaluated."""
    return [row for cell in recipe.cells for row in _rows(recipe, cell, workspace)]


def _rows(recipe: Recipe, cell: Cell, workspace: Workspace) -> Iterator[dict[str, Any]]:
    path = metrics_of(workspace, cell)
    reported = recipe.paper.numbers.get(cell.group, {})
    for row in tables.read(path, "metrics").to_pylist() if path.is_file() else ():
        paper = reported.get(metric_name(row))
        yield {
            **row,
            "cell": cell.label,
            "group": cell.group,
            "run": cell.run,
            "seed": int(cell.raw.get("seed", 0)),
            "settings": json.dumps(cell.values),
            "paper": None if paper is None else paper / 100,
        }


def metrics_of(workspace: Workspace, cell: Cell) -> Path:
    """Where a cell's metrics are once it is evaluated."""
    return workspace.run(cell.run) / "metrics.parquet"


def write(recipe: Recipe, workspace: Workspace, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Writes the results table of a sweep beside its runs."""
    import pyarrow as pa

    path = workspace.run(f"{recipe.name}.results.parquet")
    found = [m for cell in recipe.cells if (m := metrics_of(workspace, cell)).is_file()]
    inputs = {workspace.relative(metrics): tables.digest(metrics) for metrics in found}
    table = pa.Table.from_pylist(list(rows), schema=tables.schema("results"))
    config = {"pipeline": recipe.name, "table": recipe.paper.table}
    tables.write(table, path, "results", inputs=inputs, config=config)
    return path


def numbers(rows: Sequence[Mapping[str, Any]]) -> list[Number]:
    """The rows of each group and metric as one number, in their order."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["group"], metric_name(row)), []).append(row)
    return [
        Number(group, metric, tuple(row["value"] for row in alike), alike[0]["paper"])
        for (group, metric), alike in found.items()
    ]


def shown(recipe: Recipe, rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Header and rows for people, in per cent: what the paper reports, else all that is measured.

    Groups without a figure yet are shown too.
    """
    measured = numbers(rows)
    groups = list(dict.fromkeys(cell.group for cell in recipe.cells))
    reported = [m for group in groups for m in recipe.paper.numbers.get(group, {})]
    metrics = list(dict.fromkeys(reported or (n.metric for n in measured)))
    by_name = {(number.group, number.metric): number for number in measured}
    lines = []
    for group in groups:
        paper = recipe.paper.numbers.get(group, {})
        cells = (_cell(by_name.get((group, m)), paper.get(m)) for m in metrics)
        lines.append([group, *cells])
    return ["run", *metrics], lines


def _cell(number: Number | None, paper: float | None) -> str:
    text = "-" if number is None else f"{100 * number.mean:.1f}"
    if number is not None and number.std is not None:
        text += f" ± {100 * number.std:.1f}"
    return text if paper is None else f"{text} (paper {paper:.1f})"
