"""The sections of a pipeline that `sumlctl run` reads beside those of the training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sumlctl.config import parsing
from sumlctl.config.parsing import limits
from sumlctl.errors import nearest_names
from sumlctl.mining.options import MiningOptions

# Every step that there is, in the order of what they make of each other's work.
STEPS = ("index", "decode", "embed", "mine-pairs", "histogram", "train", "eval", "cam", "report")
_USUAL = ["index", "embed", "mine-pairs", "train", "eval", "report"]


@dataclass(frozen=True)
class Decode:
    """What `decode` keeps of each dataset.

    Args:
        short_side: pixels that larger videos are scaled down to.
        crf: x264's constant rate factor; less is better and larger.
        margin: seconds around each clip.
        whole: whether whole videos are kept.
    """

    short_side: int = field(default=256, metadata=limits(at_least=2))
    crf: int = field(default=22, metadata=limits(at_least=0, at_most=51))
    margin: float = field(default=0.5, metadata=limits(at_least=0))
    whole: bool = False


@dataclass(frozen=True)
class Histogram:
    """What `histogram` draws of all the pipeline's pairs.

    Args:
        by: `class` (the paper's Fig. 2) or `clip`.
        class_stat: `mean` or `max` over a class's clips.
        out: the picture, in the workspace; default `figures/<pipeline>.png`.
    """

    by: str = field(default="class", metadata=limits(choices=("class", "clip")))
    class_stat: str = field(default="mean", metadata=limits(choices=("mean", "max")))
    out: str = ""


@dataclass(frozen=True)
class Cam:
    """What `cam` draws of each run.

    Args:
        against: label of the cell to show beside the others; empty for none.
        count: clips of the evaluation split, evenly spread.
        of: `truth` or `predicted`.
        relative: whether maps leave out what speaks for all classes alike.
    """

    against: str = ""
    count: int = field(default=8, metadata=limits(at_least=1))
    of: str = field(default="truth", metadata=limits(choices=("truth", "predicted")))
    relative: bool = False


@dataclass(frozen=True)
class StepOptions:
    """What a pipeline says for `sumlctl run` alone, besides its matrix and the paper's numbers.

    Args:
        steps: their kinds; they are done in the order of `STEPS`.
        decode: what is kept of videos.
        mining: how pairs are chosen.
        histogram: what is drawn of them.
        cam: what is drawn of runs.
    """

    steps: list[str] = field(default_factory=lambda: list(_USUAL))
    decode: Decode = field(default_factory=Decode)
    mining: MiningOptions = field(default_factory=MiningOptions)
    histogram: Histogram = field(default_factory=Histogram)
    cam: Cam = field(default_factory=Cam)

    def contradictions(self) -> list[str]:
        return [_unknown_step(name) for name in self.steps if name not in STEPS]


def _unknown_step(name: str) -> str:
    near = nearest_names(name, STEPS)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(STEPS)}"
    return f"steps: {parsing.toml(name)} is no step, {hint}"


@dataclass(frozen=True)
class Paper:
    """What the paper reports.

    Args:
        table: such as `Table 1`.
        numbers: group of cells -> metric -> per cent; see `sumlctl.workflow.results.metric_name`.
    """

    table: str = ""
    numbers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def said(raw: Mapping[str, Any], faults: list[str]) -> StepOptions:
    """What a pipeline says for `run` alone."""
    keys = StepOptions.__dataclass_fields__
    return parsing.parse(StepOptions, {k: raw[k] for k in keys if k in raw}, faults)


def paper(raw: Any, faults: list[str]) -> Paper:
    """The section `[paper]`."""
    numbers = raw.get("numbers", {}) if isinstance(raw, dict) else None
    sound = isinstance(numbers, dict) and all(
        isinstance(row, dict) and all(isinstance(value, int | float) for value in row.values())
        for row in numbers.values()
    )
    if not isinstance(raw, dict) or not isinstance(raw.get("table", ""), str) or not sound:
        faults.append('paper is not table = "..." and numbers.<cell>.<metric> = per cent')
        return Paper()
    faults += [f"paper.{key} is unknown" for key in raw if key not in ("table", "numbers")]
    return Paper(raw.get("table", ""), numbers or {})
