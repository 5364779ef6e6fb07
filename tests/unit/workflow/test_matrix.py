"""Which cells a sweep has, and what they are called."""

from __future__ import annotations

import tomllib

import pytest

from sumlctl.workflow import matrix

METHODS_AND_SEEDS = '[[matrix]]\nloss.name = ["fpv-only", "sum-l"]\nseed = [0, 1]'
ABLATION = """
[[matrix]]
loss.name = "fpv-only"
[[matrix]]
loss.name = "sum-l"
loss.w_m = [0.0, 0.1]
optimiser.name = "sgd"
[[matrix]]
loss.name = "sum-l"
loss.w_m = 0.1
loss.weighted = false
"""


def cells(text: str, *overrides: str):
    faults: list[str] = []
    blocks = matrix.blocks(tomllib.loads(text).get("matrix", []), faults)
    found = list(matrix.cells(blocks, overrides, faults))
    assert faults == []
    return found


def names(text: str, *overrides: str) -> list[str]:
    return [".".join(told.values()) for _, _, told in cells(text, *overrides)]


def test_a_block_is_a_product_whose_last_key_runs_fastest():
    values = [value for value, _, _ in cells(METHODS_AND_SEEDS)]
    assert values == [
        {"loss.name": "fpv-only", "seed": 0},
        {"loss.name": "fpv-only", "seed": 1},
        {"loss.name": "sum-l", "seed": 0},
        {"loss.name": "sum-l", "seed": 1},
    ]
    assert names(METHODS_AND_SEEDS)[1] == "fpv-only.seed-1"


def test_blocks_follow_each_other_and_names_say_what_differs():
    assert names(ABLATION) == [
        "fpv-only",
        "sum-l.w_m-0.0.sgd",
        "sum-l.w_m-0.1.sgd",
        "sum-l.w_m-0.1.weighted-false",
    ]


def test_what_all_blocks_fix_alike_is_in_no_name():
    text = "[[matrix]]\nseed = 3\nhead.dropout = [0.1, 0.2]\n[[matrix]]\nseed = 3\ninput.crop = 64"
    assert names(text) == ["dropout-0.1", "dropout-0.2", "crop-64"]


def test_lists_and_paths_make_names_of_folders():
    text = '[[matrix]]\ndata.tpv = [["a", "b"], ["c"]]\nencoders.init = ["w/Slow R50.pyth"]'
    assert names(text) == ["a+b.Slow-R50.pyth", "c.Slow-R50.pyth"]


def test_without_a_matrix_there_is_one_cell():
    assert cells("", "seed=3") == [({}, ["seed=3"], {})]


def test_set_picks_the_cells_that_have_the_value():
    assert names(METHODS_AND_SEEDS, "seed=1") == ["fpv-only.seed-1", "sum-l.seed-1"]
    assert names(METHODS_AND_SEEDS, "loss.name=sum-l", "seed=0") == ["sum-l.seed-0"]
    assert names(ABLATION, "loss.name=fpv-only") == ["fpv-only"]
    assert names(ABLATION, "loss.w_m=0.1") == ["sum-l.w_m-0.1.sgd", "sum-l.w_m-0.1.weighted-false"]


def test_a_value_that_no_cell_has_takes_the_place_of_all():
    found = cells(METHODS_AND_SEEDS, "seed=7", "head.dropout=0.3")
    assert [value["seed"] for value, _, _ in found] == [7, 7]
    assert all(rest == ["head.dropout=0.3"] for _, rest, _ in found)


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (3, "matrix is not written as [[matrix]]"),
        ({"seed": [0]}, "matrix is not written as [[matrix]]"),
        ([{"seed": []}], "matrix: seed = [] has no value"),
    ],
)
def test_a_matrix_that_is_none(raw, fault):
    faults: list[str] = []
    matrix.blocks(raw, faults)
    assert faults == [fault]
