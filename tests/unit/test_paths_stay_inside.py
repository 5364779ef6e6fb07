"""No name in an annotation, card, pipeline or manifest leads out of its folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sumlctl import config
from sumlctl.config import registry
from sumlctl.datasets.index import index
from sumlctl.errors import SumlError
from sumlctl.learning.data import clips
from sumlctl.learning.training import runs
from sumlctl.video import quarantine
from sumlctl.video.clip_cache import manifest
from sumlctl.workflow import cross_check, lineage, plan, recipe
from sumlctl.workspace import Workspace, inside
from tests.annotation_files import KITCHEN, kitchen_row, write_card, write_csv
from tests.builders import segment_row, write_clips
from tests.unit.learning import small_world
from tests.unit.workflow import tiny

ESCAPES = ["../secret", "a/../../secret", "{root}/secret", "link/secret", "a\0b", "loop/x"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with links that lead out of it and in a circle; a secret lies beside it."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").mkdir()
    (folder / "link").symlink_to(tmp_path)
    (folder / "loop").symlink_to(folder / "loop")
    write_csv(tmp_path / "secret", [kitchen_row("s", "v", "0", "1", "SECRET")])
    return folder


@pytest.mark.parametrize("name", ESCAPES)
def test_card_files(workspace: Workspace, folder: Path, name: str) -> None:
    escape = name.format(root=folder.parent).replace("\0", "\\u0000")
    listed = '{ size = 2, file = "%s.csv" }' % escape  # noqa: UP031
    bodies = [
        KITCHEN.replace('"train.csv"', f'"{escape}"'),
        KITCHEN.replace('{ names = ["take", "put"] }', listed),
        KITCHEN.replace('"tabular"', '"epic"').replace('val = "val.csv"', f'val = "{escape}"'),
    ]
    for split in ("train", "val"):
        write_csv(folder / f"{split}.csv", [kitchen_row(split, "v1", "4", "5")])
    for body in bodies:
        write_card(workspace, "kitchen", body)
        with pytest.raises(SumlError) as caught:
            index("kitchen", workspace, annotations=folder)
        assert "SECRET" not in str(caught.value)
    assert not workspace.table("kitchen", "clips").exists()


@pytest.mark.parametrize("name", ESCAPES)
def test_video_ids(workspace: Workspace, folder: Path, name: str) -> None:
    write_card(workspace, "kitchen", KITCHEN.replace('"{video_id}.mp4"', '"{video_id}"'))
    for split in ("train", "val"):
        row = kitchen_row(split, name.format(root=folder.parent), "4", "5")
        write_csv(folder / f"{split}.csv", [row])
    with pytest.raises(SumlError):
        index("kitchen", workspace, annotations=folder, videos=folder)


def test_percent_signs_are_no_escapes(tmp_path: Path) -> None:
    for name in ("%2e%2e%2fx", "..%2fx", "...", "a..b", "~root"):
        assert inside(tmp_path, name, "here") == tmp_path / name


@pytest.fixture
def world(workspace: Workspace, folder: Path) -> Workspace:
    write_clips(workspace, "ego", ["open"], video_id=["v0"], status=["ok"])
    return workspace


def forge(world: Workspace, folder: Path, path: str, **columns: object) -> None:
    small_world.write_videos_table(world, "ego", folder, 1, path=[path], **columns)


@pytest.mark.parametrize("name", [name for name in ESCAPES if "loop" not in name])
def test_paths_of_a_videos_table(world: Workspace, folder: Path, name: str) -> None:
    forge(world, folder, name.format(root=folder.parent), size_bytes=[1], mtime_ns=[1])
    with pytest.raises(SumlError, match="path leaves its folder"):
        clips.load(world, ["ego"], "fpv", "train")
    with pytest.raises(SumlError, match="path leaves its folder"):
        cross_check.cross_check(world, 1)


def test_paths_of_a_store(tmp_path: Path) -> None:
    (tmp_path / "secret.mp4").write_bytes(b"abc")
    path = tmp_path / "store" / "segments.parquet"
    row = segment_row(file="../secret.mp4")
    manifest.write(path, [row], {}, {})
    with pytest.raises(SumlError, match=r"path leaves its folder, got '\.\./secret\.mp4'"):
        manifest.Contents(path, {"v0": (1, 2)})


@pytest.mark.parametrize("name", ["../x", "a/b", "/etc", "..", "a\0b"])
def test_names_of_datasets_encoders_and_runs(workspace: Workspace, name: str) -> None:
    ways = [
        lambda: workspace.table(name, "clips"),
        lambda: workspace.narrations("ego", f"{name}/x"),
        lambda: workspace.pairs(name, ["exo"]),
        lambda: workspace.pairs("ego", ["exo", f"{name}/x"]),
        lambda: workspace.store(name),
        lambda: workspace.data(name, "videos"),
        lambda: workspace.run(name),
        lambda: quarantine.now(workspace, [name]),
    ]
    for way in ways:
        with pytest.raises(SumlError, match="a name would lead to another folder"):
            way()


def test_a_pipeline_makes_nothing_elsewhere(workspace: Workspace) -> None:
    tiny.build(workspace, 'histogram = { out = "../../figure.png" }\n')
    text = (workspace.pipelines / "tiny.toml").read_text()
    with pytest.raises(SumlError, match=r"histogram\.out: path leaves its folder"):
        plan.plan(recipe.read("tiny", workspace), workspace)
    (workspace.pipelines / "tiny.toml").write_text(text.replace('"tiny-fpv"', '"../../x"'))
    pipeline = config.load(workspace.pipelines / "tiny.toml")
    with pytest.raises(SumlError, match="a name would lead to another folder"):
        runs.claim(workspace, pipeline, None, {})
    assert {path.name for path in workspace.root.iterdir()} == {"manifests", "pipelines"}


@pytest.mark.parametrize(
    "name", ["os.system", "os", "../lemma", "sumlctl.datasets.epic", "epic.read", "index", ""]
)
def test_only_parts_of_the_program_are_imported(workspace: Workspace, name: str) -> None:
    for kind in registry.KINDS:
        with pytest.raises(SumlError, match="no such"):
            registry.load(kind, name)


@pytest.mark.parametrize(
    "template",
    ["{video_id.__class__}", "{video_id[0]}", "{video_id!r}", "{video_id:>9999999999}", "{0}", "{"],
)
def test_a_template_of_paths_reaches_into_nothing(workspace: Workspace, template: str) -> None:
    with pytest.raises(SumlError, match="unknown field in a path"):
        write_card(workspace, "kitchen", KITCHEN.replace("{video_id}.mp4", template))


def test_a_receipt_that_names_a_device_ends(workspace: Workspace) -> None:
    from sumlctl.workflow.file_stamps import FileStamp, file_stamp

    assert file_stamp(Path("/dev/zero")) == FileStamp("")
    assert file_stamp(Path("a\0b")) == FileStamp("")
    fifo = workspace.root / "fifo"
    workspace.root.mkdir()
    os.mkfifo(fifo)
    assert file_stamp(fifo) == FileStamp("")
    assert lineage.trace(workspace, fifo)["fifo"].status == lineage.UNKNOWN
