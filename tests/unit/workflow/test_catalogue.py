"""The list of pipelines, and a pipeline with all that it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from sumlctl import config
from sumlctl.config import shipped
from sumlctl.workflow import catalogue, recipe
from sumlctl.workspace import Workspace
from tests.builders import write_clips

SHIPPED = sorted(shipped.available("pipelines", Path("none")))


def entry(workspace: Workspace, name: str) -> catalogue.Entry:
    (found,) = (entry for entry in catalogue.entries(workspace) if entry.name == name)
    return found


def test_tables_then_figures_then_the_rest(workspace):
    tables = [entry.table for entry in catalogue.entries(workspace)]
    assert tables[0] == "Table 1"
    assert tables.index("Table 6") < tables.index("Fig. 2") < tables.index("")
    assert entry(workspace, "table-3").numbers["sum-l"]["verb accuracy@1"] == 65.0


def test_what_is_missing_shrinks_as_it_comes(workspace):
    assert entry(workspace, "table-3").missing == [
        "ek55 annotations and videos",
        "lemma annotations and videos",
        "weights SLOWFAST_8x8_R50.pyth",
    ]
    write_clips(workspace, "lemma", ["take"])
    workspace.data("ek55", "annotations").mkdir(parents=True)
    workspace.data("ek55", "videos").mkdir()  # nothing in it
    weights = workspace.root / "data" / "weights" / "SLOWFAST_8x8_R50.pyth"
    weights.parent.mkdir(parents=True)
    weights.touch()
    assert entry(workspace, "table-3").missing == ["ek55 videos", "lemma videos"]
    assert entry(workspace, "fig-2").missing == ["charades-ego annotations", "ek100 annotations"]


def test_generated_data_are_never_missing(workspace):
    assert entry(workspace, "demo").missing == []


def test_datasets_that_are_left_open(workspace):
    assert entry(workspace, "sum-l").missing == ["data.fpv to be named", "data.tpv to be named"]


def test_a_broken_file_does_not_hide_the_others(workspace):
    workspace.pipelines.mkdir(parents=True)
    (workspace.pipelines / "mine.toml").write_text("seed = ")
    assert "not valid TOML" in entry(workspace, "mine").missing[0]
    assert len(catalogue.entries(workspace)) == len(SHIPPED) + 1


@pytest.mark.parametrize("name", ["table-5", "fig-2", "fig-4", "demo", "sum-l"])
def test_what_is_shown_is_the_same_pipeline_written_out(workspace, name):
    text = catalogue.resolved(name, workspace)
    source = shipped.find("pipelines", name, workspace.pipelines)
    assert text.splitlines()[0] == source.read_text(encoding="utf-8").splitlines()[0]
    assert "extends" not in text
    workspace.pipelines.mkdir(parents=True)
    again = workspace.pipelines / f"{name}.toml"
    again.write_text(text, encoding="utf-8")
    assert config.load(again) == config.load(source)
    shown, read = recipe.read(name, workspace), recipe.read(name, Workspace("nowhere"))
    assert [cell.run for cell in shown.cells] == [cell.run for cell in read.cells]
    assert (shown.steps, shown.paper) == (read.steps, read.paper)
