"""A pipeline that is killed again and again ends as one that nobody disturbed.

`python -m benchmarks kills` does the same to the whole demo, more than a hundred times.
"""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.kills import drill

CARDS = Path(__file__).parents[2] / "manifests"
PIPELINE = """
title = "The demo, as small as it gets"
extends = "demo"
steps = ["index", "embed", "decode", "mine-pairs", "histogram", "train", "eval"]
[data]
encoder = "hashed"
[stage_one]
epochs = 1
[stage_two]
epochs = 3
[checkpoints]
latest_every_s = 0.2
"""


def small(name: str) -> str:
    """A card of the demo with three videos."""
    card = (CARDS / f"{name}.toml").read_text(encoding="utf-8")
    return re.sub(r"clips = .*", "clips = { train = 14, val = 7 }", card.split("[expected]")[0])


def test_nothing_is_lost_and_nothing_is_done_twice(tmp_path):
    cards = {name: small(name) for name in ("demo-fpv", "demo-tpv")}
    found = drill(tmp_path, PIPELINE, kills=5, seed=1, cards=cards)
    assert found.kills == 5
    assert found.repeated == []
    assert found.differing == []
