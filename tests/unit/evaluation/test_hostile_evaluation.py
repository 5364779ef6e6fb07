"""Evaluation and what looks into clips, over videos that harm the decoder."""

from __future__ import annotations

import polars as pl
import pytest

from sumlctl import config, tables
from sumlctl.evaluation.evaluate import evaluate
from sumlctl.learning.training.train import train
from tests.processes import workers
from tests.unit.learning import hostile, small_world
from tests.unit.learning.hostile import decoder_stub  # noqa: F401, a fixture


@pytest.fixture
def world(workspace):
    """A trained run, and two videos that went bad since."""
    small_world.build(workspace)
    limits = ("workers=2", "stage_one.epochs=1", "stage_two.epochs=1", *hostile.LIMITS)
    train(workspace, config.load(workspace.pipelines / "small.toml", limits))
    for number, deed in ((1, "hang"), (5, "swell")):
        hostile.corrupt(workspace.data("ego", "videos") / f"v{number}.mp4", deed)
    return workspace


@pytest.mark.usefixtures("decoder_stub")
def test_hostile_files_are_named_and_the_rest_is_predicted(world, capsys):
    predictions = evaluate(world).predictions
    assert not workers()
    said = capsys.readouterr().err
    for clip, deed in (("ego/1", "hang"), ("ego/5", "swell")):
        assert f"{clip} is left out: {hostile.REASONS[deed]}" in said
    assert set(predictions["clip_id"]) == {f"ego/{i}" for i in (0, 2, 3, 4, 6, 7)}
    table = pl.DataFrame(tables.read(world.table("ego", "videos"), "videos"))
    marked = table.filter(pl.col("status") == "unreadable").select("video_id", "error")
    assert dict(marked.iter_rows()) == {
        "v1": hostile.REASONS["hang"],
        "v5": hostile.REASONS["swell"],
    }

    assert evaluate(world).predictions.equals(predictions)
    assert "predictions.parquet is up to date" in capsys.readouterr().err
