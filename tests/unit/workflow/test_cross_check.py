"""Windows by both decoders: what counts as the same, and what the command says."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from sumlctl import tables
from sumlctl.errors import SumlError
from sumlctl.video.probe import probe
from sumlctl.video.read import Frames
from sumlctl.workflow import cross_check as module
from sumlctl.workflow.cross_check import CheckedWindow, compare, cross_check
from tests.annotation_files import write_video
from tests.builders import write_clips

pytest.importorskip("decord")


@pytest.fixture
def indexed(workspace):
    """Two videos of a dataset `kitchen`, one missing, and a folder of frames."""
    root = workspace.data("kitchen", "videos")
    rows = []
    for name, n_frames in (("a", 40), ("b", 7)):
        found = probe(write_video(root / f"{name}.mp4", n_frames))
        rows.append({"video_id": name, "path": f"{name}.mp4", **vars(found)})
    rows.append({"video_id": "c", "path": "c.mp4", "status": "missing"})
    rows.append({"video_id": "d", "path": "d", "status": "ok", "fps": 60.0, "duration_s": 9.0})
    columns = tables.schema("videos").names
    full = [{"dataset": "kitchen", **dict.fromkeys(columns[1:]), **row} for row in rows]
    schema = pl.DataFrame(pl.from_arrow(tables.schema("videos").empty_table())).schema
    frame = pl.DataFrame([{key: row[key] for key in columns} for row in full], schema=schema)
    path = workspace.table("kitchen", "videos")
    tables.write(frame.to_arrow(), path, "videos", inputs={}, config={})
    write_clips(workspace, "kitchen", ["take cup"])
    return workspace


def test_sound_videos_are_the_same_by_both(indexed):
    found = cross_check(indexed, 6)
    assert {window.video_id for window in found} == {"a", "b"}
    assert {(w.result, w.frames, w.mean, w.most) for w in found} == {("same", 8, 0.0, 0)}
    assert all(0 <= w.start_s <= (2.5 if w.video_id == "a" else 0) for w in found)
    assert found == cross_check(indexed, 6)


def frames(pixels=0, times=0.0, shape=(2, 4, 6, 3)):
    times_s = np.arange(shape[0]) + times
    return Frames(np.full(shape, pixels, np.uint8), times_s, "", times_s + 1)


@pytest.mark.parametrize(
    ("theirs", "result", "reason"),
    [
        (frames(100), "same", ""),
        (frames(101), "differs", "a picture by more than 0.5 of 255"),
        (frames(100, times=0.02), "differs", "frames of other times"),
        (frames(100, shape=(2, 6, 4, 3)), "differs", "(2, 4, 6, 3) against (2, 6, 4, 3)"),
        (SumlError("x", "fails", got="y", expected="", fix=""), "not compared", "decord: fails"),
    ],
)
def test_what_counts_as_a_difference(tmp_path, monkeypatch, theirs, result, reason):
    def stub(path, times_s, *, decoder):
        found = frames(100) if decoder == "pyav" else theirs
        if isinstance(found, SumlError):
            raise found
        return found

    monkeypatch.setattr(module, "read_frames", stub)
    found = compare(CheckedWindow("kitchen", "a", tmp_path / "a.mp4", (0.0, 1.0)))
    assert (found.result, found.reason.split(", got")[0]) == (result, reason)


def test_one_wrong_picture_of_many_is_a_difference(tmp_path, monkeypatch):
    ours, theirs = frames(100, shape=(8, 4, 4, 3)), frames(100, shape=(8, 4, 4, 3))
    theirs.pixels[5] += 3
    monkeypatch.setattr(
        module, "read_frames", lambda *_, decoder: ours if decoder == "pyav" else theirs
    )
    found = compare(CheckedWindow("kitchen", "a", tmp_path / "a.mp4", (0.0,)))
    assert (found.result, found.mean, found.most) == ("differs", 3 / 8, 3)


def test_the_command_prints_a_table_or_json_and_fails_on_a_difference(
    indexed, sumlctl, monkeypatch
):
    done = sumlctl("doctor", "--cross-check", "3")
    assert (done.code, done.out.count("same")) == (0, 3)
    done = sumlctl("doctor", "--cross-check", "3", "--json")
    assert [(w["dataset"], w["result"]) for w in json.loads(done.out)] == [("kitchen", "same")] * 3
    monkeypatch.setattr(module, "compare", differ)
    done = sumlctl("doctor", "--cross-check", "3", "--json")
    assert done.code == 1
    assert {w["result"] for w in json.loads(done.out)} == {"differs"}


def differ(window):
    """Stands for `compare`: everything differs."""
    return module.Compared("differs", window.dataset, window.video_id, window.times_s[0])


def test_nothing_to_compare_is_an_error(workspace, sumlctl):
    done = sumlctl("doctor", "--cross-check", "3")
    assert done.code == 1
    assert "no readable video file is indexed" in done.err
    assert sumlctl("doctor", "--cross-check", "0").code == 2


def test_a_window_that_costs_the_worker_its_life_is_named(indexed, monkeypatch):
    monkeypatch.setattr(module, "compare", crash)
    [found] = cross_check(indexed, 1)
    assert found.result == "not compared"
    assert found.reason == "worker died, exit code 3"


def crash(window):
    """Stands for `compare`: a decoder takes the process with it."""
    raise SystemExit(3)
