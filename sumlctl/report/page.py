"""`sumlctl report`: a run, its data and its pairs as one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sumlctl import __version__, console, tables
from sumlctl.config import parsing, registry
from sumlctl.errors import SumlError
from sumlctl.report import MAPS, PREVIEWS, charts, curves
from sumlctl.report import maps as activation_maps
from sumlctl.report import previews as moving_pictures
from sumlctl.report.content import commands, data, origins, overlap, pairs, results, training
from sumlctl.report.content.origins import Origin
from sumlctl.report.content.subject import Subject, find
from sumlctl.report.svg import Chart
from sumlctl.workspace import Workspace

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATE = Path(__file__).parent / "template"
_SCRIPTS = ("page.js", "pairs.js")

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class Part(Generic[T]):
    """A part of the page: what it shows, or why it does not.

    Args:
        value: what it shows; None if it does not.
        absent: why not, and what to do about it.
        fault: the same in full.
    """

    value: T | None
    absent: str = ""
    fault: str = ""


def write(
    workspace: Workspace,
    run: str | None = None,
    out: Path | None = None,
    *,
    previews: int = PREVIEWS,
    maps: int = MAPS,
    against: Sequence[str] = (),
    lineage: Origin | None = None,
) -> Path:
    """Writes the page; what is not there is left out, and the page says what makes it.

    Args:
        workspace: where the runs and tables are.
        run: name of the run; default the newest, and without any run data and pairs alone.
        out: the file; default `report.html` in the run's folder, else in the workspace.
        previews: pairs with previews.
        maps: clips with activation maps.
        against: runs to compare with; default those evaluated on the same split.
        lineage: where the results come from; default what the tables' metadata tell.

    Returns:
        The file.

    Raises:
        SumlError: no such run, there is nothing at all to tell, or the file cannot be written.
    """
    subject = find(workspace, run, against)
    path = out or subject.page
    if path.is_dir():
        raise SumlError(
            path,
            "the page would replace a folder",
            got="a folder",
            expected="a file such as report.html",
            fix="Choose another --out.",
        )
    told = _told(subject, previews, maps, lineage)
    faults = (part.fault for part in told.values() if isinstance(part, Part))
    for fault in dict.fromkeys(filter(None, faults)):
        console.note(f"not in the report: {fault}")
    html = _environment().get_template("page.html").render(**told)
    with tables.whole_file(path) as beside:
        beside.write_text(html, encoding="utf-8")
    return path


def _told(subject: Subject, filmed: int, mapped: int, lineage: Origin | None) -> dict[str, Any]:
    """Everything that the template names."""
    mined = _part(lambda: pairs.read(subject.first_pairs()))
    films = _part_of(mined, lambda m: moving_pictures.films(subject.workspace, m, filmed))
    near = _part_of(mined, lambda m: pairs.candidates(subject.workspace, m))
    alike = _part_of(mined, lambda _: overlap.gather(subject))
    run = Part(subject.run, "No run yet. Make one with `sumlctl train`.")
    trained = _part_of(run, lambda folder: training.read(folder / "log.jsonl"))
    measured = _part_of(run, lambda _: results.gather(subject))
    figures: dict[str, list[Chart]] = {
        "similarity": charts.of_pairs(alike.value) if alike.value else [],
        "training": curves.curves(trained.value) if trained.value else [],
    }
    compared = measured.value.comparisons if measured.value else []
    beside = {one.run: charts.of_comparison(one) for one in compared}
    every = [chart for found in (figures, beside) for some in found.values() for chart in some]
    return {
        "version": __version__,
        "subject": subject,
        "pipeline": parsing.dump(subject.pipeline) if subject.pipeline else "",
        "data": _part(lambda: data.gather(subject.workspace, subject.datasets)),
        "overlap": alike,
        "pairs": mined,
        "near": near,
        "films": films,
        "aligned_above": _aligned_above(subject),
        "browsable": pairs.browsable(mined.value, near.value or {}) if mined.value else None,
        "film_sheets": {name: astuple(film) for name, film in (films.value or {}).items()},
        "training": trained,
        "results": measured,
        "maps": _part_of(run, lambda _: activation_maps.strips(subject, mapped)),
        "origin": _part(lambda: lineage or origins.trace(subject.workspace, subject.outcome())),
        "commands": commands.gather(subject),
        "charts": figures,
        "beside": beside,
        "tables": {chart.name: chart.csv for chart in every},
        "label": charts.label,
        **_inlined(),
    }


def _aligned_above(subject: Subject) -> float | None:
    """The similarity that a pair must exceed for the run's cross-view loss, if it has one."""
    if subject.pipeline is None:
        return None
    loss = subject.pipeline.loss
    return registry.load("losses", loss.name)(**loss.options).aligned_above


def _part(make: Callable[[], T]) -> Part[T]:
    try:
        return Part(make())
    except SumlError as error:
        where = Path(error.where).name if "/" in error.where else error.where
        return Part(None, f"{where}: {error.what}. {error.fix}", str(error))


def _part_of(whole: Part[S], make: Callable[[S], T]) -> Part[T]:
    """A part that is made from another, and is absent for the same reason."""
    found = whole.value
    return Part(None, whole.absent) if found is None else _part(lambda: make(found))


def _inlined() -> dict[str, Any]:
    """Style and scripts, and the digests without which a browser will not run a script here."""
    scripts = [(_TEMPLATE / name).read_text(encoding="utf-8") for name in _SCRIPTS]
    digests = [hashlib.sha256(script.encode()).digest() for script in scripts]
    allowed = " ".join(f"'sha256-{base64.b64encode(d).decode('ascii')}'" for d in digests)
    style = (_TEMPLATE / "page.css").read_text(encoding="utf-8")
    return {"style": style, "scripts": scripts, "allowed": allowed}


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[[Any], Any]] = {
        "json": _json,
        "thousands": lambda number: f"{number:,}",
        "percent": lambda share: f"{100 * share:.1f}",
        "points": _points,
        "coded": _coded,
    }
    environment.filters |= filters
    return environment


def _points(share: float) -> str:
    """A difference in percentage points, with its sign unless it rounds to nothing."""
    text = f"{100 * share:+.1f}".replace("-", "−")
    return "0.0" if text[1:] == "0.0" else text


def _json(value: Any) -> Any:
    """JSON for a script element: no narration can end it, since it holds no `<`."""
    from markupsafe import Markup

    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


def _coded(text: str) -> Any:
    """Text in which what stands in backticks is code."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
