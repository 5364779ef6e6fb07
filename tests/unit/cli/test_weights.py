"""`convert`."""

from __future__ import annotations

import json

import pytest
import torch

from sumlctl.cli import weights
from tests.unit.learning.weights import peers


@pytest.fixture
def convert(sumlctl):
    """Runs `sumlctl convert`, whether or not the program lists it yet."""
    from sumlctl.cli import app

    listed = {command.name or command.callback.__name__ for command in app.app.registered_commands}
    if "convert" not in listed:
        weights.register(app.app)
    return lambda *words: sumlctl("convert", *map(str, words))


@pytest.fixture
def epic(tmp_path):
    head = peers.head("headepic100", 97, 300, features=2048)
    state = peers.hollow(peers.shapes(fast=False), head)
    state = {n: w for n, w in state.items() if not n.endswith("tracked")}
    return peers.saved(tmp_path / "in.pyth", state | {"handobjhead.w": torch.zeros(1)})


def test_convert_says_what_it_guessed_and_what_became_of_the_weights(convert, epic):
    out = epic.parent / "out.pt"
    done = convert(epic, out)
    assert done.code == 0
    assert "backbone: r3d50 (1 pathway, 6 blocks in stage 4)" in done.err
    assert "the encoder expected BGR" in done.err
    assert "heads: verb=97, noun=300" in done.err
    counts, *names = done.out.splitlines()
    assert counts == "ego-exo weights of r3d50: 269 used, 1 unused, 53 missing"
    assert names[0].startswith("used: s1.pathway0_stem.conv.weight, ")
    assert names[1] == "unused: handobjhead.w"
    assert names[2].endswith(" and 43 more")
    assert out.is_file()


def test_convert_as_json_names_every_weight(convert, epic):
    out = epic.parent / "out.pyth"
    words = ("--to", "pyslowfast", "--task", "epic100", "--bgr", "--json")
    done = json.loads(convert(epic, out, *words).out)
    assert done["counts"] == {"used": 269, "unused": 1, "missing": 53}
    assert (len(done["used"]), done["unused"]) == (269, ["handobjhead.w"])
    assert (done["origin"], done["backbone"], done["written"]) == ("ego-exo", "r3d50", str(out))
    assert "headepic100.projections.0.bias" in torch.load(out, weights_only=True)["model_state"]


def test_convert_refuses_other_heads(convert, epic):
    out = epic.parent / "out.pt"
    done = convert(epic, out, "--head", "verb=125", "--head", "noun=352")
    assert (done.code, out.exists()) == (1, False)
    assert done.err.startswith(f"error: {epic}: other heads than asked for, got verb=97")
    assert convert(epic, out, "--head", "verb=97", "--drop-heads").code == 0


@pytest.mark.parametrize(
    "words", [("--to", "keras"), ("--head", "verb"), ("--head", "verb=many"), ("--bgr",)]
)
def test_convert_used_wrongly(convert, epic, words):
    assert convert(epic, epic.parent / "out.pt", *words).code == 2
