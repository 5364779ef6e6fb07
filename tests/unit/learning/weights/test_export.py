"""Files for PySlowFast: its layout and names, and back again."""

from __future__ import annotations

import pytest
import torch

from sumlctl.errors import SumlError
from sumlctl.learning.weights import export, read
from tests.unit.learning.weights import peers

CASES = [
    pytest.param({"fast": False}, "head", (400,), False, id="slow"),
    pytest.param({"fast": True}, "headcharades-ego", (157,), True, id="slowfast"),
    pytest.param({"depth": 101, "fusion": 5}, "headepic100", (97, 300), True, id="slowfast101"),
]


@pytest.mark.parametrize(("trunk", "head", "sizes", "bgr"), CASES)
def test_names_come_back_exactly(tmp_path, trunk, head, sizes, bgr):
    state = peers.hollow(peers.shapes(**trunk), peers.head(head, *sizes))
    given = read.weights(peers.saved(tmp_path / "a.pyth", state)).weights
    out = tmp_path / "deep" / "b.pyth"
    export.write(out, given, head.removeprefix("head"), bgr)
    written = torch.load(out, weights_only=True)
    assert written.keys() == {"epoch", "model_state", "optimizer_state", "cfg"}
    shapes = {name: value.shape for name, value in written["model_state"].items()}
    assert shapes == {name: value.shape for name, value in state.items()}
    back = read.weights(out)
    assert (back.weights.keys(), back.turned) == (given.keys(), ("",) if bgr else ())
    assert [p.name for p in out.parent.iterdir()] == ["b.pyth"]


@pytest.mark.parametrize("task", ["", "epic100"])
def test_bgr_files_have_their_stems_turned_and_come_back_the_same(tmp_path, task):
    head = peers.head("headepic100", 3, 4, features=2048)
    state = peers.hollow(peers.shapes(fast=False), head)
    state["s1.pathway0_stem.conv.weight"] = torch.randn(64, 3, 1, 7, 7)
    weights = read.weights(peers.saved(tmp_path / "a.pyth", state)).weights
    for bgr in (True, False):
        path = tmp_path / f"{bgr}.pyth"
        export.write(path, weights, task, bgr)
        stem = torch.load(path, weights_only=True)["model_state"]["s1.pathway0_stem.conv.weight"]
        theirs = state["s1.pathway0_stem.conv.weight"]
        assert torch.equal(stem, theirs if bgr else theirs[:, [2, 1, 0]])
        back = read.weights(path).weights
        assert back.keys() == weights.keys()
        assert all(torch.equal(value, weights[name]) for name, value in back.items())


@pytest.mark.parametrize(
    "name",
    [
        "encoder.blocks.0.conv.conv_t.weight",
        "encoder.patch_embed.patch_model.weight",
        "projection.weight",
        "heads.labels.weight",
    ],
)
def test_what_has_no_place_there_is_refused_and_nothing_is_written(tmp_path, name):
    weights = {"encoder.blocks.0.conv.weight": torch.ones(1), "heads.verb.weight": torch.ones(1)}
    with pytest.raises(SumlError, match="a weight has no place in PySlowFast, got "):
        export.write(tmp_path / "a.pyth", weights | {name: torch.ones(1)})
    assert list(tmp_path.iterdir()) == []
