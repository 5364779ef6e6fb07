"""`index` from annotation and video files to both tables."""

import hashlib

import polars as pl
import pytest

from sumlctl import tables
from sumlctl.datasets.index import check_strict, index
from sumlctl.errors import SumlError
from sumlctl.workspace import Workspace
from tests.annotation_files import (
    KITCHEN,
    epic_row,
    kitchen_row,
    write_card,
    write_csv,
    write_lines,
    write_video,
)

# `whole` has 40 frames at 10 fps, so it ends at 4 s; times may be off by a frame and 0.01 s.
TRAIN = [
    kitchen_row("a", "whole", "0", "4.0"),
    kitchen_row("b", "whole", "3.5", "4.1", "take  cup"),
    kitchen_row("c", "whole", "3.5", "4.2", "Put cup", "put"),
    kitchen_row("d", "whole", "4.05", "5.0"),
    kitchen_row("e", "broken", "0", "1"),
    kitchen_row("f", "absent", "0", "1", "", ""),
]
VAL = [kitchen_row("g", "whole", "00:00:01.25", "00:00:02.5")]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Annotations and videos outside any workspace."""
    folder = tmp_path_factory.mktemp("data")
    write_csv(folder / "annotations/train.csv", TRAIN)
    write_csv(folder / "annotations/val.csv", VAL)
    write_video(folder / "videos/whole.mp4", 40)
    (folder / "videos/broken.mp4").write_bytes(b"no video")
    return folder


def index_in(workspace, data):
    write_card(workspace, "kitchen", KITCHEN)
    folders = {"annotations": data / "annotations", "videos": data / "videos"}
    return index("kitchen", workspace, **folders)


@pytest.fixture(scope="module")
def indexed(tmp_path_factory, data):
    workspace = Workspace(tmp_path_factory.mktemp("indexed"))
    return workspace, index_in(workspace, data)


def read(workspace, name, dataset="kitchen"):
    return pl.DataFrame(pl.from_arrow(tables.read(workspace.table(dataset, name), name)))


def test_the_clips_table(indexed):
    workspace, _ = indexed
    found = read(workspace, "clips")
    assert found.row(1, named=True) == {
        "clip_id": "kitchen/b",
        "dataset": "kitchen",
        "viewpoint": "fpv",
        "split": "train",
        "video_id": "whole",
        "participant": "",
        "start_s": 3.5,
        "stop_s": 4.1,
        "narration": "take cup",
        "verbs": [0],
        "nouns": [],
        "actions": [],
        "status": "ok",
    }
    assert found.select("clip_id", "split", "narration", "verbs", "status").rows() == [
        ("kitchen/a", "train", "take cup", [0], "ok"),
        ("kitchen/b", "train", "take cup", [0], "ok"),
        ("kitchen/c", "train", "put cup", [1], "truncated"),
        ("kitchen/d", "train", "take cup", [0], "out_of_range"),
        ("kitchen/e", "train", "take cup", [0], "no_video"),
        ("kitchen/f", "train", "", [], "no_video"),
        ("kitchen/g", "val", "take cup", [0], "ok"),
    ]


def test_the_videos_table(indexed, data):
    workspace, done = indexed
    found = read(workspace, "videos")
    columns = ("dataset", "video_id", "path", "status")
    assert found.select(columns).rows() == [
        ("kitchen", "whole", "whole.mp4", "ok"),
        ("kitchen", "broken", "broken.mp4", "unreadable"),
        ("kitchen", "absent", "absent.mp4", "missing"),
    ]
    whole, broken, absent = found.to_dicts()
    file = data / "videos/whole.mp4"
    assert (whole["codec"], whole["width"], whole["height"]) == ("h264", 64, 48)
    assert (whole["n_frames"], whole["rotation"]) == (40, 0)
    assert whole["fps"] == pytest.approx(10)
    assert whole["duration_s"] == pytest.approx(4)
    assert (whole["size_bytes"], whole["mtime_ns"]) == (
        file.stat().st_size,
        file.stat().st_mtime_ns,
    )
    assert broken["error"]
    assert set(absent.values()) == {"kitchen", "absent", "absent.mp4", "missing", None}
    assert done.unreadable == {"broken": broken["error"]}


def test_the_summary_by_split(indexed):
    workspace, done = indexed
    assert (done.dataset, done.notes) == ("kitchen", ())
    assert done.written == tuple(workspace.table("kitchen", n) for n in ("videos", "clips"))
    train, val, test = done.splits
    assert train == {
        "split": "train",
        "viewpoint": "fpv",
        "clips": 6,
        "narrations": 3,
        "truncated": 1,
        "out_of_range": 1,
        "no_video": 2,
        "videos": 3,
        "videos_missing": 1,
        "videos_unreadable": 1,
        "expected": 7,
        "difference": -1,
        "videos_difference": 1,
    }
    assert (val["split"], val["clips"], val["expected"], val["difference"]) == (
        "val",
        1,
        None,
        None,
    )
    assert (test["split"], test["clips"], test["expected"], test["difference"]) == (
        "test",
        0,
        5,
        -5,
    )


def test_provenance(indexed, data):
    workspace, _ = indexed
    for name in ("videos", "clips"):
        table = tables.read(workspace.table("kitchen", name), name)
        files = {
            "train.csv": data / "annotations/train.csv",
            "val.csv": data / "annotations/val.csv",
            "manifests/kitchen.toml": workspace.manifests / "kitchen.toml",
        }
        digests = {n: hashlib.sha256(f.read_bytes()).hexdigest() for n, f in files.items()}
        assert tables.metadata(table, "inputs") == digests
        assert tables.metadata(table, "config")["reader"] == "tabular"
        assert tables.metadata(table, "videos_root") == (data / "videos").as_posix()
    assert tables.metadata(table, "vocabulary") == {"verbs": [["take"], ["put"]]}


def test_annotations_alone_in_the_workspaces_own_folders(workspace, monkeypatch):
    monkeypatch.delenv("SUMLCTL_DATA", raising=False)
    write_card(workspace, "kitchen", KITCHEN)
    folder = workspace.root / "data/kitchen/annotations"
    write_csv(folder / "train.csv", TRAIN)
    write_csv(folder / "val.csv", VAL)
    done = index("kitchen", workspace)
    assert read(workspace, "clips")["status"].to_list() == ["no_video"] * 7
    assert read(workspace, "videos")["status"].to_list() == ["missing"] * 3
    assert done.splits[0]["videos_missing"] == 3
    table = tables.read(workspace.table("kitchen", "clips"), "clips")
    assert tables.metadata(table, "videos_root") == "data/kitchen/videos"


def test_expected_counts_are_those_of_the_release(workspace, tmp_path):
    body = (
        '[reader]\nname = "charades_ego"\nclasses = "c.txt"\nmapping = "m.txt"\n'
        '[videos]\npaths = ["{video_id}.mp4"]\n[expected]\n'
        '"v0.train" = { fpv = 1, tpv = 2 }\n"v1.train" = { fpv = 9, tpv = 9 }\n'
    )
    write_card(workspace, "charades", body, ("fpv", "tpv"))
    write_lines(tmp_path / "c.txt", "c000 Opening a door")
    write_lines(tmp_path / "m.txt", "c000 o012 v012")
    rows = [{"id": "A", "subject": "", "actions": "c000 1 2"}]
    write_csv(tmp_path / "CharadesEgo_v0_train.csv", rows)
    done = index("charades", workspace, annotations=tmp_path)
    counts = [(r["split"], r["viewpoint"], r["clips"], r["difference"]) for r in done.splits]
    assert counts == [("train", "tpv", 1, -1), ("train", "fpv", 1, 0)]
    assert [r["split"] for r in done.splits] == ["train", "train"]
    assert len(done.notes) == 1


def record(**changes):
    zeros = dict.fromkeys(
        ("difference", "videos_difference", "videos_missing", "videos_unreadable", "truncated"), 0
    )
    return {"split": "val", "viewpoint": "fpv", "out_of_range": 0} | zeros | changes


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"difference": -1200}, "rows more or fewer than the card expects, got -1,200;"),
        ({"videos_difference": 3}, "videos more or fewer than the card expects, got +3;"),
        ({"videos_missing": 2}, "videos missing, got 2;"),
        ({"videos_unreadable": 2}, "videos unreadable, got 2;"),
        ({"truncated": 4}, "clips truncated, got 4;"),
        ({"out_of_range": 5}, "clips out of range, got 5;"),
    ],
)
def test_strict_refuses_what_is_not_complete(indexed, changes, words):
    _, done = indexed
    fields = vars(done)
    check_strict(type(done)(**fields | {"splits": [record(), record(difference=None)]}))
    with pytest.raises(SumlError) as caught:
        check_strict(type(done)(**fields | {"splits": [record(), record(**changes)]}))
    assert str(caught.value).startswith(f"kitchen val fpv: not complete: {words} expected 0.")


def test_index_refuses_annotations_without_a_clip(workspace, tmp_path):
    """Charades-Ego has videos without any action; nothing could be learned from these alone."""
    body = (
        '[reader]\nname = "charades_ego"\nclasses = "c.txt"\nmapping = "m.txt"\n'
        '[videos]\npaths = ["{video_id}.mp4"]\n'
    )
    write_card(workspace, "charades", body, ("fpv", "tpv"))
    write_lines(tmp_path / "c.txt", "c000 Opening a door")
    write_lines(tmp_path / "m.txt", "c000 o012 v012")
    rows = [{"id": "A", "subject": "", "actions": ""}]
    write_csv(tmp_path / "CharadesEgo_v0_test.csv", rows)
    with pytest.raises(SumlError, match="no clip in the annotations"):
        index("charades", workspace, annotations=tmp_path)
    assert not workspace.table("charades", "clips").exists()


def test_epic_through_index(workspace, tmp_path):
    body = (
        '[reader]\nname = "epic"\nfiles = { train = "train.csv" }\n'
        '[videos]\npaths = ["{participant}/{video_id}.MP4"]\n'
        "[vocabulary]\nverbs = { size = 125 }\nnouns = { size = 352 }\n"
    )
    write_card(workspace, "kitchens", body)
    write_csv(tmp_path / "train.csv", [epic_row(), epic_row(1, verb_class=125)])
    with pytest.raises(SumlError, match=r"^train\.csv row 3: verbs outside the vocabulary"):
        index("kitchens", workspace, annotations=tmp_path)
    write_csv(tmp_path / "train.csv", [epic_row(), epic_row(1, verb_class=124)])
    index("kitchens", workspace, annotations=tmp_path)
    assert read(workspace, "videos", "kitchens")["path"].to_list() == ["P01/P01_01.MP4"]
    assert read(workspace, "clips", "kitchens")["verbs"].to_list() == [[2], [124]]
