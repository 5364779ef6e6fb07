"""What fuzzing found, as small as it gets: each was a traceback, a hang or a full memory once."""

from __future__ import annotations

import json
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from sumlctl import config, tables
from sumlctl.config import parsing
from sumlctl.datasets.index import index
from sumlctl.errors import SumlError
from sumlctl.jobs.executors import Limits
from sumlctl.jobs.units import Unit, Work
from sumlctl.learning import checkpoints
from sumlctl.learning.data import clips
from sumlctl.learning.training import runs, savepoints
from sumlctl.learning.training.runlog import RunLog
from sumlctl.learning.weights import channels, convert, read
from sumlctl.report.content import training
from sumlctl.workflow import lineage, recipe, records
from sumlctl.workspace import Workspace
from tests.annotation_files import KITCHEN, kitchen_row, write_card, write_csv, write_jsonl
from tests.builders import write_clips
from tests.fuzz.harness import watched
from tests.fuzz.test_manifests_and_receipts import Here, double
from tests.unit.learning import small_world
from tests.unit.workflow.tiny import PIPELINE

OURS = {"format": "sumlctl.checkpoint/1"}
STEM = "s1.pathway0_stem.conv.weight"
FIVE_THOUSAND = "9" * 5000  # digits: Python turns no such text into a number


def refused(call: Any, root: Path) -> str:
    """The words of a SumlError, under the eyes of the harness."""
    told = []

    def attempt() -> None:
        try:
            call()
        except SumlError as error:
            told.append(str(error))
            raise

    with watched(root):
        attempt()
    return told[0] if told else ""


@pytest.mark.parametrize(
    "change",
    [
        'title = "x"\nx = ' + "[" * 5000,
        f"x = {FIVE_THOUSAND}",
        f"expected = {{ train = {{ fpv = 0x{'f' * 5000} }} }}",
        'reader = { name = "tabular", files = {} , columns = { video_id = "a" } }',
        'reader = { name = "tabular", files = { train = 7 } }',
        'reader = { name = "epic", files = {} }',
        "vocabulary = { verbs = { size = 10000000000000 } }",
        "vocabulary = { verbs = { size = 1, file = 5 } }",
        'videos = { paths = ["{video_id:>999999999}"] }',
    ],
    ids=lambda change: change[:40],
)
def test_cards(tmp_path: Path, workspace: Workspace, change: str) -> None:
    path = write_card(workspace, "kitchen", KITCHEN).path
    for name in ("train", "val"):
        write_csv(tmp_path / f"{name}.csv", [kitchen_row(name, "v1", "4", "5")])
    try:
        raw = tomllib.loads(path.read_text()) | tomllib.loads(change)
        text = "".join(f"{key} = {parsing.toml(value)}\n" for key, value in raw.items())
    except (ValueError, RecursionError):
        text = f"{path.read_text()}\n{change}"
    path.write_text(text, encoding="utf-8")
    assert refused(lambda: index("kitchen", workspace, annotations=tmp_path), tmp_path)


@pytest.mark.parametrize(
    "said",
    [
        "profile = []",
        f"seed = {FIVE_THOUSAND}",
        f'requires = "{FIVE_THOUSAND}"',
        f"seed = 0x{'f' * 5000}",
        "[[matrix]]\n" + "".join(f"k{i} = {list(range(100))}\n" for i in range(12)),
    ],
    ids=lambda said: said[:20],
)
def test_pipelines(workspace: Workspace, said: str) -> None:
    workspace.pipelines.mkdir(parents=True)
    path = workspace.pipelines / "mine.toml"
    path.write_text(f"{said}\n" if "[[" not in said else f"{PIPELINE}\n{said}", encoding="utf-8")
    assert refused(lambda: (recipe.read("mine", workspace), config.load(path)), workspace.root)


@pytest.mark.parametrize("text", [f"seed={FIVE_THOUSAND}", "seed=" + "[" * 5000])
def test_overrides(workspace: Workspace, text: str) -> None:
    path = workspace.root / "a.toml"
    path.parent.mkdir()
    path.write_text(PIPELINE)
    assert "a fault in the pipeline" in refused(lambda: config.load(path, [text]), workspace.root)


def test_a_title_with_delete_comes_back(tmp_path: Path) -> None:
    title = "a\x7fb"
    assert tomllib.loads(f"title = {parsing.toml(title)}") == {"title": title}


def test_a_video_id_longer_than_names_of_files(tmp_path: Path, workspace: Workspace) -> None:
    write_card(
        workspace, "k", KITCHEN.replace("train.csv", "t.jsonl").replace(', val = "val.csv"', "")
    )
    write_jsonl(tmp_path / "t.jsonl", [kitchen_row("a", "1" * 252, "0", "1")])
    with watched(tmp_path):
        index("k", workspace, annotations=tmp_path, videos=tmp_path)
    found = tables.read(workspace.table("k", "videos"), "videos")
    assert found.column("status").to_pylist() == ["missing"]


CONTENTS: dict[str, dict[Any, Any]] = {
    "no model": OURS,
    "no dict": OURS | {"model": [1]},
    "no tensors": OURS | {"model": {"weight": 1}},
    "no stage": OURS | {"model": {}, "stage": 7},
    "names that are none": {"model_state": {1: torch.ones(1), STEM: torch.ones(1)}},
    "a stem without colours": {"model_state": {"s1_t" + STEM[2:]: torch.ones(3)}},
    "a head that is one number": {
        "model_state": {STEM: torch.ones(2, 3, 1, 1, 1), "head.projection.weight": torch.tensor(1)}
    },
    "sparse": {"model_state": {STEM: torch.ones(2, 3).to_sparse()}},
    "nowhere": OURS | {"model": {"weight": torch.ones(3, 2, device="meta")}},
    "four gigabytes in four bytes": {
        "model_state": {"s1_t" + STEM[2:]: torch.zeros(1).expand(1, 10**9)}
    },
}


@pytest.mark.parametrize("content", CONTENTS)
def test_checkpoints(tmp_path: Path, content: str) -> None:
    path = tmp_path / "latest.pt"
    torch.save(CONTENTS[content], path)
    refused(lambda: read.weights(path), tmp_path)
    assert refused(lambda: checkpoints.load_weights(nn.Linear(2, 3), path), tmp_path)
    assert refused(lambda: savepoints.stage_of(tmp_path), tmp_path)
    assert refused(lambda: convert.convert(path, tmp_path / "out.pt", "tiny"), tmp_path)
    assert not (tmp_path / "out.pt").exists()


def test_a_zip_of_torch_that_grows(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(10**6)}, tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as old:
        members = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED) as new:
        for name, member in members.items():
            new.writestr(name, member)
    assert "are compressed" in refused(lambda: read.weights(tmp_path / "b.pt"), tmp_path)


def test_a_pickle_without_arguments(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02R.")
        archive.writestr("archive/version", b"3\n")
    assert "not a checkpoint" in refused(lambda: checkpoints.read(tmp_path / "a.pt"), tmp_path)


def test_a_configuration_without_a_data_set(tmp_path: Path) -> None:
    with watched(tmp_path):
        assert channels.trained_on_bgr("TRAIN:\n" + "    x\n" * 60) is None


def forged(path: Path, **metadata: Any) -> None:
    table = pq.read_table(path, partitioning=None)
    told = {f"sumlctl.{key}".encode(): value for key, value in metadata.items()}
    pq.write_table(table.replace_schema_metadata(table.schema.metadata | told), path)


@pytest.mark.parametrize("value", [b"\xff", b"[" * 100_000, b"null", b'{"a": []}'])
def test_metadata(workspace: Workspace, value: bytes) -> None:
    path = write_clips(workspace, "ego", ["open"])
    forged(path, inputs=value)
    assert "damaged" in refused(lambda: tables.read(path, "clips"), workspace.root)
    with watched(workspace.root):
        lineage.trace(workspace, path)


def test_a_rate_of_nothing(workspace: Workspace) -> None:
    write_clips(workspace, "ego", ["open"], video_id=["v0"], status=["ok"])
    for fps in (0.0, float("nan"), None):
        small_world.write_videos_table(workspace, "ego", workspace.root, 1, fps=[fps])
        told = refused(lambda: clips.load(workspace, ["ego"], "fpv", "train"), workspace.root)
        assert "without frames per second" in told


@pytest.mark.parametrize("content", ["[" * 100_000, "null", "[]", '{"inputs": 7}', FIVE_THOUSAND])
def test_records(workspace: Workspace, content: str) -> None:
    root = workspace.root
    run = workspace.run("r")
    run.mkdir(parents=True)
    (run / "pipeline.toml").write_text(PIPELINE)
    (run / "log.jsonl").write_text(f"{content}\n")
    (root / "u.json").write_text(content)
    assert records.read(root / "u.json") is None
    assert "not a run" in refused(lambda: runs.begun(run), root)
    assert RunLog(run, active=True).read("validation") == []
    assert "no step" in refused(lambda: training.read(run / "log.jsonl"), root)
    (done,) = Work(root).do(double, [Unit("u", 21, "facts")], Here(), Limits(9.0))
    assert (done.result, done.earlier) == (42, False)


def test_a_step_without_its_loss(tmp_path: Path) -> None:
    event = {"event": "steps", "stage": "stage_one", "epoch": 0, "step": 1, "terms": {}}
    (tmp_path / "log.jsonl").write_text(json.dumps(event))
    assert "no step" in refused(lambda: training.read(tmp_path / "log.jsonl"), tmp_path)


def test_reasons_that_are_none(tmp_path: Path) -> None:
    told = {"unit": "u", "stands_on": "facts", "reasons": 7}
    (tmp_path / "u.failed.json").write_text(json.dumps(told))
    assert (
        list(
            Work(tmp_path).do(
                double, [Unit("u", 1, "facts")], Here(), Limits(9.0), only_failed=True
            )
        )
        == []
    )
