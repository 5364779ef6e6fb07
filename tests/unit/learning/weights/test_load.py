"""Encoders set from each layout give what the other program's network gives."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sumlctl.errors import SumlError
from sumlctl.learning.weights import load, read
from tests.unit.learning.weights import peers

FAST = [pytest.param(True, id="slowfast"), pytest.param(False, id="slow")]


def agree(encoder: nn.Module, expected: torch.Tensor, clips: torch.Tensor) -> None:
    with torch.inference_mode():
        got = encoder.eval()(clips)
    assert expected.std() > 0.01
    assert (got - expected).abs().max() / expected.abs().max() < 1e-5


@pytest.mark.parametrize("fast", FAST)
def test_kinetics_weights_of_pyslowfast_give_its_features(tmp_path, fast):
    head = peers.filled(peers.head("head", 400, features=2304 if fast else 2048))
    path = peers.saved(tmp_path / "k.pyth", peers.trunk(fast) | head)
    encoder, clips = peers.empty(fast), peers.clips()
    coverage = load.load_encoder(encoder, path)
    assert (len(coverage.loaded), coverage.missing) == (len(peers.trunk(fast)), ())
    assert coverage.unused == ("head.projection.weight", "head.projection.bias")
    agree(encoder, peers.features(peers.trunk(fast), clips), clips)
    assert read.weights(path).origin == "pyslowfast"


@pytest.mark.parametrize(
    ("fast", "wrapped"), [(True, True), (False, False)], ids=["slowfast", "slow, bare"]
)
def test_pytorchvideo_hub_weights_load_by_name(tmp_path, fast, wrapped):
    ours = peers.empty(fast)
    names = ours.state_dict().items()
    theirs = {name: torch.tensor(i).expand(own.shape) for i, (name, own) in enumerate(names)}
    head = f"blocks.{6 if fast else 5}.proj"
    proj = {f"{head}.weight": torch.ones(4, 3), f"{head}.bias": torch.ones(4)}
    state = theirs | proj
    path = tmp_path / "hub.pyth"
    torch.save({"model_state": state} if wrapped else state, path)
    coverage = load.load_encoder(ours, path)
    assert coverage.unused == tuple(proj)
    assert all((own == theirs[name]).all() for name, own in ours.state_dict().items())
    found = read.weights(path)
    assert (found.origin, found.views, found.turned) == ("pytorchvideo", ("",), ())
    assert set(found.part("", "heads")) == {"action.weight", "action.bias"}


@pytest.mark.parametrize(
    ("task", "sizes", "heads"),
    [
        ("epic", (125, 352), {"verb": 125, "noun": 352}),
        ("epic55", (125, 352), {"verb": 125, "noun": 352}),
        ("epic100", (97, 300), {"verb": 97, "noun": 300}),
        ("charades-ego", (157,), {"action": 157}),
    ],
)
def test_ego_exo_heads_have_our_tasks_and_its_stems_are_turned_to_rgb(tmp_path, task, sizes, heads):
    state = peers.hollow(peers.shapes(fast=False), peers.head(f"head{task}", *sizes))
    extra = {"handobjhead.score_projection.weight": torch.zeros(2)}
    found = read.weights(peers.saved(tmp_path / "e.pyth", state | extra))
    assert (found.origin, found.views, found.turned) == ("ego-exo", ("",), ("",))
    named = found.part("", "heads")
    assert {n: len(w) for n, w in named.items() if n.endswith("bias")} == {
        f"{name}.bias": size for name, size in heads.items()
    }
    assert found.unknown == ("handobjhead.score_projection.weight",)


def test_ego_exo_weights_see_in_rgb_what_they_saw_in_bgr(tmp_path):
    head = peers.filled(peers.head("headepic100", 97, 300))
    encoder, rgb = peers.empty(True), peers.clips()
    load.load_encoder(encoder, peers.saved(tmp_path / "e.pyth", peers.trunk(True) | head))
    expected = peers.features(peers.trunk(True), rgb[:, [2, 1, 0]])
    agree(encoder, expected, rgb)
    assert (expected - peers.features(peers.trunk(True), rgb)).abs().max() > 0.01


@pytest.mark.parametrize(
    ("loader", "reverse", "turned"),
    [
        ("kinetics", False, ()),
        ("kinetics", True, ("",)),
        ("charades", True, ()),
        ("ssv2", True, ()),
        ("ssv2", False, ("",)),
        ("epickitchenhandobj", False, ("",)),
        ("epickitchen", True, ()),
    ],
)
@pytest.mark.parametrize("head", ["head", "headepic100"])
def test_the_training_configuration_says_the_order_of_channels(
    tmp_path, loader, reverse, turned, head
):
    cfg = (
        "DATA:\n  MEAN:\n  - 0.45\n"
        f"  REVERSE_INPUT_CHANNEL: {str(reverse).lower()}\n"
        "TEST:\n  DATASET: imagenet\n"
        f"TRAIN:\n  BATCH_SIZE: 64\n  DATASET: {loader}\n  ENABLE: true\n"
    )
    state = peers.hollow(peers.shapes(fast=False), peers.head(head, 97, 300))
    assert read.weights(peers.saved(tmp_path / "a.pyth", state, cfg)).turned == turned


def test_both_branches_of_sum_l(tmp_path):
    third = peers.filled(peers.shapes(t="_t"), seed=2)
    state = peers.trunk(True) | third | sum_l_heads()
    path = peers.saved(tmp_path / "s.pyth", state)
    rgb = peers.clips()
    for view, t, seen in (("fpv", "", rgb[:, [2, 1, 0]]), ("tpv", "_t", rgb)):
        encoder = peers.empty(True)
        coverage = load.load_encoder(encoder, path, view)
        assert (len(coverage.loaded), len(coverage.unused)) == (len(third), len(third) + 12)
        agree(encoder, peers.features(state, seen, t), rgb)
    found = read.weights(path)
    assert (found.origin, found.views, found.turned) == ("sum-l", ("fpv", "tpv"), ("fpv",))
    assert found.unknown == ()
    assert [len(found.part("tpv", "heads")[f"{n}.bias"]) for n in ("verb", "noun")] == [25, 64]
    assert [len(found.part("fpv", "heads")[f"{n}.bias"]) for n in ("verb", "noun")] == [97, 300]
    assert torch.equal(
        found.part("tpv", "projection")["weight"],
        state["global_con_head.tpv_global_proj.weight"],
    )
    with pytest.raises(SumlError, match="no such view, got 'third'; expected fpv or tpv"):
        load.load_encoder(encoder, path, "third")


def sum_l_heads() -> dict[str, torch.Tensor]:
    alignment = {
        f"global_con_head.{view}_global_proj.{n}": torch.full(s, v)
        for view, v in (("fpv", 1.0), ("tpv", 2.0))
        for n, s in (("weight", (384, 2304)), ("bias", (384,)))
    }
    heads = peers.filled(peers.head("headepic100", 97, 300), peers.head("head_lemma", 25, 64))
    return heads | alignment


def test_the_lemma_network_of_sum_l_is_one_branch_in_rgb(tmp_path):
    state = peers.hollow(peers.shapes(), peers.head("readout", 25, 64))
    cfg = "TRAIN:\n  DATASET: lemma_tpv\n"
    found = read.weights(peers.saved(tmp_path / "l.pyth", state, cfg))
    assert (found.origin, found.views, found.turned) == ("sum-l", ("",), ())
    assert len(found.part("tpv", "heads")["noun.bias"]) == 64


def test_a_kinetics_head_with_taught_tasks_is_no_verb_and_noun(tmp_path):
    state = peers.hollow(peers.shapes(), peers.head("head", 400, 2, 1000))
    found = read.weights(peers.saved(tmp_path / "k.pyth", state))
    assert (found.origin, found.part("", "heads"), len(found.unknown)) == ("pyslowfast", {}, 6)


WRAPPERS = [
    *("module.", "model.", "module.model.", "model.module.", "_orig_mod.", "module._orig_mod."),
    *("model._orig_mod.", "_orig_mod.module.model.", "_fsdp_wrapped_module._orig_mod."),
]


@pytest.mark.parametrize("prefix", WRAPPERS)
def test_prefixes_of_wrappers_do_not_matter(tmp_path, prefix):
    state = peers.hollow(peers.shapes(fast=False), peers.head("headepic100", 97, 300))
    path = peers.saved(tmp_path / "e.pyth", {f"{prefix}{n}": w for n, w in state.items()})
    found, plain = read.weights(path), read.weights(peers.saved(tmp_path / "p.pyth", state))
    assert (found.origin, list(found.weights)) == ("ego-exo", list(plain.weights))
    assert found.sources["heads.verb.bias"] == f"{prefix}headepic100.projections.0.bias"


def test_every_name_of_slowfast_101_is_found(tmp_path):
    state = peers.hollow(peers.shapes(101, fusion=5), peers.head("headepic100", 97, 300))
    with torch.device("meta"):
        encoder = peers.OurEncoder(True, depth=101, fusion=5)
    found = read.weights(peers.saved(tmp_path / "e.pyth", state)).part("", "encoder")
    own = encoder.state_dict()
    assert {n: w.shape for n, w in found.items()} == {n: w.shape for n, w in own.items()}
    assert "blocks.3.multipathway_blocks.1.res_blocks.22.branch2.norm_c.running_var" in found


def test_what_is_missing_is_named_and_nothing_is_set(tmp_path):
    state = {n: w for n, w in peers.trunk(False).items() if not n.startswith("s4.pathway0_res5")}
    encoder = peers.empty(False)
    for own in encoder.state_dict().values():
        own.fill_(3)
    with pytest.raises(SumlError) as caught:
        load.load_encoder(encoder, peers.saved(tmp_path / "a.pyth", state))
    first = "blocks.3.res_blocks.5.branch2.conv_a.weight"
    assert f"15 weights of the backbone are missing, got none for {first}, " in str(caught.value)
    assert " and 5 more; expected all 318. " in str(caught.value)
    assert all((own == 3).all() for own in encoder.state_dict().values())


def test_other_shapes_are_named_one_by_one(tmp_path):
    state = peers.hollow(peers.shapes(fusion=5))
    with pytest.raises(SumlError) as caught:
        load.load_encoder(peers.empty(True), peers.saved(tmp_path / "a.pyth", state))
    assert (
        "4 weights have another shape than the backbone, got "
        "blocks.0.multipathway_fusion.conv_fast_to_slow.weight [16, 8, 5, 1, 1] instead of "
        "[16, 8, 7, 1, 1], blocks.1.multipathway_fusion"
    ) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_counters_of_batch_norms_may_be_missing(tmp_path):
    state = {n: w for n, w in peers.trunk(False).items() if not n.endswith("tracked")}
    encoder = peers.empty(False)
    coverage = load.load_encoder(encoder, peers.saved(tmp_path / "a.pyth", state))
    assert len(coverage.missing) == 53
    assert {name.rpartition(".")[2] for name in coverage.missing} == {"num_batches_tracked"}


class Branch(nn.Module):
    """The parts of a branch of the two-view model."""

    def __init__(self, **sizes: int) -> None:
        super().__init__()
        self.encoder = peers.empty(False)
        self.heads = nn.ModuleDict({name: nn.Linear(2048, n) for name, n in sizes.items()})
        self.projection = nn.Linear(2048, 384)


@pytest.fixture(scope="module")
def lemma(tmp_path_factory):
    state = peers.trunk(False) | peers.filled(peers.head("readout", 25, 64, features=2048), seed=4)
    return peers.saved(tmp_path_factory.mktemp("lemma") / "l.pyth", state), state


def test_a_branch_takes_its_heads_too(lemma):
    path, state = lemma
    branch = Branch(verb=25, noun=64)
    projection = branch.projection.weight.clone()
    coverage = load.set_branch(branch, read.weights(path), "tpv", drop_heads=True)
    assert torch.equal(branch.heads["noun"].weight, state["readout.projections.1.weight"])
    assert torch.equal(branch.projection.weight, projection)
    assert coverage.missing == ("projection.weight", "projection.bias")
    assert len(coverage.loaded) == len(state)
    assert coverage.unused == ()


def test_heads_of_another_size_are_refused_unless_dropped(lemma):
    path, state = lemma
    branch = Branch(verb=25, noun=64)
    with pytest.raises(SumlError, match="2 weights of the heads are missing, got none for proj"):
        load.set_branch(branch, read.weights(path))
    branch.projection = None
    branch.heads["noun"] = nn.Linear(2048, 65)
    before = branch.heads["noun"].weight.clone()
    refusal = (
        r"2 weights .* shape than the heads, got heads\.noun\.weight \[64, 2048\] instead of \[65"
    )
    with pytest.raises(SumlError, match=refusal):
        load.set_branch(branch, read.weights(path))
    assert not torch.equal(branch.heads["verb"].weight, state["readout.projections.0.weight"])
    coverage = load.set_branch(branch, read.weights(path), drop_heads=True)
    assert torch.equal(branch.heads["verb"].weight, state["readout.projections.0.weight"])
    assert torch.equal(branch.heads["noun"].weight, before)
    assert coverage.missing == ("heads.noun.weight", "heads.noun.bias")
    assert coverage.unused == ("readout.projections.1.weight", "readout.projections.1.bias")
