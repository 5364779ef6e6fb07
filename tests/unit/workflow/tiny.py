"""A generated world of a few clips and a pipeline over it that runs in seconds."""

from __future__ import annotations

import json
import re
from typing import Any

from sumlctl.workspace import Workspace

CARD = """
title = "Tiny kitchen"
viewpoints = ["{viewpoint}"]
homepage = "-"
licence = "-"
citation = "-"

[reader]
name = "synthetic"
seed = 0
overlap = 0.2
clips = {{ train = 14, val = 7 }}
size = [32, 32]
fps = 8

[videos]
paths = ["{{video_id}}.mp4"]

[vocabulary]
verbs = {{ names = [
    "take", "put", "open", "close", "pour", "stir", "cut", "squeeze", "push", "shake", "wipe",
] }}
nouns = {{ names = [
    "fridge", "bottle", "pan", "bowl", "tomato", "box", "jar", "kettle", "lemon", "bread", "cup",
    "drawer", "plate",
] }}
"""
PIPELINE = """
title = "Tiny"
steps = ["index", "embed", "mine-pairs", "histogram", "train", "eval"]
precision = "32-true"
workers = 0
cache_mb = 64
log = { every = 1 }
checkpoints = { validate_every = 0 }
data = { fpv = "tiny-fpv", tpv = ["tiny-tpv"], encoder = "hashed" }
input = { frames = 4, stride = 1, short_side = [32, 36], crop = 32, flip = false }
head = { dropout = 0.0 }
backbone = { name = "tiny", width = 8 }
stage_one = { epochs = 1, batch_size = 4, learning_rate = 0.01 }
stage_two = { epochs = 1, batch_size = 4, learning_rate = 0.01 }
optimiser = { schedule = "constant", weight_decay = 0.0 }
evaluation = { temporal_views = 1, spatial_views = 1 }
"""


def build(workspace: Workspace, more: str = "") -> None:
    """The cards, and `pipelines/tiny.toml` with `more` at its end; nothing is rendered yet."""
    workspace.manifests.mkdir(parents=True, exist_ok=True)
    workspace.pipelines.mkdir(parents=True, exist_ok=True)
    for viewpoint in ("fpv", "tpv"):
        card = workspace.manifests / f"tiny-{viewpoint}.toml"
        card.write_text(CARD.format(viewpoint=viewpoint), encoding="utf-8")
    (workspace.pipelines / "tiny.toml").write_text(PIPELINE + more, encoding="utf-8")


def statuses(done: Any) -> dict[str, str]:
    """step -> status, of `run --json`."""
    return {row["step"]: row["status"] for row in json.loads(done.out)}


def commands(out: str) -> list[str]:
    """The first two words of each command line that was done."""
    return re.findall(r"\$ sumlctl (\S+ \S+)", out)


def weights(workspace: Workspace, run: str) -> bytes:
    return (workspace.run(run) / "checkpoints" / "stage_two.pt").read_bytes()
