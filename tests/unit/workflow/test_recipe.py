"""Pipelines as `run` reads them, those of the paper among them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sumlctl.config import registry, shipped
from sumlctl.errors import SumlError
from sumlctl.workflow import plan, recipe, step_options
from tests.imports import printed_without
from tests.unit.workflow import tiny

SHIPPED = sorted(shipped.available("pipelines", Path("none")))
HEAVY = ("torch", "polars", "pyarrow", "numpy", "faiss", "sentence_transformers", "matplotlib")
# The paper's tables by hand: pipeline -> run -> verb and noun top-1 and top-5, or mAP.
METHODS = ("fpv-only", "typical-cl", "triplet", "sum-l")
REPORTED = {
    "table-1-ek55": dict(
        zip(
            METHODS,
            (
                (61.1, 87.1, 45.8, 70.4),
                (60.5, 86.2, 45.3, 68.6),
                (61.5, 86.8, 45.7, 69.7),
                (62.3, 87.2, 47.3, 70.9),
            ),
            strict=True,
        )
    ),
    "table-1-charades-ego": dict(zip(METHODS, ((24.7,), (25.1,), (25.2,), (26.3,)), strict=True)),
    "table-2": dict(zip(METHODS, ((27.4,), (27.9,), (28.1,), (28.5,)), strict=True)),
    "table-2-ego-exo": dict(zip(METHODS, ((29.5,), (29.1,), (28.6,), (30.7,)), strict=True)),
    "table-3": dict(
        zip(METHODS, ((63.1, 48.4), (63.9, 49.6), (63.9, 48.8), (65.0, 49.5)), strict=True)
    ),
    "table-3-ego-exo": dict(
        zip(METHODS, ((65.8, 49.5), (63.8, 48.4), (63.9, 49.6), (66.7, 50.2)), strict=True)
    ),
    "table-4": {"sum-l": (67.0, 53.4)},
    "table-5": dict(
        zip(
            (
                "fpv-only",
                "sum-l.weighted-true.w_m-0.0",
                "sum-l.weighted-true.w_m-0.1",
                "sum-l.weighted-false.w_m-0.1",
            ),
            ((24.7,), (25.6,), (26.3,), (26.1,)),
            strict=True,
        )
    ),
    "table-6": {"frozen": (25.8,), "shared": (25.3,), "same-init": (26.1,), "original": (26.3,)},
}
BACKBONES = {
    "table-1-ek55": "r3d50",
    "table-1-charades-ego": "r3d50",
    "table-2": "slowfast101",
    "table-2-ego-exo": "slowfast101",
    "table-3": "slowfast50",
    "table-3-ego-exo": "slowfast50",
    "table-4": "slowfast101",
    "table-5": "r3d50",
    "table-6": "r3d50",
    "fig-4": "r3d50",
}


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_pipeline_is_sound(workspace, name):
    found = recipe.read(name, workspace)
    assert found.title
    assert all(cell.pipeline.loss.name for cell in found.cells)  # every setting of every cell
    if not found.unnamed:
        assert len(plan.plan(found, workspace)) >= len(found.steps)


@pytest.mark.parametrize("name", REPORTED)
def test_each_row_of_the_tables_is_a_run_with_what_the_paper_reports(workspace, name):
    found = recipe.read(name, workspace)
    assert [cell.label for cell in found.cells] == list(REPORTED[name])
    for label, numbers in REPORTED[name].items():
        assert tuple(found.paper.numbers[label].values()) == numbers
    assert found.paper.table == f"Table {name.split('-')[1]}"
    assert {cell.pipeline.backbone.name for cell in found.cells} == {BACKBONES[name]}


def test_settings_of_the_paper(workspace):
    for name in (*REPORTED, "fig-4"):
        for cell in recipe.read(name, workspace).cells:
            pipeline = cell.pipeline
            ego = pipeline.data.fpv == "charades-ego"
            rate, batch, epochs = (0.25, 32, 60) if ego else (0.01, 64, 30)
            stage = pipeline.stage_two
            assert (stage.learning_rate, stage.batch_size, stage.epochs) == (rate, batch, epochs)
            assert pipeline.optimiser.schedule == ("cosine" if ego else "steps")
            assert pipeline.data.eval_split == ("test" if ego else "val")
            assert pipeline.data.tpv == ["lemma"]
            assert ("Ego_Exo" in pipeline.encoders.init) == (
                name.endswith("ego-exo") or name == "table-4"
            )


def test_the_rows_of_tables_5_and_6_change_what_they_are_about(workspace):
    losses = [cell.pipeline.loss for cell in recipe.read("table-5", workspace).cells]
    assert [loss.name for loss in losses] == ["fpv-only", "sum-l", "sum-l", "sum-l"]
    chosen = [(loss.options["weighted"], loss.options["w_m"]) for loss in losses[1:]]
    assert chosen == [(True, 0.0), (True, 0.1), (False, 0.1)]
    encoders = [cell.pipeline.encoders.tpv for cell in recipe.read("table-6", workspace).cells]
    assert encoders == ["frozen", "shared", "same-init", "original"]


def test_the_method_that_needs_no_third_person_is_the_one_that_says_so(workspace):
    for name in registry.names("losses"):
        method = registry.load("losses", name)()
        found = recipe.read("table-4", workspace, [f"loss.name={name}"])
        assert found.cells[0].uses_tpv == method.uses_tpv


def test_pipelines_are_listed_and_an_up_to_date_one_is_recognised_without_heavy_imports():
    planning = "import sumlctl.workflow.perform, sumlctl.workflow.plan"
    assert "Table 6" in printed_without(HEAVY, "pipelines", planning)


def faults(workspace, more: str, *overrides: str) -> str:
    tiny.build(workspace, more)
    with pytest.raises(SumlError) as caught:
        recipe.read("tiny", workspace, overrides)
    return caught.value.got


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ("mining = { assigns = 'first' }", "mining.assigns is unknown, did you mean assign?"),
        ("mining = { assign = 'last' }", 'mining.assign = "last" is not one of first, spread'),
        ("cam = { count = 0 }", "cam.count = 0 is not at least 1"),
        ("cam = { against = 'fpv-only' }", 'cam.against = "fpv-only" is no cell of the matrix'),
        ("paper = 3", 'paper is not table = "..." and numbers.<cell>.<metric> = per cent'),
        ("paper = { tables = '1' }", "paper.tables is unknown"),
        ("paper = { numbers = { a = { b = 'c' } } }", 'paper is not table = "..."'),
        ("[[matrix]]\nseed = [1, 1]", "matrix: 2 cells are seed-1"),
        ("[[matrix]]\ndata.tpv = ['tiny-tpv']", 'data.tpv = "tiny-tpv" is not a list'),
    ],
)
def test_faults_of_what_is_for_run(workspace, more, fault):
    assert fault in faults(workspace, more)


def test_an_unknown_step(workspace):
    told = faults(workspace, "", 'steps=["index", "training"]')
    assert told == 'steps: "training" is no step, did you mean train?'


def test_a_fault_of_one_cell_names_it(workspace):
    tiny.build(workspace, '[[matrix]]\nloss.name = ["fpv-only", "sum-l"]')
    cells = recipe.read("tiny", workspace, ["loss.sigma=0.2"]).cells
    assert cells[1].pipeline.loss.options["sigma"] == 0.2
    with pytest.raises(
        SumlError, match=r"fpv-only: a fault in the pipeline, got loss\.sigma is un"
    ):
        _ = cells[0].pipeline


def test_steps_are_in_their_order_whatever_is_said(workspace):
    tiny.build(workspace)
    said = recipe.read("tiny", workspace, ['steps=["eval", "index", "train"]'])
    assert said.steps == ("index", "train", "eval")
    assert step_options.STEPS.index("mine-pairs") < step_options.STEPS.index("train")
