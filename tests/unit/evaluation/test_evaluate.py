"""Training and evaluation from end to end on eight videos of one colour each."""

from __future__ import annotations

import json
import shutil
import tomllib

import numpy as np
import polars as pl
import pytest
import torch

from sumlctl import config, tables
from sumlctl.errors import SumlError
from sumlctl.evaluation import predict
from sumlctl.evaluation.evaluate import Request, evaluate
from sumlctl.learning.training.train import train
from tests.builders import write_clips
from tests.unit.learning import small_world

STAGES = ("stage_one", "stage_two")


@pytest.fixture
def world(workspace):
    small_world.build(workspace)
    return workspace


def pipeline(workspace, *overrides: str):
    return config.load(workspace.pipelines / "small.toml", overrides)


def log(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_eight_clips_are_learned_by_heart(world):
    epochs = ("stage_one.epochs=20", "stage_two.epochs=50")
    folder = train(world, pipeline(world, *epochs))
    assert folder == world.run("ego.sum-l")
    steps = [line for line in log(folder) if line["event"] == "steps"]
    first, last = ([line["loss"] for line in steps if line["stage"] == stage] for stage in STAGES)
    assert first[-1] < first[0] / 2
    assert last[-1] < last[0] - 1
    assert steps[-1]["terms"].keys() == {"l_f", "l_t", "l_aw", "l_m", "kept_share"}

    metrics = evaluate(world).metrics
    assert {(r["task"], r["k"], r["value"]) for r in metrics.to_pylist()} == {
        (task, k, 1.0) for task in ("verb", "noun") for k in (1, 5)
    }
    assert set(metrics["n_views"].to_pylist()) == {6}
    assert tables.read(folder / "metrics.parquet", "metrics").equals(metrics)
    predictions = pl.from_arrow(tables.read(folder / "predictions.parquet", "predictions"))
    assert predictions.height == 16
    nouns = predictions.filter(pl.col("task") == "noun")
    assert nouns["target"].to_list() == [[i] for i in range(8)]
    scores = np.array(nouns["scores"].to_list())
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)
    assert scores.argmax(axis=1).tolist() == list(range(8))


def test_the_same_seed_gives_the_same_weights_and_stage_two_starts_from_stage_one(world):
    still = ("stage_two.learning_rate=1e-30", "stage_two.epochs=1")
    runs = [train(world, pipeline(world, *still), run) for run in ("a", "b")]
    runs.append(train(world, pipeline(world, *still, "seed=1"), "c"))
    weights = [
        {s: torch.load(run / "checkpoints" / f"{s}.pt", weights_only=True)["model"] for s in STAGES}
        for run in runs
    ]
    for stage in STAGES:
        assert all(torch.equal(w, weights[1][stage][n]) for n, w in weights[0][stage].items())
    kernel = "tpv.encoder.layers.0.0.weight"
    assert torch.equal(weights[0]["stage_one"][kernel], weights[0]["stage_two"][kernel])
    assert not torch.equal(weights[0]["stage_one"][kernel], weights[2]["stage_one"][kernel])
    fpv_kernel = weights[0]["stage_two"]["fpv.encoder.layers.0.0.weight"]
    assert not torch.equal(fpv_kernel, weights[0]["stage_two"][kernel])


@pytest.mark.parametrize("method", ["fpv-only", "typical-cl", "triplet"])
def test_the_baselines_train_and_evaluate(world, method):
    folder = train(world, pipeline(world, f"loss.name={method}"))
    assert folder.name == f"ego.{method}"
    stages = {path.stem for path in (folder / "checkpoints").iterdir()}
    assert stages == ({"stage_two"} if method == "fpv-only" else {"stage_one", "stage_two"})
    assert (
        evaluate(world, folder.name, Request(views="1x1")).metrics["n_views"].to_pylist() == [1] * 4
    )


def test_only_first_person_weights_are_used(world):
    folder = train(world, pipeline(world))
    before = evaluate(world).metrics
    path = folder / "checkpoints" / "stage_two.pt"
    content = torch.load(path, weights_only=True)
    fpv = {n: w for n, w in content["model"].items() if n.startswith("fpv.")}
    torch.save({**content, "model": fpv}, path)
    assert evaluate(world).metrics.equals(before)


def test_files_of_the_run(world):
    folder = train(world, pipeline(world, "data.encoder=''"), "mine")
    evaluate(world, "mine")
    assert {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} == {
        "pipeline.toml",
        "log.jsonl",
        "checkpoints/stage_one.pt",
        "checkpoints/stage_two.pt",
        "predictions.parquet",
        "metrics.parquet",
    }
    stored = tomllib.loads((folder / "pipeline.toml").read_text())
    assert stored["data"]["encoder"] == "test"
    assert stored["loss"]["temperature"] == 0.06
    table = tables.read(folder / "predictions.parquet", "predictions")
    inputs = tables.metadata(table, "inputs")
    checkpoint = "runs/mine/checkpoints/stage_two.pt"
    assert inputs[checkpoint] == tables.digest(world.root / checkpoint)


def test_a_run_is_never_overwritten(world):
    train(world, pipeline(world), "mine")
    with pytest.raises(SumlError, match="the run exists"):
        train(world, pipeline(world), "mine")
    assert train(world, pipeline(world)).name == "ego.sum-l"
    assert train(world, pipeline(world)).name == "ego.sum-l.2"
    with pytest.raises(SumlError, match=r"not a name for a folder, got '\.\./out'"):
        train(world, pipeline(world), "../out")


def test_clips_that_break_while_decoding_are_replaced_or_not_predicted(world, capsys):
    (world.data("ego", "videos") / "v2.mp4").write_bytes(b"broken")
    folder = train(world, pipeline(world, "cache_mb=0"))
    replaced = {line["clip_id"] for line in log(folder) if line["event"] == "clip_replaced"}
    assert replaced == {"ego/2"}
    assert evaluate(world).metrics["n_clips"].to_pylist() == [7] * 4
    assert "ego/2 is left out" in capsys.readouterr().err


def test_other_classes_than_trained_for(world):
    train(world, pipeline(world))
    more = {**small_world.VOCABULARY, "verbs": [["dark"], ["bright"], ["new"]]}
    path = world.table("ego", "clips")
    table = tables.read(path, "clips")
    tables.write(table, path, "clips", inputs={}, config={}, extra={"vocabulary": more})
    with pytest.raises(SumlError, match=r"got 2 verb classes of ego, 8 .*; expected 3 verb"):
        evaluate(world)


def test_no_run_and_no_such_run(world):
    with pytest.raises(SumlError, match="no run to evaluate"):
        evaluate(world)
    train(world, pipeline(world), "first")
    with pytest.raises(SumlError, match=r"no such run, got 'fist'.*Did you mean first"):
        evaluate(world, "fist")
    with pytest.raises(SumlError, match=r"no such protocol, got 'topk5'.*top_k"):
        evaluate(world, "first", Request(protocol="topk5"))


def test_predictions_that_still_hold_are_taken_as_they_are(world, capsys):
    folder = train(world, pipeline(world))
    first = evaluate(world)
    written = (folder / "predictions.parquet").stat().st_mtime_ns
    capsys.readouterr()
    again = evaluate(world, request=Request(ci=True))
    assert "predictions.parquet is up to date" in capsys.readouterr().err
    assert (folder / "predictions.parquet").stat().st_mtime_ns == written
    plain = [row for row in again.metrics.to_pylist() if "_ci_" not in row["metric"]]
    assert plain == first.metrics.to_pylist()
    assert len(again.metrics) == 3 * len(first.metrics)
    evaluate(world, request=Request(views="1x1"))
    assert (folder / "predictions.parquet").stat().st_mtime_ns > written


def test_an_interrupted_evaluation_goes_on(world, monkeypatch, capsys):
    folder = train(world, pipeline(world, "evaluation.batch_size=3"))
    expected = evaluate(world).predictions
    (folder / "predictions.parquet").unlink()
    original, calls = predict._scores, []

    def scores(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(predict, "_scores", scores)
        evaluate(world)
    assert not (folder / "predictions.parquet").exists()
    assert [p.name for p in (folder / "predictions.parts").iterdir()] == ["00000.parquet"]
    capsys.readouterr()
    assert evaluate(world).predictions.equals(expected)
    assert "eval: goes on after 3 of 8" in capsys.readouterr().err
    assert not (folder / "predictions.parts").exists()


def test_parts_of_other_settings_are_thrown_away(world, monkeypatch, capsys):
    folder = train(world, pipeline(world))
    parts = folder / "predictions.parts"
    expected = evaluate(world).predictions
    table = tables.read(folder / "predictions.parquet", "predictions")
    tables.write(table, parts / "00000.parquet", "predictions", inputs={}, config={"views": "9x9"})
    evaluate(world, request=Request(views="1x1"))
    assert "goes on" not in capsys.readouterr().err
    assert evaluate(world).predictions.equals(expected)


def test_scores_come_from_predictions_alone(world):
    folder = train(world, pipeline(world))
    before = evaluate(world).metrics
    shutil.rmtree(folder / "checkpoints")
    shutil.rmtree(world.data("ego", "videos"))
    assert evaluate(world, request=Request(scores_only=True)).metrics.equals(before)
    path = folder / "predictions.parquet"
    table = tables.read(path, "predictions")
    tables.write(table.slice(1), path, "predictions", inputs={}, config={})
    with pytest.raises(SumlError, match="ego/0"):
        evaluate(world, request=Request(scores_only=True))
    evaluate(world, request=Request(scores_only=True, allow_missing=True))


def test_other_weights_of_the_run(world):
    train(world, pipeline(world, "checkpoints.keep_every=1"), "kept")
    early = evaluate(world, "kept", Request(checkpoint="stage_two.epoch_1.pt"))
    late = evaluate(world, "kept")
    assert not early.predictions.equals(late.predictions)
    with pytest.raises(SumlError, match="checkpoint is missing"):
        evaluate(world, "kept", Request(checkpoint="best.pt"))
    with pytest.raises(
        SumlError, match="no first-person branch with known classes, got a record of tpv"
    ):
        evaluate(world, "kept", Request(checkpoint="stage_one.pt"))


def test_a_protocol_of_whole_videos(world):
    """Two clips of one video get one prediction, of all of it."""
    train(world, pipeline(world))
    n = len(small_world.NAMES)
    write_clips(
        world,
        "ego",
        small_world.NAMES,
        vocabulary={"actions": [[name] for name in small_world.NAMES]},
        video_id=[f"v{i // 2}" for i in range(n)],
        start_s=[0.0, 0.5] * 4,
        stop_s=[0.5, 1.0] * 4,
        actions=[[i] for i in range(n)],
        status=["ok"] * n,
    )
    train(world, pipeline(world, "loss.name=fpv-only"), "actions")
    found = evaluate(world, "actions", Request(protocol="charades-ego", views="2x1"))
    scores = found.predictions["scores"].to_list()
    assert len(scores) == n
    assert all(scores[i] == scores[i + 1] for i in range(0, n, 2))
    assert scores[0] != scores[2]
    assert found.predictions["target"].to_list() == [[i] for i in range(n)]
    assert found.metrics["protocol"].to_pylist() == ["charades-ego"]
    path = world.run("actions") / "predictions.parquet"
    assert tables.metadata(tables.read(path, "predictions"), "config")["of"] == "videos"
    evaluate(world, "actions", Request(protocol="multi-label", views="2x1"))
    assert tables.metadata(tables.read(path, "predictions"), "config")["of"] == "clips"


def test_commands(world, sumlctl):
    trained = sumlctl("train", "small", "--method", "fpv-only", "--run", "r", "--json")
    assert trained.code == 0, trained.err
    assert json.loads(trained.out)["run"] == "r"
    scored = sumlctl("eval", "--views", "1x1", "--json")
    assert [row["task"] for row in json.loads(scored.out)] == ["verb", "verb", "noun", "noun"]
    assert "runs/r, the newest of 1" in scored.err
    shown = sumlctl("eval", "r")
    assert "accuracy" in shown.out
    bad = sumlctl("train", "small", "--set", "stage_two.epoch=3", "--set", "head.dropout=2")
    assert bad.code == 1
    assert bad.out == ""
    assert "head.dropout = 2.0 is not at most 0.99; stage_two.epoch is unknown" in bad.err


def test_eval_takes_the_weights_that_training_names(workspace, sumlctl):
    """`best.pt` is announced while training, and `eval` takes the last epoch's weights."""
    small_world.build(workspace)
    words = ["--set", "stage_two.epochs=2", "--set", "checkpoints.validate_every=1"]
    done = sumlctl("train", "small", "--run", "r", *words)
    assert done.code == 0, done.err
    assert "(best): kept as best.pt; eval takes the last, stage_two.pt" in done.err
    assert "eval takes the weights of the last epoch, stage_two.pt" in done.err
    folder = workspace.run("r") / "checkpoints"
    digests = {name: tables.digest(folder / name) for name in ("stage_two.pt", "best.pt")}
    for more, name in (([], "stage_two.pt"), (["--checkpoint", "best.pt"], "best.pt")):
        epochs = torch.load(folder / name, weights_only=True)["epochs"]
        scored = sumlctl("eval", "r", *more)
        assert scored.code == 0, scored.err
        assert f"weights: {name}, after epoch {epochs}" in scored.err
        made = tables.read(workspace.run("r") / "predictions.parquet", "predictions")
        assert tables.metadata(made, "inputs")[f"runs/r/checkpoints/{name}"] == digests[name]
