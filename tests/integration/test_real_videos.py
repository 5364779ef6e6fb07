"""Eighteen real first-person clips learned by heart, with real third-person partners."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

CARD = """
title = "Real clips"
viewpoints = ["{viewpoint}"]
homepage = "see the videos"
licence = "see the videos"
citation = "see the videos"
videos = {{ paths = ["{{video_id}}"] }}
vocabulary = {{ {vocabulary} }}

[reader]
name = "tabular"
files = {{ train = "real_{viewpoint}.csv" }}
columns = {{ {columns} }}
"""
COLUMNS = (
    'video_id = "video", start_s = "start_s", stop_s = "stop_s", narration = "narration", {labels}'
)
FPV = COLUMNS.format(labels='verbs = "verb", nouns = "noun"')
TPV = COLUMNS.format(labels='actions = "narration"')
FPV_CLASSES = (
    'verbs = { size = 3, names = ["open", "pick-up", "turn-on"] }, '
    'nouns = { size = 5, names = ["bin", "drawer", "fridge", "spoon", "tap"] }'
)
PIPELINE = """
precision = "32-true"
workers = 0
cache_mb = 2000
input = { frames = 4, stride = 8, short_side = [56, 64], crop = 56, flip = false }
backbone = { name = "tiny", width = 8 }
head = { dropout = 0.0 }
loss = { name = "sum-l", threshold = 0.2 }
stage_one = { epochs = 2, batch_size = 4, learning_rate = 0.05 }
stage_two = { epochs = 80, batch_size = 9, learning_rate = 0.05 }
optimiser = { schedule = "cosine" }
checkpoints = { validate_every = 0 }
data = { fpv = "real-fpv", tpv = ["real-tpv"], eval_split = "train" }
evaluation = { temporal_views = 5, spatial_views = 1 }
"""


@pytest.fixture
def real(workspace, shared_data: Path, sumlctl):
    said = (shared_data / "real_tpv.csv").read_text().splitlines()[1:]
    classes = json.dumps([line.split(",")[3] for line in said])
    tpv_classes = f"actions = {{ size = {len(said)}, names = {classes} }}"
    workspace.manifests.mkdir(parents=True)
    workspace.pipelines.mkdir(parents=True)
    (workspace.pipelines / "real.toml").write_text(PIPELINE)
    for view, columns, vocabulary in (("fpv", FPV, FPV_CLASSES), ("tpv", TPV, tpv_classes)):
        card = CARD.format(viewpoint=view, columns=columns, vocabulary=vocabulary)
        (workspace.manifests / f"real-{view}.toml").write_text(card)
        folders = [
            "--annotations",
            str(shared_data),
            "--videos",
            str(shared_data / "videos" / view),
        ]
        indexed = sumlctl("index", f"real-{view}", *folders)
        assert indexed.code == 0, indexed.err
    assert sumlctl("embed", "--encoder", "all-MiniLM-L6-v2").code == 0
    mined = sumlctl("mine-pairs", "--fpv", "real-fpv", "--tpv", "real-tpv", "--assign", "spread")
    assert mined.code == 0, mined.err
    return workspace


def test_real_clips_are_learned_by_heart(real, sumlctl):
    trained = sumlctl("train", "real", "--json")
    assert trained.code == 0, trained.err
    scored = sumlctl("eval", "--json")
    assert scored.code == 0, scored.err
    accuracy = {(m["task"], m["k"]): (m["value"], m["n_clips"]) for m in json.loads(scored.out)}
    assert accuracy["verb", 1] == accuracy["noun", 1] == (1.0, 18)
    log = (real.run("real-fpv.sum-l") / "log.jsonl").read_text()
    assert "clip_replaced" not in log
