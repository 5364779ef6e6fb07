"""The data steps on every engine: the same bytes, and never the same work twice."""

from __future__ import annotations

import hashlib

import pytest

from sumlctl.datasets.index import index
from sumlctl.mining.mine import MiningSettings, mine
from sumlctl.narrations import choose
from sumlctl.narrations import embed as embedding
from sumlctl.video.clip_cache.build import decode
from sumlctl.video.clip_cache.encode import EncodeSettings as Store
from sumlctl.video.clip_cache.plan import Wanted
from sumlctl.workspace import Workspace
from tests.annotation_files import KITCHEN, kitchen_row, write_card, write_csv
from tests.unit.video import numbered

WANTED = Wanted(Store(256, 22), 0.2, whole=False)
# What the tables are, by whoever they are made: filled in by the first engine.
FIRST: dict[str, str] = {}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two sound videos, one broken, one absent, and clips of each."""
    folder = tmp_path_factory.mktemp("data")
    rows = [
        kitchen_row(f"{video}{i}", video, str(i), str(i + 1.5), f"take cup {i} of {video}")
        for video in ("one", "two", "broken", "absent")
        for i in range(2)
    ]
    write_csv(folder / "annotations/train.csv", rows)
    write_csv(folder / "annotations/val.csv", [kitchen_row("v", "one", "0", "1")])
    (folder / "videos").mkdir()
    for name in ("one", "two"):
        numbered.write(folder / f"videos/{name}.mp4", paint=numbered.noisy)
    (folder / "videos/broken.mp4").write_bytes(b"no video")
    return folder


def steps(workspace, data, executor, monkeypatch):
    """Does the data steps; digests of everything that they wrote."""
    write_card(workspace, "kitchen", KITCHEN)
    write_card(workspace, "filmed", KITCHEN.replace("fpv", "tpv"), ("tpv",))
    folders = {"annotations": data / "annotations", "videos": data / "videos"}
    both = ("kitchen", "filmed")
    for dataset in both:
        index(dataset, workspace, executor=executor, **folders)
    monkeypatch.setattr(embedding, "_BLOCK", 3)
    list(embedding.embed(both, workspace, choose.choose("hashed"), executor=executor))
    decode("kitchen", workspace, WANTED, executor=executor)
    mine("kitchen", ["filmed"], workspace, MiningSettings(top_k=2), executor=executor)
    written = [*workspace.manifests.rglob("*.parquet"), *workspace.store("kitchen").iterdir()]
    return {
        path.relative_to(workspace.root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in written
    }


def test_all_engines_write_the_same_bytes(executor, data, tmp_path, monkeypatch):
    workspace = Workspace(tmp_path)
    found = steps(workspace, data, executor, monkeypatch)
    # Three tables of each dataset, the pairs, the store's table and a file for each sound video.
    assert len(found) == 2 * 3 + 1 + 1 + 2, sorted(found)
    assert found == (FIRST or found)
    FIRST.update(found)
    assert not [*workspace.units("x").parent.iterdir()]
    assert steps(workspace, data, executor, monkeypatch) == found
