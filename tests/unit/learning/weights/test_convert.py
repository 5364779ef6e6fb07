"""Whole files converted, with an account of every weight."""

from __future__ import annotations

import pytest
import torch

from sumlctl.errors import SumlError
from sumlctl.learning import backbones
from sumlctl.learning.weights import convert, load, read
from tests.unit.learning.weights import peers

EXTRA = {"handobjhead.score_projection.weight": torch.zeros(2)}


@pytest.fixture
def epic(tmp_path):
    """Names and shapes of Ego-Exo's Slow network on EPIC-KITCHENS-100."""
    head = peers.head("headepic100", 97, 300, features=2048)
    state = peers.hollow(peers.shapes(fast=False), head) | EXTRA
    return peers.saved(tmp_path / "e.pyth", state)


@pytest.fixture
def built(monkeypatch):
    """The backbone of Slow networks, without the time that its initialisation takes."""
    encoder = peers.empty(False)
    monkeypatch.setattr(backbones, "build", lambda name: encoder)


def test_a_converted_encoder_is_ours_and_gives_the_same_features(tmp_path):
    head = peers.head("headepic100", 97, 300, features=2048)
    state = peers.trunk(False) | peers.filled(head)
    out = tmp_path / "ours.pt"
    done = convert.convert(peers.saved(tmp_path / "e.pyth", state | EXTRA), out)
    assert (done.origin, done.backbone, done.turned) == ("ego-exo", "r3d50", ("",))
    assert done.why == "1 pathway, 6 blocks in stage 4"
    assert done.heads == {"verb": 97, "noun": 300}
    assert set(done.used) == set(state)
    assert (done.unused, done.missing) == (tuple(EXTRA), ())
    assert read.weights(out).origin == "sumlctl"
    content = torch.load(out, weights_only=True)
    assert (content["format"], content["backbone"]) == ("sumlctl.checkpoint/1", "r3d50")
    assert torch.equal(
        content["model"]["heads.noun.weight"], state["headepic100.projections.1.weight"]
    )
    encoder, rgb = backbones.build("r3d50"), peers.clips()
    coverage = load.load_encoder(encoder, out)
    assert (len(coverage.loaded), coverage.missing) == (len(peers.trunk(False)), ())
    with torch.inference_mode():
        got = encoder.eval()(rgb)
    expected = peers.features(state, rgb[:, [2, 1, 0]])
    assert (got - expected).abs().max() / expected.abs().max() < 1e-5


def test_there_and_back_the_file_has_the_same_weights(tmp_path, built):
    head = peers.head("headepic100", 97, 300, features=2048)
    state = peers.hollow(peers.shapes(fast=False), head)
    state["s1.pathway0_stem.conv.weight"] = torch.randn(64, 3, 1, 7, 7)
    state["s5.pathway0_res2.branch2.c_bn.running_var"] = torch.rand(2048)
    state["headepic100.projections.1.weight"] = torch.randn(300, 2048)
    ours, theirs = tmp_path / "ours.pt", tmp_path / "theirs.pyth"
    convert.convert(peers.saved(tmp_path / "a.pyth", state), ours)
    done = convert.convert(ours, theirs, to="pyslowfast", task="epic100", bgr=True)
    assert (done.origin, done.backbone, done.why) == ("sumlctl", "r3d50", "the file names it")
    back = torch.load(theirs, weights_only=True)["model_state"]
    assert back.keys() == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in back.items())


def test_heads_of_another_size_are_refused_unless_dropped(tmp_path, epic, built):
    out = tmp_path / "ours.pt"
    with pytest.raises(SumlError, match="got verb=97, noun=300; expected verb=97, noun=352"):
        convert.convert(epic, out, classes={"verb": 97, "noun": 352})
    with pytest.raises(SumlError, match="got verb=97, noun=300; expected verb=97"):
        convert.convert(epic, out, classes={"verb": 97})
    assert not out.exists()
    dropped = convert.convert(epic, out, classes={"verb": 97, "noun": 352}, drop_heads=True)
    assert dropped.heads == {"verb": 97}
    assert "headepic100.projections.1.weight" in dropped.unused
    assert convert.convert(epic, out, drop_heads=True).heads == {}
    allowed = {"verb": 97, "noun": 300}
    assert convert.convert(epic, out, classes=allowed).heads == allowed


def test_missing_counters_are_told_and_written(tmp_path, built):
    state = peers.hollow(peers.shapes(fast=False))
    given = {name: value for name, value in state.items() if not name.endswith("tracked")}
    out = tmp_path / "ours.pt"
    done = convert.convert(peers.saved(tmp_path / "a.pyth", given), out)
    assert (len(done.missing), len(done.used)) == (53, len(given))
    assert done.missing[0] == "encoder.blocks.0.norm.num_batches_tracked"
    assert load.load_encoder(peers.empty(False), out).missing == ()


def test_two_branches_keep_their_views(tmp_path, monkeypatch):
    monkeypatch.setattr(backbones, "build", lambda name: peers.empty(True))
    state = peers.hollow(
        peers.shapes(),
        peers.shapes(t="_t"),
        peers.head("headepic100", 97, 300),
        peers.head("head_lemma", 25, 64),
    )
    state |= {"global_con_head.tpv_global_proj.weight": torch.ones(384, 2304)}
    path, out = peers.saved(tmp_path / "s.pyth", state), tmp_path / "ours.pt"
    done = convert.convert(path, out)
    assert (done.backbone, done.why) == ("slowfast50", "2 pathways, 6 blocks in stage 4")
    assert (done.turned, done.unused) == (("fpv",), ())
    assert done.heads == {"fpv.verb": 97, "fpv.noun": 300, "tpv.verb": 25, "tpv.noun": 64}
    names = torch.load(out, weights_only=True)["model"].keys()
    assert {"fpv.encoder.blocks.0.multipathway_blocks.1.conv.weight"} <= names
    assert {"tpv.projection.weight", "tpv.heads.noun.bias"} <= names
    assert convert.convert(path, out, classes={"verb": 97, "noun": 300}).heads == done.heads
    back = tmp_path / "fpv.pyth"
    again = convert.convert(out, back, to="pyslowfast", task="epic100", bgr=True)
    first = {n for n in state if "_t." not in n and "lemma" not in n and "global" not in n}
    assert torch.load(back, weights_only=True)["model_state"].keys() == first
    assert all(name.startswith("tpv.") for name in again.unused)


@pytest.mark.parametrize(
    ("names", "backbone"),
    [
        (peers.shapes(101), "slowfast101"),
        ([("blocks.0.conv.conv_xy.weight", (1,))], "x3d_s"),
        ([("patch_embed.patch_model.weight", (1,))], "mvit_b"),
    ],
)
def test_the_backbone_is_told_from_the_weights(tmp_path, names, backbone):
    path = peers.saved(tmp_path / "a.pyth", peers.hollow(names))
    assert convert.guess(read.weights(path))[0] == backbone


def test_a_backbone_that_we_lack_is_not_guessed(tmp_path):
    path = peers.saved(tmp_path / "a.pyth", peers.hollow(peers.shapes(101, fast=False)))
    with pytest.raises(SumlError, match="cannot tell the backbone, got 1 pathway, 23 blocks"):
        convert.convert(path, tmp_path / "b.pt")


def test_another_backbone_is_refused(tmp_path, epic):
    with pytest.raises(SumlError, match=r"weights of the backbone are missing, got none for lay"):
        convert.convert(epic, tmp_path / "b.pt", "tiny")
    assert list(tmp_path.iterdir()) == [epic]
