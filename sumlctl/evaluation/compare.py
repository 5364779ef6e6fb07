"""What one run gains over another on the same clips."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from sumlctl.config import registry
from sumlctl.errors import SumlError
from sumlctl.evaluation import bootstrap
from sumlctl.evaluation.protocols.context import Context

_KEY = ("task", "clip_id")


def compare(
    first: pl.DataFrame,
    second: pl.DataFrame,
    protocol: str,
    context: Context | None = None,
    resamples: int = 10_000,
    seed: int = 0,
) -> pl.DataFrame:
    """Every number of a protocol for two runs, their difference and how sure it is.

    Args:
        first: predictions of the run to compare with.
        second: predictions of the other run, of the same clips.
        protocol: name of the protocol.
        context: the clips of the split and the dataset's annotations.
        resamples: samples of videos (`bootstrap.paired`).
        seed: the only source of randomness.

    Returns:
        task, subset, metric, k, first, second, difference (second - first), ci_low and ci_high of
        the difference (95 %), p_value (two-sided) and n_clips.

    Raises:
        SumlError: the runs predicted other clips or saw other labels, or do not fit the protocol.
    """
    check_same_clips(first, second)
    one, other = (
        bootstrap.measures(protocol, predictions, own)
        for predictions, own in zip((first, second), _named(context), strict=True)
    )
    rows = []
    for measure, found in zip(one, bootstrap.paired(one, other, resamples, seed), strict=True):
        rows.append(
            {
                "task": measure.task,
                "subset": measure.subset,
                "metric": measure.metric,
                "k": measure.k,
                "first": found.first,
                "second": found.second,
                "difference": found.second - found.first,
                "ci_low": found.low,
                "ci_high": found.high,
                "p_value": found.p_value,
                "n_clips": measure.n_clips,
            }
        )
    return pl.DataFrame(rows, schema_overrides={"k": pl.Int16})


def class_gains(
    first: pl.DataFrame,
    second: pl.DataFrame,
    protocol: str,
    context: Context | None = None,
    names: Mapping[str, Sequence[str]] | None = None,
) -> pl.DataFrame:
    """What each class gains: top-1 recall, or average precision in a multi-label protocol.

    Args:
        first: predictions of the run to compare with.
        second: predictions of the other run, of the same clips.
        protocol: name of the protocol.
        context: the clips of the split and the dataset's annotations.
        names: task -> class names in the order of their ids.

    Returns:
        task, class, name (if names are given), positives (how many clips or videos have it),
        first, second and gain; the largest gain of a task first.

    Raises:
        SumlError: the runs predicted other clips or saw other labels, or do not fit the protocol.
    """
    check_same_clips(first, second)
    module = importlib.import_module(registry.load("protocols", protocol).__module__)
    one, other = (
        pl.DataFrame(module.per_class(predictions, own))
        for predictions, own in zip((first, second), _named(context), strict=True)
    )
    found = one.rename({"value": "first"}).join(
        other.select("task", "class", second="value"),
        on=["task", "class"],
        how="inner",
        maintain_order="left",
    )
    order = found["task"].unique(maintain_order=True)
    found = found.with_columns(
        gain=pl.col("second") - pl.col("first"),
        _task=pl.col("task").replace_strict(order, range(len(order)), return_dtype=pl.Int32),
    ).sort("_task", "gain", "class", descending=[False, True, False])
    if names is None:
        return found.drop("_task")
    words = [names[task][number] for task, number in found.select("task", "class").iter_rows()]
    return found.drop("_task").insert_column(2, pl.Series("name", words, pl.String))


def _named(context: Context | None) -> tuple[Context, Context]:
    context = context or Context()
    return (
        replace(context, source=f"{context.source} of the first run"),
        replace(context, source=f"{context.source} of the second run"),
    )


def check_same_clips(first: pl.DataFrame, second: pl.DataFrame) -> None:
    """Refuses runs that predicted other clips or saw other labels.

    Raises:
        SumlError: they did.
    """
    for one, other, which in ((first, second, "second"), (second, first, "first")):
        alone = one.join(other, on=_KEY, how="anti", maintain_order="left")
        if not alone.is_empty():
            raise _fault(f"the {which} run lacks {alone.height:,} predictions", alone)
    both = first.select(*_KEY, "target").join(
        second.select(*_KEY, other="target"), on=_KEY, maintain_order="left"
    )
    unlike = both.filter(pl.col("target").fill_null([]) != pl.col("other").fill_null([]))
    if not unlike.is_empty():
        raise _fault(f"{unlike.height:,} predictions have other labels", unlike)


def _fault(what: str, rows: pl.DataFrame) -> SumlError:
    return SumlError(
        "comparison",
        f"{what}, first {rows['task'][0]} of {rows['clip_id'][0]}",
        got="runs over different clips",
        expected="the same clips with the same labels",
        fix="Predict both runs on the same split of the same index.",
    )
