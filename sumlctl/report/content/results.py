"""What a run was measured to do, what it confuses, and what it gains over other runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from sumlctl import config, console, tables
from sumlctl.errors import SumlError
from sumlctl.evaluation import bootstrap, compare
from sumlctl.evaluation.confusion import confused
from sumlctl.evaluation.protocols.context import Context
from sumlctl.report.content.subject import Subject

if TYPE_CHECKING:
    from sumlctl.learning.tasks import Task

_ENDS = {"low": "_ci_low", "high": "_ci_high"}
_KEY = ("protocol", "task", "subset", "metric", "k")
_MOST_CONFUSED = 12


@dataclass(frozen=True)
class Comparison:
    """This run beside another.

    Args:
        run: the other run.
        method: its method.
        differences: rows of `compare.compare`, the other run first.
        gains: rows of `compare.class_gains`.
    """

    run: str
    method: str
    differences: list[dict[str, Any]]
    gains: list[dict[str, Any]]


@dataclass(frozen=True)
class Results:
    """An evaluated run.

    Args:
        metrics: protocol, task, subset, metric, k, value, low and high (95 %; None without),
            n_clips and n_views.
        missing: why there are no intervals; None if there are.
        confusions: task -> rows of `confused`, for tasks with one class per clip.
        comparisons: this run beside others.
        refused: other run -> why it cannot be compared.
    """

    metrics: list[dict[str, Any]]
    missing: str | None
    confusions: dict[str, list[dict[str, Any]]]
    comparisons: list[Comparison]
    refused: dict[str, str]


def gather(subject: Subject) -> Results:
    """Reads the metrics of a run and works out from its predictions what they do not tell.

    Raises:
        SumlError: the run is not evaluated, or its predictions are others than those measured.
    """
    assert subject.run is not None and subject.pipeline is not None
    path = subject.run / "metrics.parquet"
    table = tables.read(path, "metrics")
    scored = _Scored.read(subject, tables.made_with(path, "metrics", table, "protocol")["protocol"])
    _check(subject, table)
    metrics, missing = measured(table.to_pylist()), None
    if any(row["low"] is None for row in metrics):
        try:
            metrics = measured([*table.to_pylist(), *scored.intervals(subject.pipeline.seed)])
        except SumlError as error:
            missing = str(error)
    comparisons, refused = [], {}
    for other in subject.others:
        try:
            comparisons.append(scored.against(other))
        except SumlError as error:
            console.warn(f"not compared with {other.name}: {error}")
            refused[other.name] = str(error)
    return Results(metrics, missing, scored.confusions(), comparisons, refused)


def measured(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the metrics table with the ends of their intervals, in the table's order."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        end = next((e for e, suffix in _ENDS.items() if row["metric"].endswith(suffix)), None)
        metric = row["metric"].removesuffix(_ENDS[end]) if end else row["metric"]
        key = tuple((row | {"metric": metric})[name] for name in _KEY)
        entry = found.setdefault(key, {"low": None, "high": None})
        entry |= {end: row["value"]} if end else row
    return [entry for entry in found.values() if "value" in entry]


def _check(subject: Subject, metrics: Any) -> None:
    """Refuses metrics that were measured on other predictions."""
    assert subject.run is not None
    path = subject.run / "predictions.parquet"
    name = subject.workspace.relative(path)
    recorded = (tables.metadata(metrics, "inputs") or {}).get(name)
    if recorded != (now := tables.digest(path)):
        raise SumlError(
            name,
            "other predictions than the metrics were measured on",
            got=f"sha256 {now[:12]}",
            expected=(recorded or "none")[:12],
            fix=f"Run `sumlctl eval {subject.run.name}` again.",
        )


@dataclass(frozen=True)
class _Scored:
    """A run's predictions and what they are scored against."""

    predictions: pl.DataFrame
    protocol: str
    context: Context
    tasks: list[Task]

    @classmethod
    def read(cls, subject: Subject, protocol: str) -> _Scored:
        from sumlctl.learning.data import clips
        from sumlctl.learning.tasks import fpv_tasks

        assert subject.run is not None and subject.pipeline is not None
        workspace, data = subject.workspace, subject.pipeline.data
        path = subject.run / "predictions.parquet"
        context = Context.load(
            workspace,
            data.fpv,
            data.eval_split,
            allow_missing=True,  # `eval` has named them
            source=workspace.relative(path),
        )
        tasks = fpv_tasks({data.fpv: clips.vocabulary(workspace, data.fpv)})
        return cls(_predictions(path), protocol, context, tasks)

    @property
    def names(self) -> dict[str, list[str]]:
        return {task.name: task.classes for task in self.tasks}

    def intervals(self, seed: int) -> list[dict[str, Any]]:
        found = bootstrap.measures(self.protocol, self.predictions, self.context)
        return [{"protocol": self.protocol, **row} for row in bootstrap.intervals(found, seed=seed)]

    def confusions(self) -> dict[str, list[dict[str, Any]]]:
        return {
            task.name: confused(
                self.predictions, task.name, self.context, self.names[task.name], _MOST_CONFUSED
            ).to_dicts()
            for task in self.tasks
            if task.exclusive
        }

    def against(self, other: Path) -> Comparison:
        both = (
            _predictions(other / "predictions.parquet"),
            self.predictions,
            self.protocol,
            self.context,
        )
        return Comparison(
            other.name,
            config.load(other / "pipeline.toml").loss.name,
            compare.compare(*both).to_dicts(),
            compare.class_gains(*both, names=self.names).to_dicts(),
        )


def _predictions(path: Path) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(tables.read(path, "predictions")))
