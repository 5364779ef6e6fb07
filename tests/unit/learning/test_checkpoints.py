"""Checkpoints: whole, safe to read, and picky about shapes."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import nn

from sumlctl.errors import SumlError
from sumlctl.learning import checkpoints


def parts(**sizes: int) -> nn.ModuleDict:
    return nn.ModuleDict({name: nn.Linear(2, size) for name, size in sizes.items()})


def test_part_of_a_model_loads_from_the_whole(tmp_path):
    path, whole, part = tmp_path / "deep" / "a.pt", parts(fpv=3, tpv=4), parts(fpv=3)
    checkpoints.save(path, whole, {"stage": "stage_two", "epochs": 5})
    coverage = checkpoints.load_weights(part, path)
    assert torch.equal(part["fpv"].weight, whole["fpv"].weight)
    assert coverage.loaded == ("fpv.weight", "fpv.bias")
    assert coverage.unused == ("tpv.weight", "tpv.bias")
    coverage.require(path)
    record = torch.load(path, weights_only=True)
    assert (record["stage"], record["epochs"]) == ("stage_two", 5)
    assert [p.name for p in path.parent.iterdir()] == ["a.pt"]


def test_missing_weights_are_an_error_unless_expected(tmp_path):
    path = tmp_path / "a.pt"
    checkpoints.save(path, parts(fpv=3), {})
    coverage = checkpoints.load_weights(parts(fpv=3, head=1), path)
    coverage.require(path, apart_from="head")
    with pytest.raises(SumlError, match=r"2 weights are missing, got none named head\.weight"):
        coverage.require(path)


def test_another_shape_is_refused_before_anything_is_loaded(tmp_path):
    path, model = tmp_path / "a.pt", parts(a=3, b=3)
    before = model["a"].weight.clone()
    checkpoints.save(path, parts(a=3, b=4), {})
    with pytest.raises(
        SumlError, match=r"2 weights have .* b\.weight \[4, 2\] instead of \[3, 2\], b\.bias"
    ):
        checkpoints.load_weights(model, path)
    assert torch.equal(model["a"].weight, before)


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("code in a checkpoint was run",)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(b"not a checkpoint"),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(pickle.dumps(Bomb())),
        lambda path: torch.save({"model": Bomb()}, path),
        lambda path: torch.save({"model": {}}, path),
        lambda path: torch.save([1, 2], path),
    ],
    ids=["text", "empty", "pickle", "code", "other", "list"],
)
def test_what_is_no_checkpoint_is_refused_unread(tmp_path, write):
    path = tmp_path / "a.pt"
    write(path)
    with pytest.raises(SumlError, match="not a checkpoint of sumlctl"):
        checkpoints.read(path)


def test_no_file(tmp_path):
    with pytest.raises(SumlError, match="checkpoint is missing"):
        checkpoints.read(tmp_path / "none.pt")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda name: f"_orig_mod.{name}",
        lambda name: f"module._orig_mod.{name}",
        lambda name: f"model._orig_mod.{name}",
        lambda name: name.replace("fpv.", "fpv._orig_mod."),
        lambda name: f"module.{name}".replace("fpv.", "fpv._checkpoint_wrapped_module."),
        lambda name: f"module.{name}",
    ],
)
def test_load_weights_of_a_wrapped_model(tmp_path, wrap):
    """Names get a prefix from torch.compile, DDP and FSDP; the weights are the same."""
    path, whole = tmp_path / "a.pt", parts(fpv=3, tpv=4)
    state = {wrap(name): weight for name, weight in whole.state_dict().items()}
    torch.save({"format": "sumlctl.checkpoint/1", "model": state}, path)
    part = parts(fpv=3)
    coverage = checkpoints.load_weights(part, path)
    coverage.require(path)
    assert torch.equal(part["fpv"].weight, whole["fpv"].weight)
    assert coverage.loaded == ("fpv.weight", "fpv.bias")
    assert coverage.unused == ("tpv.weight", "tpv.bias")


def test_load_weights_into_a_compiled_model(tmp_path):
    """`torch.compile(module)` is another module, whose weights have other names."""
    path, whole, other = tmp_path / "a.pt", parts(fpv=3), parts(fpv=3)
    checkpoints.save(path, torch.compile(whole), {})
    assert "_orig_mod.fpv.weight" in torch.load(path, weights_only=True)["model"]
    checkpoints.load_weights(torch.compile(other), path).require(path)
    assert torch.equal(other["fpv"].weight, whole["fpv"].weight)


@pytest.mark.parametrize("first", ["model", "a"])
def test_load_weights_of_a_part_that_is_called_model(tmp_path, first):
    """Not every `model` is a wrapper: neither name may take the other's weights."""
    path, whole = tmp_path / "a.pt", parts(**{first: 3, "b": 3})
    whole["b"].add_module("model", nn.Linear(2, 3))
    part = nn.ModuleDict({"b": nn.Module()})
    part["b"].add_module("model", nn.Linear(2, 3))
    checkpoints.save(path, whole, {})
    checkpoints.load_weights(part, path).require(path)
    assert torch.equal(part["b"].model.weight, whole["b"].model.weight)
