"""Trainings of the small world in processes of their own, and what they leave."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch

from sumlctl.workspace import Workspace
from tests import forked

ROOT = Path(__file__).parents[2]


def words(
    world: Workspace, run: str, *settings: str, resume: bool = False, devices: int | None = None
) -> list[str]:
    """The words of `sumlctl` that train."""
    said = ["train", *(["--resume", run] if resume else ["small", "--run", run])]
    said += ["--workspace", str(world.root)]
    said += [word for setting in settings for word in ("--set", setting)]
    return said + (["--devices", str(devices)] if devices else [])


def ranks(world: Workspace, run: str, *settings: str, resume: bool = False) -> list[forked.Process]:
    """Two processes that train together."""
    line = words(world, run, *settings, resume=resume)
    return forked.as_ranks(2, lambda environment: forked.command(*line, environment=environment))


def ended(processes: list[forked.Process], code: int = 0) -> str:
    """Waits for all; what they said."""
    return "".join(process.ended(code) for process in processes)


def lines(world: Workspace, run: str, event: str = "steps") -> list[dict]:
    """Lines of the log, but one that is being written."""
    log = world.run(run) / "log.jsonl"
    text = log.read_text(encoding="utf-8") if log.exists() else ""
    told = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return [line for line in told if line["event"] == event]


def steps(world: Workspace, run: str) -> int:
    """Steps of stage two that are logged."""
    return sum(line["stage"] == "stage_two" for line in lines(world, run))


def weights(world: Workspace, run: str) -> Mapping[str, torch.Tensor]:
    path = world.run(run) / "checkpoints" / "stage_two.pt"
    return torch.load(path, weights_only=True)["model"]


def same(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
