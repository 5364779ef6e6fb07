"""Files of weights that are damaged or mean harm: released ones and our own."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import nn

from sumlctl.learning import backbones, checkpoints
from sumlctl.learning.training import savepoints
from sumlctl.learning.weights import convert, load, read
from tests.fuzz.harness import fuzz
from tests.fuzz.mutations import mutated

SHARE = 5
STEM = "s1.pathway0_stem.conv.weight"
CFG = "TRAIN:\n  ENABLE: true\n  DATASET: epickitchen\nTASK: x\n"


def saved(content: Any, **options: Any) -> bytes:
    written = io.BytesIO()
    torch.save(content, written, **options)
    return written.getvalue()


def ours(**more: Any) -> dict[str, Any]:
    branch = nn.ModuleDict({"encoder": nn.Linear(2, 3)})
    model = nn.ModuleDict({"fpv": branch})
    record = {"format": "sumlctl.checkpoint/1", "stage": "stage_two", "model": model.state_dict()}
    return record | {"pipeline": {"backbone": {"name": "tiny"}}} | more


def theirs() -> dict[str, Any]:
    state = {STEM: torch.ones(2, 3, 1, 2, 2), "head.projection.bias": torch.ones(2)}
    return {"epoch": 1, "model_state": state, "optimizer_state": {}, "cfg": CFG}


def caffe2() -> bytes:
    blobs = {"conv1_w": np.ones((2, 3, 1, 2, 2), np.float32), "lr": np.float32(1), "pred_b": [1]}
    return pickle.dumps({"blobs": blobs}, 2)


def moving() -> dict[str, Any]:
    return {"position": (0, 1), "optimizer": {"state": {}}, "scaler": {}, "best": None}


FILES = (
    saved(ours()),
    saved(ours(**moving())),
    saved(theirs()),
    saved(theirs(), _use_new_zipfile_serialization=False),
    saved(ours(), _use_new_zipfile_serialization=False),
    caffe2(),
)


def everything(path: Path) -> None:
    """All that reads a file of weights; what one of them refuses the next one may take."""
    readers = (
        lambda: read.weights(path),
        lambda: checkpoints.read(path),
        lambda: checkpoints.load_weights(nn.Linear(2, 3), path),
        lambda: savepoints.stage_of(path.parent),
        lambda: load.load_encoder(backbones.build("tiny", width=2), path),
        lambda: convert.convert(path, path.with_name("out.pt"), "tiny"),
    )
    from sumlctl.errors import SumlError

    faults = []
    for reader in readers:
        try:
            reader()
        except SumlError as error:
            faults.append(error)
    if faults:
        raise faults[0]


def test_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "latest.pt"

    def target(content: bytes) -> None:
        path.write_bytes(content)
        everything(path)

    fuzz("checkpoint loaders", target, mutated(*FILES), tmp_path, SHARE)


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_damaged_pickles_in_sound_zips(tmp_path: Path) -> None:
    """Their checksums are right, so that the pickles are read."""
    path = tmp_path / "latest.pt"
    archives = [members(content) for content in FILES[:3]]
    pickles = [next(c for n, c in a.items() if n.endswith("/data.pkl")) for a in archives]

    def target(made: tuple[int, bytes, int]) -> None:
        which, damaged, method = made
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, content in archives[which].items():
                archive.writestr(name, damaged if name.endswith("/data.pkl") else content)
        everything(path)

    which, method = st.integers(0, 2), st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    fuzz("checkpoint loaders", target, st.tuples(which, mutated(*pickles), method), tmp_path, SHARE)


def test_damaged_legacy_files_and_pickles(tmp_path: Path) -> None:
    path = tmp_path / "latest.pt"

    def target(content: bytes) -> None:
        path.write_bytes(content)
        everything(path)

    fuzz("checkpoint loaders", target, mutated(*FILES[3:]), tmp_path, SHARE)


TENSORS = st.sampled_from(
    [
        *(torch.ones(2, 3, 1, 2, 2), torch.ones(3), torch.zeros(0), torch.tensor(1)),
        *(torch.ones(2).bool(), torch.ones(2).half(), torch.ones(2, 2).to_sparse()),
        *(torch.ones(1, device="meta"), torch.tensor([float("nan")])),
        *(torch.ones(2, dtype=torch.complex64), torch.zeros(1).expand(10**9)),
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats()
WORDS = f"""
    model model_state state_dict format cfg backbone pipeline name stage optimizer position blobs
    {STEM} head.projection.weight module.s1_fuse.bn.bias headepic.projections.0.weight
    blocks.0.conv.weight encoder.x fpv.encoder.x tpv.heads.verb.weight patch_embed.x
    s2_t.pathway0_res0.branch1.weight
"""
NAMES = st.sampled_from(["", *WORDS.split()])
CONTENT = st.recursive(
    SCALARS | TENSORS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(NAMES | st.integers(), inner, max_size=4)
    ),
    max_leaves=10,
)


def test_content_of_other_shapes(tmp_path: Path) -> None:
    path = tmp_path / "latest.pt"

    def target(made: tuple[dict[Any, Any], bool, dict[Any, Any]]) -> None:
        content, new, more = made
        torch.save(content | more, path, _use_new_zipfile_serialization=new)
        everything(path)

    ours_or_not = st.sampled_from([{}, {"format": "sumlctl.checkpoint/1"}, theirs(), ours()])
    contents = st.dictionaries(NAMES, CONTENT, max_size=4)
    fuzz(
        "checkpoint loaders",
        target,
        st.tuples(ours_or_not, st.booleans(), contents),
        tmp_path,
        SHARE,
    )


def test_configurations(tmp_path: Path) -> None:
    """PySlowFast's configuration is searched with patterns."""
    from sumlctl.learning.weights import channels

    def target(cfg: str) -> None:
        channels.trained_on_bgr(cfg)

    line = st.sampled_from(["TRAIN:", "  DATASET: x", "  A: 1", "    - 3", "", " ", "  "])
    several = st.lists(line, max_size=6).map(lambda lines: "\n".join(lines * 12))
    fuzz("checkpoint loaders", target, several | st.text(" \n:TRAIN", max_size=60), tmp_path, SHARE)
