"""The page's figures of pairs and results."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sumlctl.mining.similarity import range_names
from sumlctl.report.content.overlap import Overlap
from sumlctl.report.content.results import Comparison
from sumlctl.report.figures import draw_bars, draw_coverage
from sumlctl.report.svg import FAINT, INK, RULE, SERIES, Chart, as_csv, canvas, inline

_WIDTH, _NARROW = 4.0, 3.3  # inches; narrow ones stand three in a row
_ROW = 0.23  # inches per row of a figure with rows
_MOST_CLASSES = 8  # that gain, and as many that lose
_LONGEST = 26  # letters of a class name


def of_pairs(overlaps: Sequence[Overlap]) -> list[Chart]:
    """Fig. 2 and the coverage curves."""
    return [similarity(overlaps), coverage(overlaps)]


def of_comparison(comparison: Comparison) -> list[Chart]:
    """Differences of all numbers, then the classes of each task."""
    tasks = dict.fromkeys(row["task"] for row in comparison.gains)
    return [differences(comparison), *(gains(comparison, task) for task in tasks)]


def similarity(overlaps: Sequence[Overlap]) -> Chart:
    """Fig. 2: the share of classes (or clips) per range of similarity."""
    bars = [one.bars for one in overlaps]
    ranges = range_names(bars[0].edges)
    counted = "action classes" if bars[0].by == "class" else "clips"
    title = f"{counted.capitalize()} per range of similarity (Fig. 2 of the paper)"
    with canvas(_WIDTH, 2.6) as figure:
        axes = figure.subplots()
        draw_bars(axes, bars, ranges, SERIES)
        if len(bars) > 1:
            figure.legend(loc="outside upper left", fontsize=8)
        drawn = inline(figure, "similarity", title)
    rows = [
        (one.label, counted, name, share)
        for one in bars
        for name, share in zip(ranges, one.shares, strict=True)
    ]
    return Chart("similarity", title, drawn, as_csv(("pairs", "of", "range", "share"), rows))


def coverage(overlaps: Sequence[Overlap]) -> Chart:
    """The share of clips, and of classes, whose best match is at least so similar."""
    title = "Coverage: share at or above a similarity s"
    with canvas(_WIDTH, 2.6) as figure:
        axes = figure.subplots()
        draw_coverage(axes, [one.bars for one in overlaps], SERIES)
        for i, one in enumerate(overlaps):
            if one.classes:
                levels, shares = zip(*one.classes, strict=True)
                percent = [100 * share for share in shares]
                axes.plot(levels, percent, color=SERIES[i % len(SERIES)], lw=1.2, ls=(0, (3, 2)))
        axes.plot([], [], color=FAINT, label="clips")
        if any(one.classes for one in overlaps):
            axes.plot([], [], color=FAINT, lw=1.2, ls=(0, (3, 2)), label="classes")
        axes.set_ylabel("share at or above s (%)")
        axes.grid(alpha=1)
        axes.set_axisbelow(True)
        axes.legend(loc="lower left", fontsize=8)
        drawn = inline(figure, "coverage", title)
    rows = [
        (one.bars.label, of, level, share)
        for one in overlaps
        for of, curve in (("clips", one.bars.coverage), ("classes", one.classes or ()))
        for level, share in curve
    ]
    return Chart("coverage", title, drawn, as_csv(("pairs", "of", "s", "share"), rows))


def differences(comparison: Comparison) -> Chart:
    """What a run gains over another, number by number, with 95 % intervals."""
    rows = comparison.differences
    title = f"Differences to {comparison.run}, with 95 % intervals"
    with canvas(_NARROW, 0.75 + _ROW * len(rows)) as figure:
        axes = figure.subplots()
        axes.axvline(0, color=FAINT, lw=0.8)
        for place, row in enumerate(rows):
            sure = row["ci_low"] > 0 or row["ci_high"] < 0
            ends = [100 * row["ci_low"], 100 * row["ci_high"]]
            axes.plot(ends, [place, place], color=INK, lw=1.2, solid_capstyle="butt")
            face = INK if sure else "none"
            at = 100 * row["difference"]
            axes.plot(at, place, "o", ms=4.5, mfc=face, mec=INK, mew=1.2)
        axes.set_yticks(range(len(rows)), [label(row) for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel("percentage points")
        _rows_only(axes)
        drawn = inline(figure, name(f"difference-{comparison.run}"), title)
    header = list(rows[0])
    table = as_csv(header, [[row[column] for column in header] for row in rows])
    return Chart(name(f"difference-{comparison.run}"), title, drawn, table)


def gains(comparison: Comparison, task: str) -> Chart:
    """The classes of a task that gain most and those that lose most."""
    every = [row for row in comparison.gains if row["task"] == task]
    moved = [row for row in every if row["gain"]] or every
    rows = moved
    if len(moved) > 2 * _MOST_CLASSES:
        rows = [*moved[:_MOST_CLASSES], *moved[-_MOST_CLASSES:]]
    title = f"{task.capitalize()} classes that gain and lose most over {comparison.run}"
    chart = name(f"gain-{task}-{comparison.run}")
    with canvas(_NARROW, 0.65 + _ROW * len(rows)) as figure:
        axes = figure.subplots()
        gain = [100 * row["gain"] for row in rows]
        colours = [SERIES[0] if value >= 0 else SERIES[1] for value in gain]
        axes.barh(range(len(rows)), gain, 0.66, color=colours)
        axes.axvline(0, color=FAINT, lw=0.8)
        names = [f"{_short(row['name'])} ({row['positives']:,})" for row in rows]
        axes.set_yticks(range(len(rows)), names, parse_math=False)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel("percentage points (in brackets: clips)")
        _rows_only(axes)
        drawn = inline(figure, chart, title)
    header = list(every[0])
    table = as_csv(header, [[row[column] for column in header] for row in every])
    return Chart(chart, title, drawn, table)


def label(row: dict[str, Any]) -> str:
    """A row of metrics in a few words, such as `verb top-1`."""
    metric = f"top-{row['k']}" if row["metric"] == "accuracy" else row["metric"].replace("_", " ")
    if row["k"] and row["metric"] != "accuracy":
        metric += f"@{row['k']}"
    subset = "" if row["subset"] == "all" else f", {row['subset'].replace('_', ' ')}"
    return f"{row['task']} {metric}{subset}"


def name(text: str) -> str:
    """A text as a chart's name: safe in ids and file names; names of runs stay as they are."""
    return re.sub(r"[^\w.+-]", "-", text)


def _rows_only(axes: Any) -> None:
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(axis="x", color=RULE)
    axes.set_axisbelow(True)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1].rstrip() + "…"
