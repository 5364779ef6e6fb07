"""Figures for papers: Fig. 2, the similarity histogram with its coverage curve."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sumlctl import tables
from sumlctl.errors import SumlError

if TYPE_CHECKING:
    from sumlctl.mining.similarity import Distribution

FORMATS = ("png", "svg", "pdf")

# Colours that stay apart in print and for colour-blind readers (Okabe and Ito, 2008).
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")


def similarity_figure(
    distributions: Sequence[Distribution], ranges: Sequence[str], path: Path
) -> None:
    """Writes Fig. 2: bars per range of similarity, one colour per pairs table, and coverage.

    Args:
        distributions: what to draw, side by side.
        ranges: names of the ranges.
        path: `.png`, `.svg` or `.pdf`; whole or absent.

    Raises:
        SumlError: another ending.
    """
    with written(path, (7.0, 2.9)) as figure:
        bars, curve = figure.subplots(1, 2, width_ratios=(3, 2))
        draw_bars(bars, distributions, ranges, COLOURS)
        draw_coverage(curve, distributions, COLOURS)
        handles, labels = bars.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False)


@contextmanager
def written(path: Path, size: tuple[float, float]) -> Iterator[Any]:
    """A matplotlib figure to draw on, that is written afterwards.

    Args:
        path: `.png`, `.svg` or `.pdf`; whole or absent.
        size: width and height in inches.

    Raises:
        SumlError: another ending.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise SumlError(
            path,
            "unknown picture format",
            got=path.suffix or "no ending",
            expected=", ".join(FORMATS),
            fix="Give --out one of these endings.",
        )
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # Text as text in SVG and PDF, and no date, so that the same figure is the same file.
    style: Any = {"svg.fonttype": "none", "pdf.fonttype": 42, "svg.hashsalt": "sumlctl"}
    style["text.parse_math"] = False  # names with two dollar signs are no formulas
    undated = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
    with mpl.rc_context(style | {"font.size": 9}):
        figure = Figure(figsize=size, layout="constrained")
        yield figure
        with tables.whole_file(path) as beside:
            figure.savefig(beside, format=kind, dpi=200, metadata=undated)


def draw_bars(
    axes: Any,
    distributions: Sequence[Distribution],
    ranges: Sequence[str],
    colours: Sequence[str],
) -> None:
    """Fig. 2: for each range of similarity a bar per pairs table.

    Args:
        axes: matplotlib's, to draw on.
        distributions: one per table.
        ranges: names of the ranges.
        colours: one per table, from the first again when they run out.
    """
    width = 0.8 / len(distributions)
    for i, one in enumerate(distributions):
        left = [x + (i - (len(distributions) - 1) / 2) * width for x in range(len(ranges))]
        percent = [100 * share for share in one.shares]
        drawn = axes.bar(left, percent, width, color=colours[i % len(colours)], label=one.label)
        if len(distributions) <= 3:
            axes.bar_label(drawn, fmt="%.0f", fontsize=7, padding=1)
    axes.set_xticks(range(len(ranges)), ranges)
    axes.set_xlabel("similarity of the best third-person match")
    counted = "action classes" if distributions[0].by == "class" else "clips"
    axes.set_ylabel(f"{counted} (%)")
    axes.set_ylim(0, 100)
    axes.spines[["top", "right"]].set_visible(False)


def draw_coverage(axes: Any, distributions: Sequence[Distribution], colours: Sequence[str]) -> None:
    """The share of clips whose best match is at least so similar, a curve per pairs table.

    Args:
        axes: matplotlib's, to draw on.
        distributions: one per table.
        colours: one per table, from the first again when they run out.
    """
    for i, one in enumerate(distributions):
        levels, shares = zip(*one.coverage, strict=True)
        axes.plot(levels, [100 * s for s in shares], color=colours[i % len(colours)], lw=1.6)
    axes.set_xlabel("similarity s")
    axes.set_ylabel("clips at or above s (%)")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 100)
    axes.grid(alpha=0.3, lw=0.5)
    axes.spines[["top", "right"]].set_visible(False)
