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
