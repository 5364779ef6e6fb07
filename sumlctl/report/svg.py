"""Figures inside a page: matplotlib's SVG in the colours and letters of the page around it.

They are drawn in the colours of the light theme; each becomes a reference to the page's variable
of that name, with the colour as its fallback, so that the figure follows the theme.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

INK, FAINT, RULE = "#1a1c1f", "#5f656d", "#d9dce0"
FPV, TPV = "#0b69a3", "#b4530a"
SERIES = ("#3f6b54", "#85568f", "#8a6a12")
VARIABLES = {
    INK: "--ink",
    FAINT: "--faint",
    RULE: "--rule",
    FPV: "--fpv",
    TPV: "--tpv",
    **{colour: f"--series-{i + 1}" for i, colour in enumerate(SERIES)},
}


@dataclass(frozen=True)
class Chart:
    """A figure of the page.

    Args:
        name: one word, the downloads' file name.
        title: what it shows, for those who cannot see it too.
        svg: the figure.
        csv: its figures.
        logarithmic: the figure with a logarithmic axis; empty where there is none.
    """

    name: str
    title: str
    svg: str
    csv: str
    logarithmic: str = ""


@contextmanager
def canvas(width: float, height: float, layout: str | None = "constrained") -> Iterator[Any]:
    """A matplotlib figure in the style of the page, to be turned into text by `inline`.

    Args:
        width: in inches; 3.6 are about the width of a phone's screen.
        height: in inches.
        layout: matplotlib's; None, for axes with a place of their own, is twice as fast.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: Any = {
        "svg.fonttype": "none",
        "text.parse_math": False,
        "font.size": 8.5,
        "text.color": INK,
        "axes.labelcolor": FAINT,
        "axes.edgecolor": FAINT,
        "axes.linewidth": 0.6,
        "axes.facecolor": "none",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": FAINT,
        "ytick.color": FAINT,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "grid.color": RULE,
        "grid.linewidth": 0.6,
        "lines.linewidth": 1.5,
        "legend.frameon": False,
        "figure.facecolor": "none",
    }
    with mpl.rc_context(style):
        yield Figure(figsize=(width, height), layout=layout)  # type: ignore[arg-type]


def inline(figure: Any, name: str, title: str) -> str:
    """A figure as an SVG element whose ids no other element of the page has.

    Args:
        figure: matplotlib's.
        name: what the ids begin with.
        title: what it shows.
    """
    import matplotlib as mpl

    written = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(written, format="svg", metadata=nothing, transparent=True)
    text = written.getvalue()
    text = text[text.index("<svg") :].rstrip()
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r"(font: [^;\"]*?[\d.]+px) [^;\"]*", r"\1 sans-serif", text)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var({variable}, {colour})")
    return text.replace("<svg", f'<svg role="img" aria-label="{_attribute(title)}"', 1)


def _attribute(text: str) -> str:
    from html import escape

    return escape(text, quote=True)


def as_csv(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows as CSV; numbers are written in full, texts so that no spreadsheet computes them."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([_inert(cell) for cell in row] for row in (header, *rows))
    return text.getvalue()


def _inert(cell: Any) -> Any:
    """A text that a spreadsheet would take for a formula, behind an apostrophe."""
    is_formula = isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{cell}" if is_formula else cell
