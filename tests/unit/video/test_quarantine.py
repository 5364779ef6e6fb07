"""Marks in the videos table: what they change, what they keep, who may make them."""

from __future__ import annotations

import multiprocessing

import polars as pl
import pytest

from sumlctl import tables
from sumlctl.errors import SumlError
from sumlctl.video import quarantine
from tests.unit.learning import small_world


@pytest.fixture
def videos(workspace):
    """A table of eight videos, one of which has a remark; and where they lie."""
    root = workspace.data("ego", "videos")
    small_world.write_videos_table(workspace, "ego", root, error=["odd", *[None] * 7])
    return workspace.table("ego", "videos"), root


def rows(path):
    return pl.DataFrame(tables.read(path, "videos"))


def test_a_mark_is_a_status_and_a_reason_and_nothing_else(workspace, videos):
    path, root = videos
    before, meta = rows(path), tables.read(path, "videos").schema.metadata
    assert quarantine.put(workspace, {str(root / "v3.mp4"): ("ego/7", "it hangs")}) == 1
    after = rows(path)
    assert after["status"].to_list() == ["ok"] * 3 + ["unreadable"] + ["ok"] * 4
    assert after["error"].to_list() == ["odd", None, None, "it hangs", *[None] * 4]
    others = pl.exclude("status", "error")
    assert after.select(others).equals(before.select(others))
    now = tables.read(path, "videos").schema.metadata
    assert {key: now[key] for key in meta} == meta
    assert quarantine.now(workspace, ["ego"]) == {"ego": ["v3"]}


def test_the_digest_stays_that_of_the_index(workspace, videos):
    path, root = videos
    digest = tables.digest(path)
    assert quarantine.digest(path) == digest
    for i in (1, 2):
        quarantine.put(workspace, {str(root / f"v{i}.mp4"): (f"ego/{i}", "it hangs")})
        assert tables.digest(path) != digest
        assert quarantine.digest(path) == digest
    assert quarantine.now(workspace, ["ego"]) == {"ego": ["v1", "v2"]}


def test_what_is_marked_or_no_video_of_the_table_changes_nothing(workspace, videos):
    path, root = videos
    quarantine.put(workspace, {str(root / "v3.mp4"): ("ego/7", "it hangs")})
    before = path.read_bytes()
    again = {str(root / "v3.mp4"): ("ego/7", "it crashes")}
    elsewhere = {str(root / "elsewhere.mp4"): ("ego/1", "it hangs")}
    assert quarantine.put(workspace, again | elsewhere) == 0
    assert path.read_bytes() == before


def test_a_missing_table_is_named(workspace):
    workspace.table("ego", "videos").parent.mkdir(parents=True)
    with pytest.raises(SumlError, match=r"videos\.parquet: table is missing"):
        quarantine.put(workspace, {"v.mp4": ("ego/1", "it hangs")})


def _put(workspace, file, number):
    quarantine.put(workspace, {file: (f"ego/{number}", "it hangs")})


def test_processes_that_mark_at_once_lose_no_mark(workspace, videos):
    path, root = videos
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_put, args=(workspace, str(root / f"v{i}.mp4"), i)) for i in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert rows(path)["status"].to_list() == ["unreadable"] * 4 + ["ok"] * 4
