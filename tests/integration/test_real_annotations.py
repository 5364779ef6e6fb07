"""Published annotation files, indexed and compared row by row with a plain reading of them."""

import csv
import json
from decimal import Decimal

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from sumlctl.datasets.index import index
from sumlctl.workspace import Workspace

HELD_OUT = (
    "P01_18 P02_09 P03_27 P04_04 P07_07 P08_20 P15_01 P22_08 P24_03 P25_01 P26_05 P28_02 P30_04 "
    "P31_04"
)


def published(folder, name):
    with (folder / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def seconds(stamp):
    hours, minutes, rest = stamp.split(":")
    return float(int(hours) * 3600 + int(minutes) * 60 + Decimal(rest))


def plain(narration):
    return " ".join(narration.lower().split())


@pytest.fixture(scope="module")
def indexed(shared_data, tmp_path_factory):
    """Indexes a dataset once; returns its folder, what `index` said and its clips as records."""
    workspace = Workspace(tmp_path_factory.mktemp("real"))
    known = {}

    def of(name):
        if name not in known:
            folder = shared_data / "annotations" / name
            done = index(name, workspace, annotations=folder)
            table = pq.read_table(workspace.table(name, "clips"))
            known[name] = folder, done, table
        return known[name]

    return of


def record(table, clip_id):
    (found,) = table.filter(pc.equal(table.column("clip_id"), clip_id)).to_pylist()
    return found


def counts(done):
    keys = ("split", "viewpoint", "clips", "videos", "difference", "videos_difference")
    return [tuple(split[key] for key in keys) for split in done.splits]


def vocabulary(table):
    return json.loads(table.schema.metadata[b"sumlctl.vocabulary"])


def epic_clip(dataset, key, row, split):
    main, every = int(row["noun_class"]), json.loads(row["all_noun_classes"])
    return {
        "clip_id": f"{dataset}/{row[key]}",
        "dataset": dataset,
        "viewpoint": "fpv",
        "split": split,
        "video_id": row["video_id"],
        "participant": row["participant_id"],
        "start_s": seconds(row["start_timestamp"]),
        "stop_s": seconds(row["stop_timestamp"]),
        "narration": plain(row["narration"]),
        "verbs": [int(row["verb_class"])],
        "nouns": list(dict.fromkeys([main, *every])),
        "actions": [],
        "status": "no_video",
    }


def assert_same(table, expected):
    assert table.num_rows == len(expected)
    for name in table.schema.names:
        found, wanted = table.column(name).to_pylist(), [clip[name] for clip in expected]
        if name in {"start_s", "stop_s"}:  # a sum of hours, minutes, seconds may be a bit off
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9)
        else:
            assert found == wanted


def test_every_row_of_epic_kitchens_55(indexed):
    folder, _, table = indexed("ek55")
    held_out = HELD_OUT.split()
    rows = published(folder, "EPIC_train_action_labels.csv")
    split = {row["uid"]: "val" if row["video_id"] in held_out else "train" for row in rows}
    assert_same(table, [epic_clip("ek55", "uid", row, split[row["uid"]]) for row in rows])


def test_the_split_of_epic_kitchens_55(indexed):
    _, done, table = indexed("ek55")
    assert counts(done) == [
        ("train", "fpv", 26074, 258, 0, 0),
        ("val", "fpv", 2398, 14, 0, 0),
    ]
    words = vocabulary(table)
    assert (len(words["verbs"]), len(words["nouns"])) == (125, 352)
    assert len(set(table.column("narration").to_pylist())) == 8793


def test_rows_of_epic_kitchens_55_by_hand(indexed):
    _, _, table = indexed("ek55")
    words = vocabulary(table)
    first = record(table, "ek55/0")
    assert (first["video_id"], first["participant"], first["split"]) == ("P01_01", "P01", "train")
    assert (first["start_s"], first["stop_s"]) == (0.14, 3.37)
    assert (first["narration"], first["verbs"], first["nouns"]) == ("open door", [2], [8])
    assert "open" in words["verbs"][2]
    assert "door" in words["nouns"][8]
    several = record(table, "ek55/104")
    assert several["narration"] == "put container on top of counter"
    assert (several["verbs"], several["nouns"]) == ([1], [29, 78])
    assert several["start_s"] == pytest.approx(488.38, abs=1e-9)
    last = record(table, "ek55/39236")
    assert (last["video_id"], last["narration"], last["verbs"]) == ("P31_14", "close door", [3])
    assert last["stop_s"] == pytest.approx(312.08, abs=1e-9)
    assert "pick up" in words["verbs"][0]


def test_the_sample_of_epic_kitchens_100(indexed):
    folder, done, table = indexed("ek100")
    files = {"train": "EPIC_100_train.csv", "val": "EPIC_100_validation.csv"}
    expected = [
        epic_clip("ek100", "narration_id", row, split)
        for split, name in files.items()
        for row in published(folder, name)
    ]
    assert_same(table, expected)
    assert [(r["split"], r["clips"], r["difference"]) for r in done.splits] == [
        ("train", 1253, 1253 - 67217),
        ("val", 484, 484 - 9668),
    ]
    words = vocabulary(table)
    assert (len(words["verbs"]), len(words["nouns"])) == (97, 300)
    first = record(table, "ek100/P01_01_0")
    assert (first["start_s"], first["stop_s"]) == (0.14, 3.37)
    assert (first["narration"], first["verbs"], first["nouns"]) == ("open door", [3], [3])


def charades_clips(folder):
    """Every action instance of the published files that ends after it starts."""
    lines = (folder / "Charades_v1_classes.txt").read_text().splitlines()
    names = {line[:4]: line[5:] for line in lines}
    lines = (folder / "Charades_v1_mapping.txt").read_text().splitlines()
    roles = {line[:4]: (int(line[6:9]), int(line[11:14])) for line in lines}

    def of(name, split, viewpoint, suffix=""):
        for row in published(folder, f"CharadesEgo_v0_{name}.csv"):
            instances = [text.split() for text in row["actions"].split(";") if text]
            kept = [(c, float(a), float(b)) for c, a, b in instances if float(a) < float(b)]
            for number, (code, start_s, stop_s) in enumerate(kept):
                noun, verb = roles[code]
                yield {
                    "clip_id": f"charades-ego/{row['id']}{suffix}_{number}",
                    "dataset": "charades-ego",
                    "viewpoint": viewpoint,
                    "split": split,
                    "video_id": row["id"] + suffix,
                    "participant": row["subject"],
                    "start_s": start_s,
                    "stop_s": stop_s,
                    "narration": plain(names[code]),
                    "verbs": [verb],
                    "nouns": [noun],
                    "actions": [int(code[1:])],
                    "status": "no_video",
                }

    return [
        *of("train", "train", "tpv"),
        *of("train", "train", "fpv", "EGO"),
        *of("test", "test", "tpv"),
        *of("egocentric_test", "test", "fpv"),
    ]


def test_every_row_of_charades_ego(indexed):
    folder, _, table = indexed("charades-ego")
    assert_same(table, charades_clips(folder))


def test_the_counts_of_charades_ego(indexed):
    _, done, table = indexed("charades-ego")
    assert counts(done) == [
        ("train", "tpv", 49802, 7811, -7, None),
        ("train", "fpv", 49802, 7811, -7, None),
        ("test", "tpv", 16691, 1814, 0, None),
        ("test", "fpv", 883, 103, 0, None),
    ]
    assert done.notes[0] == "7 action instances that end before they start are left out"
    words = vocabulary(table)
    assert [len(words[kind]) for kind in ("verbs", "nouns", "actions")] == [33, 38, 157]


def test_rows_of_charades_ego_by_hand(indexed):
    _, _, table = indexed("charades-ego")
    words = vocabulary(table)
    first, twin = record(table, "charades-ego/46GP8_0"), record(table, "charades-ego/46GP8EGO_0")
    assert (first["viewpoint"], twin["viewpoint"]) == ("tpv", "fpv")
    assert (first["start_s"], first["stop_s"]) == (twin["start_s"], twin["stop_s"]) == (11.9, 21.2)
    assert first["narration"] == twin["narration"] == "watching/looking outside of a window"
    assert first["actions"] == [92]
    # c092 is o037 v031: to watch a window.
    assert [words["verbs"][v][0] for v in first["verbs"]] == ["watch"]
    assert [words["nouns"][n][0] for n in first["nouns"]] == ["window"]
    own = record(table, "charades-ego/BHP3HEGO_0")
    assert (own["viewpoint"], own["split"], own["actions"]) == ("fpv", "test", [127])
    assert own["start_s"] == pytest.approx(18.9308559245)


def test_every_row_of_egoexolearn(indexed):
    folder, done, table = indexed("egoexolearn")
    rows = published(folder, "exo_train.csv")
    expected = [
        {
            "clip_id": f"egoexolearn/{row['annotation_id']}",
            "dataset": "egoexolearn",
            "viewpoint": "tpv",
            "split": "train",
            "video_id": row["video_uid"],
            "participant": "",
            "start_s": float(row["start_sec"]),
            "stop_s": float(row["end_sec"]),
            "narration": plain(row["narration_en"]),
            "verbs": json.loads(row["verb"]),
            "nouns": json.loads(row["noun"]),
            "actions": [],
            "status": "no_video",
        }
        for row in rows
    ]
    assert_same(table, expected)
    assert counts(done) == [("train", "tpv", 6270, 286, 0, None)]
    first = record(table, "egoexolearn/hIOL2zPZ")
    assert (first["start_s"], first["stop_s"]) == (0.0, 20.0)
    assert first["narration"].startswith("use your left hand to hold down the meat piece, and use")
    assert (first["verbs"], first["nouns"]) == ([17, 52, 93, 36], [296, 268])
