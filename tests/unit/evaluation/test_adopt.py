"""Weights from elsewhere become a run: what they say is what the network that they are of says."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
import torch

from sumlctl import config, tables
from sumlctl.errors import SumlError
from sumlctl.evaluation import trained
from sumlctl.evaluation.evaluate import evaluate
from sumlctl.learning.training.import_checkpoint import import_checkpoint
from sumlctl.learning.training.train import train
from sumlctl.video.read import read_frames
from tests.unit.learning import small_world
from tests.unit.learning.weights import peers

SLOWFAST = small_world.PIPELINE.replace(
    'backbone = { name = "tiny", width = 8 }', 'backbone = { name = "slowfast50" }'
).replace("frames = 4", "frames = 8")


@pytest.fixture
def world(workspace):
    small_world.build(workspace)
    (workspace.pipelines / "small-slowfast.toml").write_text(SLOWFAST)
    return workspace


@pytest.fixture
def released(tmp_path):
    """A two-task network as Ego-Exo publishes it: BGR, heads of 2 verbs and 8 nouns."""
    state = peers.trunk(True) | peers.filled(peers.head("headepic55", 2, 8), seed=3)
    return peers.saved(tmp_path / "released.pyth", state), state


def expected_scores(state, path) -> dict[str, np.ndarray]:
    """Scores of a video of one colour: every crop of every window is the same picture."""
    colour = read_frames(path, [0.0], short_side=32).pixels[0].reshape(-1, 3).mean(axis=0)
    rgb = torch.tensor((colour / 255 - 0.45) / 0.225, dtype=torch.float32)
    clip = rgb.flip(0).view(1, 3, 1, 1, 1).expand(1, 3, 8, 32, 32)
    features = peers.features(state, clip)
    logits = {
        task: features @ state[f"headepic55.projections.{i}.weight"].T
        + state[f"headepic55.projections.{i}.bias"]
        for i, task in enumerate(("verb", "noun"))
    }
    return {task: said.softmax(dim=1)[0].numpy() for task, said in logits.items()}


def test_released_weights_score_as_their_network_does(world, sumlctl, released):
    path, state = released
    words = ("--checkpoint", str(path), "--fpv", "ego", "--pipeline", "small-slowfast")
    scored = sumlctl("eval", *words, "--json")
    assert scored.code == 0, scored.err
    assert "ego-exo weights of slowfast50" in scored.err
    assert {(row["task"], row["n_clips"]) for row in json.loads(scored.out)} == {
        ("verb", 8),
        ("noun", 8),
    }
    folder = world.run("ego.released")
    rows = pl.DataFrame(tables.read(folder / "predictions.parquet", "predictions"))
    for i in (0, 5):
        expected = expected_scores(state, world.data("ego", "videos") / f"v{i}.mp4")
        found = rows.filter(pl.col("clip_id") == f"ego/{i}")
        for task, scores in found.select("task", "scores").iter_rows():
            np.testing.assert_allclose(scores, expected[task], atol=2e-3)
    again = sumlctl("eval", *words, "--json")
    assert again.out == scored.out
    assert "is up to date" in again.err
    assert sumlctl("eval", "ego.released", "--split", "train", "--json").out == scored.out
    looked = sumlctl("cam", "ego.released", "--count", "1", "--json")
    assert looked.code == 0, looked.err


def test_both_branches_of_converted_weights_are_those_of_the_run(world, sumlctl, tmp_path, capsys):
    folder = train(world, config.load(world.pipelines / "small.toml", ["backbone.width=16"]))
    before = evaluate(world).metrics
    other = tmp_path / "converted.pt"
    own = folder / "checkpoints" / "stage_two.pt"
    assert sumlctl("convert", str(own), str(other), "--backbone", "tiny").code == 0
    wide = small_world.PIPELINE.replace("width = 8", "width = 16")
    (world.pipelines / "wide.toml").write_text(wide)
    capsys.readouterr()
    name = import_checkpoint(world, other, "ego", ["exo"], "wide")
    assert name == "ego.converted"
    assert "unused" not in capsys.readouterr().err
    assert evaluate(world, name).metrics.equals(before)
    first, second = (trained.load(world, run) for run in (folder.name, name))
    assert first.tasks == second.tasks
    for key, weight in first.model.state_dict().items():
        assert torch.equal(weight, second.model.state_dict()[key])


def test_what_does_not_fit_is_refused_and_leaves_no_run(world, sumlctl, released):
    path, _ = released
    vocabulary = {**small_world.VOCABULARY, "verbs": [["dark"], ["bright"], ["new"]]}
    table = tables.read(world.table("ego", "clips"), "clips")
    clips, extra = world.table("ego", "clips"), {"vocabulary": vocabulary}
    tables.write(table, clips, "clips", inputs={}, config={}, extra=extra)
    with pytest.raises(SumlError, match=r"another shape than the heads, got heads\.verb\.weight"):
        import_checkpoint(world, path, "ego", pipeline="small-slowfast")
    with pytest.raises(SumlError, match="no such indexed dataset, got 'ek55'"):
        import_checkpoint(world, path, "ek55")
    assert world.runs() == []
    for words in (["--fpv", "ego"], ["r", "--checkpoint", str(path), "--fpv", "ego"]):
        refused = sumlctl("eval", *words)
        assert refused.code == 2 and "--checkpoint FILE and --fpv" in refused.err


def test_a_name_stands_for_one_file(world, released):
    path, state = released
    name = import_checkpoint(world, path, "ego", pipeline="small-slowfast")
    assert import_checkpoint(world, path, "ego", pipeline="small-slowfast") == name
    peers.saved(path, {**state, "headepic55.projections.0.bias": torch.ones(2)})
    with pytest.raises(SumlError, match="made of other weights or settings, got another source"):
        import_checkpoint(world, path, "ego", pipeline="small-slowfast")


def test_a_checkpoint_without_classes_is_no_checkpoint_of_a_run(world, sumlctl, tmp_path):
    folder = train(world, config.load(world.pipelines / "small.toml", ["backbone.width=16"]))
    own, other = folder / "checkpoints" / "stage_two.pt", tmp_path / "c.pt"
    assert sumlctl("convert", str(own), str(other), "--backbone", "tiny").code == 0
    refused = sumlctl("eval", "--checkpoint", str(other))
    assert refused.code == 1
    assert "no first-person branch with known classes" in refused.err
    assert "--checkpoint FILE --fpv DATASET" in refused.err
