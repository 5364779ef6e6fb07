"""The page's figures of a training: one for each term of the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sumlctl.report.charts import name
from sumlctl.report.content.training import Point, Training
from sumlctl.report.svg import FAINT, FPV, INK, TPV, Chart, as_csv, canvas, inline

_SIZE = (3.3, 1.75)  # inches
_PLACE = (0.12, 0.22, 0.86, 0.66)  # of the axes: left, bottom, width and height as shares
_TITLES = {
    "loss": "Whole loss (Eq. 12)",
    "l_f": "L_f: first-person classes",
    "l_t": "L_t: third-person classes",
    "l_a": "L_a: alignment (Eq. 7)",
    "l_aw": "L_aw: weighted alignment (Eq. 8)",
    "l_m": "L_m: video and text (Eq. 11)",
    "l_dc": "L_dc: alignment of all pairs (Eq. 6)",
    "l_triplet": "L_triplet: alignment by margin",
    "kept_share": "Share of pairs above the threshold",
    "learning_rate": "Learning rate",
}
_ORDER = {term: place for place, term in enumerate(_TITLES)}
_COLOURS = {"l_f": FPV, "l_t": TPV}
_STAGES = {"stage_one": "stage 1", "stage_two": "stage 2"}


def curves(training: Training) -> list[Chart]:
    """A chart per term of the loss, then the learning rate and what validation said."""
    terms = sorted(training.curves, key=lambda term: _ORDER.get(term, len(_TITLES) - 2))
    charts = [_curve(training, term) for term in terms]
    return charts + ([_validation(training)] if training.validation else [])


def _curve(training: Training, term: str) -> Chart:
    points = training.curves[term]
    title, chart = _TITLES.get(term, term), name(f"curve-{term}")
    plain = _drawn(training, points, term, title, chart)
    positive = all(point.value > 0 for point in points)
    rows = [(point.stage, point.step, point.value) for point in points]
    return Chart(
        chart,
        title,
        plain,
        as_csv(("stage", "step", term), rows),
        _drawn(training, points, term, title, f"{chart}-log", "log") if positive else "",
    )


def _drawn(
    training: Training,
    points: Sequence[Point],
    term: str,
    title: str,
    chart: str,
    scale: str = "linear",
) -> str:
    with canvas(*_SIZE, layout=None) as figure:
        axes = figure.add_axes(_PLACE)
        for stage in training.begins:
            of_stage = [point for point in points if point.stage == stage]
            mark = "o" if len(of_stage) == 1 else None
            axes.plot(
                [point.step for point in of_stage],
                [point.value for point in of_stage],
                color=_COLOURS.get(term, INK),
                marker=mark,
                ms=3,
            )
        axes.set_yscale(scale)
        if min(point.value for point in points) < 0:
            axes.axhline(0, color=FAINT, lw=0.6)
        _stages(axes, training)
        return inline(figure, chart, f"{title}, against the step")


def _validation(training: Training) -> Chart:
    title = "Validation (%)"
    with canvas(*_SIZE, layout=None) as figure:
        axes = figure.add_axes(_PLACE)
        for (task, points), style in zip(
            training.validation.items(), ("-", (0, (3, 2)), ":"), strict=False
        ):
            steps = [point.step for point in points]
            percent = [100 * point.value for point in points]
            axes.plot(steps, percent, color=FPV, ls=style, marker="o", ms=3, label=task)
        axes.legend(fontsize=8)
        _stages(axes, training)
        drawn = inline(figure, "curve-validation", title)
    rows = [
        (task, point.stage, point.step, point.value)
        for task, points in training.validation.items()
        for point in points
    ]
    return Chart("curve-validation", title, drawn, as_csv(("task", "stage", "step", "value"), rows))


def _stages(axes: Any, training: Training) -> None:
    """Names the stages where there are two, with a line between them."""
    axes.set_xlabel("step")
    axes.set_xlim(left=0, right=max(p.step for ps in training.curves.values() for p in ps) * 1.02)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    if len(training.begins) < 2:
        return
    for stage, begin in training.begins.items():
        if begin:
            axes.axvline(begin, color=FAINT, lw=0.6, ls=(0, (2, 2)))
        place: Any = {"transform": axes.get_xaxis_transform(), "va": "bottom"}
        axes.text(begin, 1.02, f" {_STAGES[stage]}", color=FAINT, fontsize=7.5, **place)
