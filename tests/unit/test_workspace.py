"""Where files live, and that no path leaves its folder."""

import json
import os
from pathlib import Path

import pytest

from sumlctl.errors import SumlError
from sumlctl.tables import provenance
from sumlctl.workspace import Workspace, inside, resolved


def test_paths_are_those_of_the_contract():
    root = Path("/w")
    workspace = Workspace("/w")
    assert workspace.table("ek55", "clips") == root / "manifests/ek55/clips.parquet"
    assert workspace.narrations("ek55", "mini") == root / "manifests/ek55/narrations.mini.parquet"
    assert workspace.pairs("ek55", ["lemma"]) == root / "manifests/pairs/ek55--lemma.parquet"
    assert workspace.pairs("a", ["b", "c"]) == root / "manifests/pairs/a--b+c.parquet"
    assert workspace.pipelines == root / "pipelines"
    assert workspace.run("first") == root / "runs/first"


def test_default_is_the_current_folder_and_home_is_expanded(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    assert Workspace().root == Path()
    assert Workspace("~/suml").root == Path("/home/someone/suml")


def test_data_can_be_elsewhere(monkeypatch, tmp_path):
    workspace = Workspace(tmp_path)
    monkeypatch.delenv("SUMLCTL_DATA", raising=False)
    assert workspace.data("lemma", "videos") == tmp_path / "data/lemma/videos"
    monkeypatch.setenv("SUMLCTL_DATA", "/disk")
    assert workspace.data("lemma", "annotations") == Path("/disk/lemma/annotations")


def test_what_exists_is_listed(tmp_path):
    workspace = Workspace(tmp_path)
    assert (workspace.indexed(), workspace.all_pairs(), workspace.runs()) == ([], [], [])
    for name in (
        "b/clips.parquet",
        "a/clips.parquet",
        "c/videos.parquet",
        "a/narrations.mini.parquet",
        "a/narrations.base.v2.parquet",
        "pairs/a--b.parquet",
        "pairs/other.parquet",
    ):
        path = workspace.manifests / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert workspace.indexed() == ["a", "b"]
    assert workspace.encoders("a") == ["base.v2", "mini"]
    assert workspace.encoders("b") == []
    assert workspace.all_pairs() == [workspace.manifests / "pairs/a--b.parquet"]


def test_runs_are_in_order_of_training(tmp_path):
    workspace = Workspace(tmp_path)
    for age, name in enumerate(("newest", "middle", "oldest")):
        path = workspace.run(name) / "pipeline.toml"
        path.parent.mkdir(parents=True)
        path.touch()
        os.utime(path, ns=(0, 10**18 - age * 10**9))
    (workspace.root / "runs/unfinished").mkdir()
    assert [run.name for run in workspace.runs()] == ["oldest", "middle", "newest"]
    # What is numbered was begun later than what is not, whatever the clock said.
    for number, name in ((2, "oldest"), (1, "newest")):
        line = json.dumps({"event": "begun", "number": number})
        (workspace.run(name) / "log.jsonl").write_text(f"{line}\n")
    assert [run.name for run in workspace.runs()] == ["middle", "newest", "oldest"]


@pytest.mark.parametrize("line", ["", "{", "[]", '{"number": "2"}', "\xff"])
def test_a_log_without_a_number(tmp_path, line):
    (tmp_path / "log.jsonl").write_text(line, encoding="latin-1")
    assert provenance.number(tmp_path) == 0


def test_provenance_names_files_as_the_workspace_does(tmp_path):
    workspace = Workspace(tmp_path / "w")
    inner, outer = tmp_path / "w/data/x.csv", tmp_path / "elsewhere/x.csv"
    assert workspace.relative(inner) == "data/x.csv"
    assert workspace.relative(outer) == "x.csv"
    assert workspace.relative_or_absolute(inner) == "data/x.csv"
    assert workspace.relative_or_absolute(outer) == outer.as_posix()


@pytest.mark.parametrize("relative", ["a.mp4", "P01/a.mp4", "./a.mp4", "P01/../a.mp4", "..a.mp4"])
def test_paths_inside_pass(tmp_path, relative):
    assert inside(tmp_path, relative, "here") == tmp_path / relative


@pytest.mark.parametrize("relative", ["../a.mp4", "P01/../../a.mp4", "/etc/passwd", "a\0.mp4"])
def test_paths_that_escape_are_refused(tmp_path, relative):
    with pytest.raises(SumlError) as caught:
        inside(tmp_path, relative, "video 7 of ek55")
    text = str(caught.value)
    assert text.startswith("video 7 of ek55: path leaves its folder, got ")
    assert repr(relative) in text


def test_a_link_that_leads_out_is_refused(tmp_path):
    root = tmp_path / "videos"
    root.mkdir()
    (root / "out").symlink_to(tmp_path)
    with pytest.raises(SumlError, match="path leaves its folder"):
        inside(root, "out/a.mp4", "here")


def test_the_root_itself_may_be_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "videos").symlink_to(tmp_path / "disk")
    assert inside(tmp_path / "videos", "a.mp4", "here") == tmp_path / "videos/a.mp4"


@pytest.mark.parametrize("name", ["loop", "loop/x", "there/x"])
def test_links_in_a_circle_are_one_clear_error(tmp_path, name):
    """Python 3.13 no longer raises for them, 3.11 raised a RuntimeError."""
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "there").symlink_to("back")
    (tmp_path / "back").symlink_to("there")
    with pytest.raises(SumlError, match="links lead in a circle"):
        resolved(tmp_path / name)
    with pytest.raises(SumlError, match="path leaves its folder"):
        inside(tmp_path, name, "here")


def test_resolved_follows_links_and_needs_no_file(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk")
    assert resolved(tmp_path / "link/none.mp4") == tmp_path.resolve() / "disk/none.mp4"


def test_weights_lie_in_the_workspace_or_where_one_is(monkeypatch, tmp_path):
    workspace = Workspace(tmp_path / "w")
    monkeypatch.delenv("SUMLCTL_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    usual = tmp_path / "w/data/weights/r50.pyth"
    assert workspace.weights("r50.pyth") == usual
    (tmp_path / "r50.pyth").touch()
    assert workspace.weights("r50.pyth") == Path("r50.pyth")
    usual.parent.mkdir(parents=True)
    usual.touch()
    assert workspace.weights("r50.pyth") == usual
    trained = "runs/a/checkpoints/stage_two.pt"
    assert workspace.weights(trained) == tmp_path / "w" / trained
    assert workspace.weights("/disk/r50.pyth") == Path("/disk/r50.pyth")
    monkeypatch.setenv("SUMLCTL_DATA", "/disk")
    assert workspace.weights("r101.pyth") == Path("/disk/weights/r101.pyth")


def test_weights_that_are_missing_are_named_with_their_place(tmp_path):
    with pytest.raises(SumlError) as caught:
        Workspace(tmp_path).find_weights("r50.pyth")
    assert str(caught.value).startswith(
        "encoders.init: weights file is missing, got 'r50.pyth'; expected the file "
        f"{tmp_path}/data/weights/r50.pyth."
    )


def test_receipts_lie_beside_the_tables_and_in_runs(tmp_path):
    workspace = Workspace(tmp_path)
    own = workspace.run("a") / "receipts" / "train.json"
    for path in (workspace.receipt("index", "ek55"), own):
        path.parent.mkdir(parents=True)
        path.touch()
    assert workspace.receipts() == [tmp_path / "manifests/receipts/index.ek55.json", own]
