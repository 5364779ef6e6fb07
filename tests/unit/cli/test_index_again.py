"""A second `index` finds what the first was given, and never takes a lost folder for no videos."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from sumlctl import tables
from sumlctl.datasets.index import index
from sumlctl.workflow import catalogue, data_steps
from sumlctl.workspace import Workspace
from tests.annotation_files import KITCHEN, kitchen_row, write_card, write_csv, write_video

NAMES = ("one", "two")


@pytest.fixture
def data(tmp_path: Path, workspace: Workspace) -> Path:
    """Two short videos and their annotations, outside the workspace that has the card."""
    folder = tmp_path / "disk"
    write_csv(folder / "annotations/train.csv", [kitchen_row(n, n, "0", "0.5") for n in NAMES])
    write_csv(folder / "annotations/val.csv", [kitchen_row("v", "one", "0", "0.5")])
    for name in NAMES:
        write_video(folder / f"videos/{name}.mp4", 10)
    write_card(workspace, "kitchen", KITCHEN)
    return folder


@pytest.fixture
def given(data: Path) -> list[str]:
    return ["--annotations", str(data / "annotations"), "--videos", str(data / "videos")]


def statuses(workspace: Workspace) -> dict[str, str]:
    rows = pl.DataFrame(pl.from_arrow(tables.read(workspace.table("kitchen", "videos"), "videos")))
    return dict(rows.select("video_id", "status").iter_rows())


def content(workspace: Workspace) -> dict[str, bytes]:
    kinds = ("videos", "clips")
    return {kind: workspace.table("kitchen", kind).read_bytes() for kind in kinds}


def test_index_again_without_options_reads_the_same_folders_and_says_so(
    workspace, data, given, sumlctl
):
    assert sumlctl("index", "kitchen", *given).code == 0
    before = content(workspace)
    again = sumlctl("index", "kitchen")
    assert again.code == 0, again.err
    for kind in ("annotations", "videos"):
        line = f"kitchen: {kind} from {data / kind}, as before; --{kind} DIR names others"
        assert line in again.err
    assert "no video has changed since the last index" in again.err
    assert statuses(workspace) == {"one": "ok", "two": "ok"}
    assert content(workspace) == before


def test_index_from_python_reads_the_same_folders(workspace, data):
    index("kitchen", workspace, annotations=data / "annotations", videos=data / "videos")
    index("kitchen", workspace)
    assert statuses(workspace) == {"one": "ok", "two": "ok"}


def test_index_follows_folders_that_moved_with_their_workspace(workspace, data, sumlctl):
    """Folders inside the workspace are remembered relative to it."""
    inside = workspace.root / "raw"
    shutil.move(data, inside)
    folders = ["--annotations", str(inside / "annotations"), "--videos", str(inside / "videos")]
    assert sumlctl("index", "kitchen", *folders).code == 0
    moved = workspace.root.with_name("elsewhere")
    shutil.move(workspace.root, moved)
    assert sumlctl("index", "kitchen", "--workspace", str(moved)).code == 0
    assert statuses(Workspace(moved)) == {"one": "ok", "two": "ok"}


def test_index_with_the_usual_folder_forgets_the_other(workspace, data, given, sumlctl):
    assert sumlctl("index", "kitchen", *given).code == 0
    usual = workspace.data("kitchen", "videos")
    usual.parent.mkdir(parents=True)
    shutil.copytree(data / "videos", usual)
    assert sumlctl("index", "kitchen", "--videos", str(usual)).code == 0
    again = sumlctl("index", "kitchen")
    assert again.code == 0
    assert "videos from" not in again.err
    assert statuses(workspace) == {"one": "ok", "two": "ok"}
    assert workspace.remembered("kitchen") == {"annotations": data / "annotations"}


@pytest.mark.parametrize("how", ["not mounted", "another folder", "its files are elsewhere"])
def test_index_refuses_when_every_known_video_is_gone(workspace, data, given, sumlctl, how):
    assert sumlctl("index", "kitchen", *given).code == 0
    before, more = content(workspace), []
    if how == "another folder":
        (data / "empty").mkdir()
        more = ["--videos", str(data / "empty")]
    elif how == "not mounted":
        (data / "videos").rename(data / "moved")
    else:
        for name in NAMES:
            (data / f"videos/{name}.mp4").unlink()
    refused = sumlctl("index", "kitchen", *more)
    assert refused.code == 1
    assert refused.out == ""
    assert "error: kitchen: all videos of the earlier index are gone, got none of 2" in refused.err
    assert "one.mp4 and others" in refused.err
    assert content(workspace) == before
    # Nothing changed: the next steps find the tables as the last good index left them.
    receipt = json.loads(workspace.receipt("index", "kitchen").read_text(encoding="utf-8"))
    assert receipt["finished"]
    if how == "not mounted":
        found = sumlctl("index", "kitchen", "--videos", str(data / "moved"))
        assert found.code == 0
        assert statuses(workspace) == {"one": "ok", "two": "ok"}
        return
    workspace.table("kitchen", "videos").unlink()  # as the error says: on purpose
    assert sumlctl("index", "kitchen", *more).code == 0
    assert statuses(workspace) == {"one": "missing", "two": "missing"}


def test_index_names_some_videos_that_are_gone(workspace, data, given, sumlctl):
    assert sumlctl("index", "kitchen", *given).code == 0
    (data / "videos/two.mp4").unlink()
    again = sumlctl("index", "kitchen")
    assert again.code == 0
    assert "warning: kitchen: 1 of 2 videos are gone, such as two" in again.err
    assert statuses(workspace) == {"one": "ok", "two": "missing"}


def test_index_without_videos_from_the_beginning(workspace, data, sumlctl):
    """A dataset that never had a video is indexed as often as one likes."""
    folder = ["--annotations", str(data / "annotations")]
    for _ in range(2):
        done = sumlctl("index", "kitchen", *folder)
        assert done.code == 0
        assert "no video has changed" not in done.err
        assert statuses(workspace) == {"one": "missing", "two": "missing"}


def test_index_of_annotations_of_other_videos(workspace, data, given, sumlctl):
    """The earlier videos are not gone when nothing names them any more."""
    assert sumlctl("index", "kitchen", *given).code == 0
    write_csv(data / "annotations/train.csv", [kitchen_row("n", "new", "0", "0.5")])
    write_csv(data / "annotations/val.csv", [kitchen_row("m", "new", "0", "0.5")])
    write_video(data / "videos/new.mp4", 10)
    assert sumlctl("index", "kitchen").code == 0
    assert statuses(workspace) == {"new": "ok"}


def test_the_step_of_a_pipeline_has_the_same_folders(workspace, data, given, sumlctl):
    """`run` indexes as it was done by hand, whether table or provenance record remembers it."""
    assert sumlctl("index", "kitchen", *given).code == 0
    folders = {kind: data / kind for kind in ("annotations", "videos")}
    assert data_steps.remembered_folders(workspace, "kitchen") == folders
    assert data_steps.recorded_folders(workspace, "kitchen") == folders
    assert [*catalogue._missing_data("kitchen", workspace, True)] == []
    receipt = workspace.receipt("index", "kitchen").read_bytes()
    workspace.receipt("index", "kitchen").unlink()
    assert data_steps.remembered_folders(workspace, "kitchen") == folders
    assert data_steps.recorded_folders(workspace, "kitchen") == folders
    # Tables of a version that did not keep the folders have them in the receipt alone.
    workspace.receipt("index", "kitchen").write_bytes(receipt)
    path = workspace.table("kitchen", "clips")
    table = tables.read(path, "clips")
    extra = {"vocabulary": tables.metadata(table, "vocabulary")}
    tables.write(table, path, "clips", inputs={}, config={}, extra=extra)
    assert workspace.remembered("kitchen") is None
    assert data_steps.remembered_folders(workspace, "kitchen") == folders
    assert sumlctl("index", "kitchen").code == 0
    assert workspace.remembered("kitchen") == folders


def test_lists_of_a_protocol_come_from_the_remembered_folder(workspace, data, given, sumlctl):
    from sumlctl.evaluation.protocols.context import Context

    assert sumlctl("index", "kitchen", *given).code == 0
    assert Context.load(workspace, "kitchen", "train").annotations == data / "annotations"
