"""Lineage from the digests that tables keep."""

from __future__ import annotations

import hashlib

import pytest

from sumlctl import tables
from sumlctl.errors import SumlError
from sumlctl.report.content.origins import Origin, trace


def by_name(origin: Origin) -> dict[str, Origin]:
    found = {origin.name: origin}
    for one in origin.inputs:
        found = by_name(one) | found
    return found


def test_from_metrics_to_the_clips(world) -> None:
    path = world.run("mine") / "metrics.parquet"
    root = trace(world, path)
    assert root.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    (predictions,) = root.inputs
    assert predictions.name == "runs/mine/predictions.parquet"
    assert predictions.config == {"views": "2x3", "split": "train"}
    clips, checkpoint = predictions.inputs
    assert clips.name == "manifests/ego/clips.parquet"
    assert checkpoint.digest == hashlib.sha256(b"weights of mine").hexdigest()
    (pairs,) = checkpoint.inputs
    assert [one.name for one in pairs.inputs] == [clips.name, "manifests/exo/clips.parquet"]
    assert {one.state for one in by_name(root).values()} == {"same"}


def test_what_changed_and_what_is_gone(own_world) -> None:
    (own_world.run("mine") / "checkpoints" / "stage_two.pt").write_bytes(b"other weights")
    own_world.table("ego", "clips").unlink()
    found = by_name(trace(own_world, own_world.run("mine") / "metrics.parquet"))
    changed = found["runs/mine/checkpoints/stage_two.pt"]
    assert (changed.state, changed.inputs) == ("changed", ())
    assert found["manifests/ego/clips.parquet"].state == "gone"


def test_files_outside_and_tables_met_twice(own_world) -> None:
    clips = own_world.table("ego", "clips")
    kept = tables.read(clips, "clips")
    inputs = {"clips.csv": "1" * 64, "manifests/ek55.toml": "2" * 64}
    tables.write(kept, clips, "clips", inputs=inputs, config={})
    again = own_world.table("ego", "videos")
    digest = {own_world.relative(clips): tables.digest(clips)}
    videos = tables.read(again, "videos")
    tables.write(videos, again, "videos", inputs=digest, config={})
    pairs = own_world.pairs("ego", ["exo"])
    table = tables.read(pairs, "pairs")
    both = digest | {own_world.relative(again): tables.digest(again)}
    tables.write(table, pairs, "pairs", inputs=both, config={})
    root = trace(own_world, pairs)
    first, second = root.inputs
    states = {one.name: one.state for one in first.inputs}
    # The card is the shipped one, whose digest is another.
    assert states == {"clips.csv": "elsewhere", "manifests/ek55.toml": "changed"}
    assert not first.seen
    (met,) = second.inputs
    assert (met.name, met.seen, met.inputs) == (first.name, True, ())


def test_a_file_that_is_not_there(world) -> None:
    with pytest.raises(SumlError):
        trace(world, world.root / "nothing.parquet")
