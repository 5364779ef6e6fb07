"""The order of steps, what they share, and what cannot be put in order."""

from __future__ import annotations

import pytest

from sumlctl.errors import SumlError
from sumlctl.narrations import choose
from sumlctl.workflow import data_steps, plan, recipe, records
from tests.unit.workflow import tiny

SWEEP = '[[matrix]]\nloss.name = ["fpv-only", "sum-l"]\nseed = [0, 1]\n'


def steps(workspace, more: str, *overrides: str):
    tiny.build(workspace, more)
    return plan.plan(recipe.read("tiny", workspace, overrides), workspace)


def names(planned) -> list[str]:
    return [one.step.name for one in planned]


def test_cell_by_cell_after_what_they_share(workspace):
    found = steps(workspace, SWEEP, "seed=1")
    assert names(found) == [
        "index tiny-fpv",
        "index tiny-tpv",
        "embed tiny-fpv hashed",
        "embed tiny-tpv hashed",
        "mine-pairs tiny-fpv--tiny-tpv",
        "histogram figures/tiny.png",
        "train tiny.fpv-only.seed-1",
        "eval tiny.fpv-only.seed-1",
        "train tiny.sum-l.seed-1",
        "eval tiny.sum-l.seed-1",
    ]
    cells = {one.step.name: one.cell and one.cell.label for one in found}
    assert cells["index tiny-fpv"] is None
    assert cells["mine-pairs tiny-fpv--tiny-tpv"] == "sum-l.seed-1"
    assert cells["eval tiny.sum-l.seed-1"] == "sum-l.seed-1"
    after = {one.step.name: one.after for one in found}
    assert after["train tiny.fpv-only.seed-1"] == ("index tiny-fpv",)
    assert after["eval tiny.sum-l.seed-1"] == ("train tiny.sum-l.seed-1", "index tiny-fpv")


def test_a_method_alone_needs_no_third_person_data(workspace):
    found = names(steps(workspace, '[loss]\nname = "fpv-only"', 'steps=["index", "train"]'))
    assert found == ["index tiny-fpv", "train tiny"]


def test_activation_maps_come_after_both_runs(workspace):
    more = SWEEP + '[cam]\nagainst = "fpv-only.seed-0"\nrelative = true'
    found = steps(workspace, more, "seed=0", 'steps=["cam", "train"]')
    assert names(found)[-2:] == ["train tiny.sum-l.seed-0", "cam tiny.sum-l.seed-0"]
    assert found[-1].after == ("train tiny.sum-l.seed-0", "train tiny.fpv-only.seed-0")
    assert found[-1].step.words == (
        *("cam", "tiny.sum-l.seed-0", "--against", "tiny.fpv-only.seed-0"),
        *("--count", "8", "--of", "truth", "--relative"),
    )


def test_the_page_comes_last_and_is_about_the_last_cell(workspace):
    found = steps(workspace, SWEEP, "seed=0", 'steps=["train", "eval", "report"]')
    assert names(found)[-1] == "report tiny.sum-l.seed-0"
    assert found[-1].after == ("train tiny.sum-l.seed-0", "eval tiny.sum-l.seed-0")


def test_an_encoder_in_a_folder_goes_by_its_name(workspace):
    found = {one.step.kind: one.step for one in steps(workspace, "", "data.encoder=/models/mine")}
    assert found["embed"].words == ("embed", "tiny-tpv", "--encoder", "/models/mine")
    assert found["mine-pairs"].words[-2:] == ("--encoder", "mine")
    assert found["train"].words[-2:] == ("--set", 'data.encoder="mine"')
    assert workspace.narrations("tiny-fpv", "mine") in found["train"].inputs


def test_plan_embeds_with_the_prompt_that_was_chosen_by_hand(workspace):
    tiny.build(workspace, "")
    records.commit(workspace, data_steps.embed(workspace, "tiny-tpv", "hashed", "query"))
    found = plan.plan(recipe.read("tiny", workspace, ()), workspace)
    words = {one.step.name: one.step.words for one in found}
    assert words["embed tiny-tpv hashed"][-2:] == ("--prompt-name", "query")
    assert words["embed tiny-fpv hashed"][-2:] == ("--encoder", "hashed")


def test_a_run_may_start_from_anothers_weights(workspace):
    more = """
[[matrix]]
encoders.init = ["runs/tiny.second/checkpoints/stage_two.pt"]
seed = 1
[[matrix]]
encoders.init = "second"
seed = 1
"""
    found = names(steps(workspace, more, 'steps=["train"]'))
    assert found == ["train tiny.second", "train tiny.stage_two.pt"]


def test_steps_that_wait_for_each_other(workspace):
    itself = "encoders.init=runs/tiny/checkpoints/stage_two.pt"
    with pytest.raises(SumlError, match="wait for each other, got train tiny → train tiny;"):
        steps(workspace, "", itself)


def test_cells_that_want_one_table_made_in_two_ways(workspace):
    with pytest.raises(SumlError) as caught:
        steps(workspace, '[[matrix]]\nmining.assign = ["first", "spread"]')
    assert caught.value.what == "cells of the matrix disagree about mine-pairs tiny-fpv--tiny-tpv"


def test_cells_may_be_about_other_datasets(workspace):
    more = '[[matrix]]\ndata.fpv = ["tiny-fpv", "demo-fpv"]\n'
    found = steps(workspace, more, 'steps=["mine-pairs", "histogram"]')
    assert [one.step.kind for one in found] == ["mine-pairs", "mine-pairs", "histogram"]
    assert found[-1].step.words[:7] == (
        *("histogram", "--fpv", "tiny-fpv", "--fpv", "demo-fpv"),
        *("--tpv", "tiny-tpv"),
    )


def test_a_histogram_without_pairs(workspace):
    with pytest.raises(SumlError, match="histogram without pairs"):
        steps(workspace, '[loss]\nname = "fpv-only"')


@pytest.mark.parametrize(
    ("here", "reachable", "expected"),
    [
        ([choose.DEFAULT, choose.PACKAGED], False, choose.DEFAULT),
        ([choose.PACKAGED], True, choose.PACKAGED),
        ([], True, choose.DEFAULT),
        ([], False, choose.PACKAGED),
    ],
)
def test_the_encoder_is_the_one_whose_vectors_are_here(
    workspace, monkeypatch, here, reachable, expected
):
    for dataset in ("tiny-fpv", "tiny-tpv"):
        for encoder in here:
            path = workspace.narrations(dataset, encoder)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    monkeypatch.setattr(choose, "cached", lambda name: None)
    monkeypatch.setattr(choose, "packaged", lambda: workspace.root)
    monkeypatch.setattr(choose, "_hub_is_reachable", lambda: reachable)
    found = steps(workspace, "", "data.encoder=''")
    assert f"embed tiny-fpv {expected}" in names(found)


def test_plan_passes_every_mining_option(workspace):
    """A pipeline takes the options that the command has; only what is not usual is passed on."""
    found = steps(workspace, "mining = { index = 'ivf', recall = 0.9, assign = 'first' }")
    (words,) = (one.step.words for one in found if one.step.kind == "mine-pairs")
    assert " ".join(words).endswith("--assign first --index ivf --recall 0.9")
    (words,) = (one.step.words for one in steps(workspace, "") if one.step.kind == "mine-pairs")
    assert words[-2] == "--encoder"


def test_index_is_planned_as_it_was_done_by_hand(workspace):
    """Rows that were to be refused are to be refused again; the option tells the step apart."""
    (drop, *_) = steps(workspace, SWEEP)
    assert "bad_rows" not in drop.step.settings()
    refusing = data_steps.index(workspace, "tiny-fpv", bad_rows="refuse")
    records.commit(workspace, refusing)
    (again, *_) = plan.plan(recipe.read("tiny", workspace, []), workspace)
    assert again.step.words == ("index", "tiny-fpv", "--bad-rows", "refuse")
    assert again.step.settings()["bad_rows"] == "refuse"
    plain = data_steps.index(workspace, "tiny-fpv")
    assert any("bad_rows" in reason for reason in records.state(workspace, plain).reasons)
