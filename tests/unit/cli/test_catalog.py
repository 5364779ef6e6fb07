"""`datasets`, `pipelines`, `doctor`."""

from __future__ import annotations

import json

import pytest

from sumlctl.workspace import Workspace


def test_datasets_lists_every_card(sumlctl) -> None:
    rows = json.loads(sumlctl("datasets", "--json").out)
    by_name = {row["name"]: row for row in rows}
    assert {"ek55", "ek100", "charades-ego", "lemma", "demo-fpv", "demo-tpv"} <= set(by_name)
    assert by_name["ek55"]["expected_clips"] == 28472
    assert by_name["charades-ego"]["viewpoints"] == "fpv tpv"


def test_a_card_of_ones_own_shadows_a_shipped_one(workspace: Workspace, sumlctl) -> None:
    shown = json.loads(sumlctl("datasets", "show", "ek55", "--json").out)
    workspace.manifests.mkdir(parents=True)
    own = workspace.manifests / "ek55.toml"
    text = sumlctl("datasets", "show", "ek55").out
    own.write_text(text.replace('EPIC-KITCHENS-55"', 'mine"'))
    mine = json.loads(sumlctl("datasets", "show", "ek55", "--json").out)
    assert (shown["title"], mine["title"]) == ("EPIC-KITCHENS-55", "mine")


def test_datasets_lists_the_others_where_one_file_has_faults(workspace: Workspace, sumlctl) -> None:
    workspace.manifests.mkdir(parents=True)
    (workspace.manifests / "broken.toml").write_text("viewpoints = [")
    (workspace.manifests / "folder.toml").mkdir()
    done = sumlctl("datasets", "--json")
    rows = {row["name"]: row for row in json.loads(done.out)}
    assert done.code == 0
    assert rows["broken"]["title"] == "faults in its file, see above"
    assert rows["ek55"]["expected_clips"] == 26_074 + 2_398
    assert "broken.toml: not valid TOML" in done.err
    assert "folder.toml: Is a directory" in done.err


def test_datasets_copy_into_the_workspace_once(workspace: Workspace, sumlctl) -> None:
    assert sumlctl("datasets", "copy", "ek55", "--to", "kitchen").code == 0
    assert json.loads(sumlctl("datasets", "show", "kitchen", "--json").out)["reader"] == "epic"
    again = sumlctl("datasets", "copy", "ek55", "--to", "kitchen")
    assert (again.code, "file is there already" in again.err) == (1, True)
    outside = sumlctl("datasets", "copy", "ek55", "--to", "../kitchen")
    assert (outside.code, "path leaves its folder" in outside.err) == (1, True)


@pytest.mark.parametrize("name", ["a/b", ".a", " "])
def test_datasets_copy_and_new_refuse_names_that_nothing_finds(
    workspace: Workspace, sumlctl, tmp_path, name
) -> None:
    (tmp_path / "clips.csv").write_text("video,start,end,sentence\na,0,1,open door\n")
    for words in (["copy", "ek55", "--to", name], ["new", name, "--from", tmp_path / "clips.csv"]):
        done = sumlctl("datasets", *map(str, words))
        assert (done.code, "such a name is of no use" in done.err) == (1, True)
    assert not workspace.manifests.exists()


def test_datasets_new_is_indexed_as_it_says(workspace: Workspace, sumlctl, tmp_path) -> None:
    (tmp_path / "clips.csv").write_text("video,start,end,sentence\na,0,1,open door\n")
    made = sumlctl("datasets", "new", "mine", "--from", str(tmp_path / "clips.csv"))
    assert (made.code, f"sumlctl index mine --annotations {tmp_path}" in made.err) == (0, True)
    assert sumlctl("index", "mine", "--annotations", str(tmp_path)).code == 0
    assert workspace.table("mine", "clips").is_file()
    again = sumlctl("datasets", "new", "mine", "--from", str(tmp_path / "clips.csv"))
    assert (again.code, "file is there already" in again.err) == (1, True)


def test_pipelines_copy_into_the_workspace_once(workspace: Workspace, sumlctl) -> None:
    names = [row["name"] for row in json.loads(sumlctl("pipelines", "--json").out)]
    assert "demo" in names
    assert sumlctl("pipelines", "copy", "demo", "--to", "mine").code == 0
    assert (workspace.pipelines / "mine.toml").is_file()
    assert "mine" in sumlctl("pipelines").out
    again = sumlctl("pipelines", "copy", "demo", "--to", "mine")
    assert (again.code, "file is there already" in again.err) == (1, True)


def test_doctor_names_what_this_machine_has(sumlctl) -> None:
    done = sumlctl("doctor", "--json")
    found = {finding["what"]: finding for finding in json.loads(done.out)}
    assert done.code == 0
    assert found["PyAV"]["status"] == "ok"
    assert {"decord", "GPU", "faiss", "workspace"} <= set(found)
    assert all(f["status"] in {"ok", "note", "missing"} for f in found.values())
