"""Kills `sumlctl run` again and again, at random moments, and compares what it makes in the end.

Every finished unit of work leaves a receipt, a stored file or a table. Between two kills nothing of
that may be made anew, and after the last one all tables must be, byte for byte, those of a run that
nobody disturbed; so must the tensors of the weights. Videos are drawn once, for all runs.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.common import report
from sumlctl.workflow import records
from sumlctl.workspace import Workspace

KILLS = 110
PIPELINE = """
title = "The demo with a store, kept short"
extends = "demo"
steps = ["index", "embed", "decode", "mine-pairs", "histogram", "train", "eval", "cam", "report"]
[stage_one]
epochs = 2
[stage_two]
epochs = 4
[checkpoints]
latest_every_s = 0.5
"""
_STEP = re.compile(r"^\$ sumlctl (\S+)", re.MULTILINE)
# What stays as it is once it is there; a table is written anew where its inputs have changed.
_FINISHED = (".units/**/*.json", ".units/**/*.npy", "store/*/*.mp4", "manifests/receipts/*.json")


class Drill(NamedTuple):
    """What came of the kills.

    Args:
        kills: how many there were.
        hit: step -> how many hit it; `start` is before the first step.
        rounds: how often the pipeline was done to its end.
        repeated: what was finished and made anew all the same.
        differing: tables and weights that are not as those of the undisturbed run.
    """

    kills: int
    hit: Counter[str]
    rounds: int
    repeated: list[str]
    differing: list[str]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = drill(Path(folder), PIPELINE, KILLS, seed=0)
    total = {"step": "all", "kills": found.kills, "rounds": found.rounds}
    faults = {"made anew": len(found.repeated), "differing": len(found.differing)}
    rows: list[dict[str, Any]] = [total | faults]
    rows += [{"step": step, "kills": n} for step, n in found.hit.most_common()]
    report("kills", "SIGKILL at random moments, then the same command again", rows)
    for text in (*found.repeated, *found.differing):
        print(text)  # noqa: T201


def drill(
    folder: Path, pipeline: str, kills: int, seed: int, cards: Mapping[str, str] | None = None
) -> Drill:
    """Kills runs of a pipeline, each somewhere in what is left of it.

    Args:
        folder: an empty one.
        pipeline: its TOML.
        kills: how many.
        seed: of the moments.
        cards: dataset -> card, of workspaces that have their own.
    """
    whole = _workspace(folder, "whole", pipeline, cards or {})
    begun = time.monotonic()
    _ended(_start(whole))
    usual_s = time.monotonic() - begun
    expected = digests(whole)
    moments = random.Random(seed)
    hit: Counter[str] = Counter()
    repeated: list[str] = []
    differing: list[str] = []
    rounds = 0
    while sum(hit.values()) < kills:
        rounds += 1
        workspace = _workspace(folder, f"killed-{rounds}", pipeline, cards or {})
        finished: dict[str, tuple[int, int]] = {}
        # About 30 kills a round: each run lives for a thirtieth of the work, and its own start.
        while sum(hit.values()) < kills:
            process = _start(workspace)
            try:
                process.wait(moments.uniform(1.0, 4.0 + usual_s / 15))
                break
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
            hit[_step(process.communicate()[0])] += 1
            now = dict(_finished(workspace))
            repeated += [name for name, mark in now.items() if finished.get(name, mark) != mark]
            finished = now
        _ended(_start(workspace))
        found = digests(workspace)
        names = expected.keys() | found.keys()
        differing += sorted(name for name in names if expected.get(name) != found.get(name))
        shutil.rmtree(workspace.root)
    return Drill(sum(hit.values()), hit, rounds, repeated, differing)


def digests(workspace: Workspace) -> dict[str, str]:
    """Of all tables and stored files, and of the tensors of the weights."""
    import torch

    found = {}
    for pattern in ("manifests/**/*.parquet", "runs/**/*.parquet", "store/**/*.*"):
        for path in workspace.root.glob(pattern):
            found[workspace.relative(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    for path in workspace.root.glob("runs/*/checkpoints/stage_*.pt"):
        model = torch.load(path, weights_only=True)["model"]
        tensors = b"".join(model[name].numpy().tobytes() for name in sorted(model))
        found[workspace.relative(path)] = hashlib.sha256(tensors).hexdigest()
    return found


def _workspace(folder: Path, name: str, pipeline: str, cards: Mapping[str, str]) -> Workspace:
    workspace = Workspace(folder / name)
    workspace.pipelines.mkdir(parents=True)
    workspace.manifests.mkdir()
    for dataset, card in cards.items():
        (workspace.manifests / f"{dataset}.toml").write_text(card, encoding="utf-8")
    (workspace.pipelines / "drill.toml").write_text(pipeline, encoding="utf-8")
    return workspace


def _start(workspace: Workspace) -> subprocess.Popen[str]:
    data = workspace.root.with_name("data")
    return subprocess.Popen(
        [sys.executable, "-m", "sumlctl", "run", "drill"],
        env=os.environ | {"SUMLCTL_WORKSPACE": str(workspace.root), "SUMLCTL_DATA": str(data)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _ended(process: subprocess.Popen[str]) -> None:
    said, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the run ended with {process.returncode}: {said[-2000:]}")


def _step(said: str) -> str:
    """The step that was being done, by what the run said until then."""
    steps = _STEP.findall(said)
    return steps[-1] if steps else "start"


def _finished(workspace: Workspace) -> Iterator[tuple[str, Any]]:
    for pattern in _FINISHED:
        for path in workspace.root.glob(pattern):
            if path.parent.name == "receipts" and not records.read(path).outputs:
                continue  # of a step that is begun and not finished
            stat = path.stat()
            yield workspace.relative(path), (stat.st_ino, stat.st_mtime_ns)
