"""The training as its log tells it: every term of the loss against the step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sumlctl.config import documents
from sumlctl.errors import SumlError

STAGES = ("stage_one", "stage_two")
_FIGURES = ("loss", "learning_rate")
_NO_TASKS = ("event", "stage", "epoch", "best")  # of a validation


@dataclass(frozen=True)
class Point:
    """A figure at one step.

    Args:
        stage: of the training.
        step: batches since the training began, both stages counted.
        value: the mean over the batches since the point before.
    """

    stage: str
    step: int
    value: float


@dataclass
class Training:
    """What a log holds.

    Args:
        begins: stage -> the step that it begins with, for the stages there are.
        curves: name of a loss term, `loss` or `learning_rate` -> its points.
        validation: task -> its points.
        replaced: clips that could not be decoded.
        resumed: how often the run was gone on with.
    """

    begins: dict[str, int] = field(default_factory=dict)
    curves: dict[str, list[Point]] = field(default_factory=dict)
    validation: dict[str, list[Point]] = field(default_factory=dict)
    replaced: int = 0
    resumed: int = 0


def read(path: Path) -> Training:
    """Reads `log.jsonl`; of steps that were done twice, the later ones count.

    Raises:
        SumlError: there is no log, or nothing of a training in it.
    """
    events = list(_events(path))
    steps = {(e["stage"], e["epoch"], e["step"]): e for e in events if e["event"] == "steps"}
    if not steps:
        raise SumlError(
            path,
            "no step of a training",
            got=f"{len(events)} events",
            expected="steps of stage_one or stage_two",
            fix="Go on with it: `sumlctl train --resume RUN`.",
        )
    found = Training(
        replaced=sum(event["event"] == "clip_replaced" for event in events),
        resumed=sum(event["event"] == "resumed" for event in events),
    )
    per_epoch = {
        stage: 1 + max(step for of, _, step in steps if of == stage)
        for stage in STAGES
        if any(of == stage for of, _, _ in steps)
    }
    begin = 0
    for stage, length in per_epoch.items():
        found.begins[stage] = begin
        done = sorted((epoch, step) for of, epoch, step in steps if of == stage)
        for epoch, step in done:
            event = steps[stage, epoch, step]
            figures = {name: event[name] for name in _FIGURES} | event["terms"]
            for name, value in figures.items():
                point = Point(stage, begin + epoch * length + step, value)
                found.curves.setdefault(name, []).append(point)
        begin += (done[-1][0] + 1) * length
    _validations(found, events, per_epoch)
    return found


def _validations(found: Training, events: list[dict[str, Any]], per_epoch: dict[str, int]) -> None:
    last = {(e["stage"], e["epoch"]): e for e in events if e["event"] == "validation"}
    for (stage, epoch), event in sorted(last.items()):
        if stage not in per_epoch:
            continue
        step = found.begins[stage] + epoch * per_epoch[stage]
        for task, value in event.items():
            if task not in _NO_TASKS:
                found.validation.setdefault(task, []).append(Point(stage, step, value))


def _events(path: Path) -> Iterator[dict[str, Any]]:
    """The log's events; a line that a power cut left unfinished is none."""
    if not path.is_file():
        raise SumlError(
            path,
            "log is missing",
            got="no file",
            expected="the log of a training",
            fix="Make it with `sumlctl train`.",
        )
    for event in documents.lines(path):
        if "event" in event and _is_sound(event):
            yield event


def _is_sound(event: dict[str, Any]) -> bool:
    """Whether a step or a validation says all that it should."""
    if event["event"] not in ("steps", "validation"):
        return True
    counts, figures = [event.get("epoch")], []
    if event["event"] == "steps":
        terms = event.get("terms")
        if not isinstance(terms, dict):
            return False
        counts.append(event.get("step"))
        figures = [*terms.values(), *(event.get(name) for name in _FIGURES)]
    else:
        figures = [v for k, v in event.items() if k not in _NO_TASKS]
    return (
        event.get("stage") in STAGES
        and all(type(n) is int and n >= 0 for n in counts)
        and all(type(x) in (int, float) for x in figures)
    )
