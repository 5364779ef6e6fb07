"""Which files are read, which are refused, and Caffe2's and our own layouts."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from torch import nn

from sumlctl.errors import SumlError
from sumlctl.learning import checkpoints
from sumlctl.learning.weights import load, read
from tests.unit.learning.weights import peers

BN = {"s": "weight", "b": "bias", "rm": "running_mean", "riv": "running_var"}


def blob_names(depth: int, fast: bool):
    """Names in Caffe2's model zoo beside PySlowFast's, from the comments in its converter."""
    for t, p in (("", 0), ("t_", 1)) if fast else (("", 0),):
        yield f"{t}conv1_w", f"s1.pathway{p}_stem.conv.weight"
        yield from bn(f"{t}res_conv1", f"s1.pathway{p}_stem.bn")
        for stage, blocks in zip(peers.STAGES, peers.DEPTHS[depth], strict=True):
            for n in range(blocks):
                theirs, ours = f"{t}res{stage}_{n}", f"s{stage}.pathway{p}_res{n}"
                if n == 0:
                    yield f"{theirs}_branch1_w", f"{ours}.branch1.weight"
                    yield from bn(f"{theirs}_branch1", f"{ours}.branch1_bn")
                for part in "abc":
                    yield f"{theirs}_branch2{part}_w", f"{ours}.branch2.{part}.weight"
                    yield from bn(f"{theirs}_branch2{part}", f"{ours}.branch2.{part}_bn")
    for stage in (1, 2, 3, 4) if fast else ():
        last = peers.DEPTHS[depth][stage - 2] - 1
        sent = f"t_res{stage}_{last}_branch2c_bn" if stage > 1 else "t_pool1"
        yield f"{sent}_subsample_w", f"s{stage}_fuse.conv_f2s.weight"
        yield from bn(f"{sent}_subsample", f"s{stage}_fuse.bn")
    yield "pred_w", "head.projection.weight"
    yield "pred_b", "head.projection.bias"


def bn(theirs: str, ours: str):
    for short, long in BN.items():
        yield f"{theirs}_bn_{short}", f"{ours}.{long}"


def written(path, named, state, protocol=4):
    blobs = {theirs: state[ours].numpy() for theirs, ours in named}
    blobs |= {"conv1_w_momentum": np.zeros(3, np.float32), "lr": np.float32(0.1)}
    blobs |= {"model_iter": np.array([5]), "nonlocal_conv3_1_theta_w": np.zeros(2, np.float32)}
    path.write_bytes(pickle.dumps({"blobs": blobs}, protocol=protocol))
    return path


@pytest.mark.parametrize("fast", [True, False], ids=["slowfast", "slow"])
def test_caffe2_files_give_the_features_of_their_network_in_rgb(tmp_path, fast):
    features = 2304 if fast else 2048
    state = peers.trunk(fast) | peers.filled(peers.head("head", 400, features=features))
    path = written(tmp_path / "a.pkl", blob_names(50, fast), state)
    encoder, clips = peers.empty(fast), peers.clips()
    coverage = load.load_encoder(encoder, path)
    counters = {n for n in encoder.state_dict() if n.endswith("num_batches_tracked")}
    assert set(coverage.missing) == counters
    assert coverage.unused == ("pred_w", "pred_b", "nonlocal_conv3_1_theta_w")
    expected = peers.features(state, clips)
    with torch.inference_mode():
        got = encoder.eval()(clips)
    assert (got - expected).abs().max() / expected.abs().max() < 1e-5
    found = read.weights(path)
    assert (found.origin, found.turned) == ("caffe2", ())
    assert torch.equal(found.part("", "heads")["action.weight"], state["head.projection.weight"])


@pytest.mark.parametrize("protocol", [2, 4])
def test_every_name_of_caffe2_for_101_layers_is_found(tmp_path, protocol):
    state = {n: torch.zeros(0) for n, _ in peers.shapes(101)}
    state |= {"head.projection.weight": torch.zeros(0), "head.projection.bias": torch.zeros(0)}
    found = read.weights(written(tmp_path / "a.pkl", blob_names(101, True), state, protocol))
    named = [n for n, _ in peers.shapes(101) if not n.endswith("tracked")]
    assert (len(found.part("", "encoder")), len(found.unknown)) == (len(named), 1)


def test_our_own_checkpoints_go_by_their_names(tmp_path):
    parts = {"encoder": nn.Linear(2, 3), "projection": nn.Linear(3, 2)}
    parts["heads"] = nn.ModuleDict({"verb": nn.Linear(3, 4)})
    torch.manual_seed(1)
    fpv, tpv = nn.Linear(2, 3), nn.Linear(2, 3)
    model = nn.ModuleDict(
        {
            "fpv": nn.ModuleDict(parts | {"encoder": fpv}),
            "tpv": nn.ModuleDict({"encoder": tpv}),
        }
    )
    path = tmp_path / "stage_two.pt"
    checkpoints.save(path, model, {"pipeline": {"backbone": {"name": "tiny", "width": 4}}})
    found = read.weights(path)
    assert (found.origin, found.views, found.turned) == ("sumlctl", ("fpv", "tpv"), ())
    assert (found.backbone, found.unknown) == ("tiny", ())
    for view, theirs in (("fpv", fpv), ("tpv", tpv)):
        encoder = nn.Linear(2, 3)
        coverage = load.load_encoder(encoder, path, view)
        assert torch.equal(encoder.weight, theirs.weight)
        assert len(coverage.unused) == 6
    assert "tpv.encoder.weight" in load.load_encoder(encoder, path).unused


def test_a_checkpoint_of_one_branch_serves_either_view(tmp_path):
    path, tpv = tmp_path / "stage_one.pt", nn.Linear(2, 3)
    checkpoints.save(path, nn.ModuleDict({"tpv": nn.ModuleDict({"encoder": tpv})}), {})
    encoder = nn.Linear(2, 3)
    load.load_encoder(encoder, path, "fpv")
    assert torch.equal(encoder.weight, tpv.weight)


def test_files_of_old_torch_versions_are_read(tmp_path):
    path, state = tmp_path / "old.pyth", peers.hollow(peers.shapes(fast=False))
    torch.save({"model_state": state}, path, _use_new_zipfile_serialization=False)
    assert read.weights(path).part("", "encoder").keys() == peers.empty(False).state_dict().keys()


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("code in a checkpoint was run",)


def whole(path):
    return torch.save({"model_state": {"s1.pathway0_stem.conv.weight": torch.zeros(9, 9)}}, path)


def cut(path):
    whole(path)
    path.write_bytes(path.read_bytes()[:-200])


@pytest.mark.parametrize(
    ("write", "got"),
    [
        (lambda path: path.write_bytes(b"not a checkpoint"), ""),
        (lambda path: path.write_bytes(b""), "EOFError"),
        (lambda path: path.write_bytes(b"PK\x03\x04"), "BadZipFile"),
        (lambda path: path.write_bytes(pickle.dumps(Bomb())), "it asks for"),
        (lambda path: path.write_bytes(pickle.dumps({"blobs": {"a": Bomb()}})), "it asks for"),
        (lambda path: path.write_bytes(pickle.dumps({"model_state": {}})), "without `blobs`"),
        (lambda path: path.write_bytes(pickle.dumps({"blobs": {}})), "nothing"),
        (lambda path: torch.save({"model_state": Bomb()}, path), "UnpicklingError: Weights only"),
        (
            lambda path: torch.save(Bomb(), path, _use_new_zipfile_serialization=False),
            "UnpicklingError: Weights only",
        ),
        (cut, "BadZipFile"),
        (lambda path: torch.save([1, 2], path), "list"),
        (lambda path: torch.save({"model_state": [1]}, path), "weights that are a list"),
        (lambda path: torch.save({}, path), "nothing"),
        (
            lambda path: torch.save({"conv.weight": torch.ones(1)}, path),
            "names such as conv.weight",
        ),
        (
            lambda path: torch.save({"format": "sumlctl.checkpoint/2", "model": {}}, path),
            "format 'sumlctl.checkpoint/2'; expected format 'sumlctl.checkpoint/1'",
        ),
    ],
)
def test_what_is_no_weights_is_refused_unrun_in_one_line(tmp_path, write, got):
    path = tmp_path / "a.pyth"
    write(path)
    with pytest.raises(SumlError) as caught:
        read.weights(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: not weights that we can read, got ")
    assert got in text
    assert len(text.splitlines()) == 1


def test_no_file(tmp_path):
    with pytest.raises(SumlError, match=r"none\.pyth: No such file or directory, got errno 2"):
        read.weights(tmp_path / "none.pyth")


def test_values_that_are_no_tensors_are_not_understood(tmp_path):
    state = peers.hollow(peers.shapes(fast=False)) | {"s5.pathway0_res9.branch2.a.weight": 3}
    assert read.weights(peers.saved(tmp_path / "a.pyth", state)).unknown == (
        "s5.pathway0_res9.branch2.a.weight",
    )
