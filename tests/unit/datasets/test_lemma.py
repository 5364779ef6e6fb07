"""LEMMA's two releases, from small files written by hand."""

import json
import os
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumlctl.datasets import lemma
from sumlctl.errors import SumlError
from sumlctl.workspace import Workspace
from tests.annotation_files import write_card

PROPERTY = settings(max_examples=40, deadline=None, derandomize=True)
CARD = '[reader]\nname = "lemma"\n[videos]\npaths = ["{video_id}.mp4"]'
ACTS = ["null", "get", "put", "pour"]
OBJS = ["cup", "table", "kettle", "right-hand"]
HOIS = ["null$", "get${s0}@cup", "put${s0}@cup:{m1}@table", "pour${s0}@kettle:{m2}@cup"]
SPLITS = {"train": ["v1", "v2"], "val": ["v3"], "test": []}


def frame(video, number, actions, hois, person="P1"):
    """A row of rec_tpv_frames.p; flow, picture, box and task are not read."""
    box = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    return [video, number, person, "flow.npy", "img.jpg", box, actions, [0], hois]


FRAMES = [
    *(frame("v1", n, [[1, [[0]]]], [1]) for n in range(48)),
    *(frame("v1", n, [[0, [[]]]], [0]) for n in range(48, 60)),
    *(frame("v1", n, [[2, [[0], [1]]], [1, [[2]]]], [2, 1]) for n in range(60, 84)),
    frame("v3", 12, [[3, [[2], [0]]]], [3]),
    # Two people at once: v9 is in no single-agent split.
    frame("v9", 0, [[1, [[0]]]], [1], "P1"),
    frame("v9", 0, [[2, [[0], [1]]]], [2], "P2"),
]
SEGMENTS = [["v1", 0, 48], ["v1", 48, 12], ["v9", 0, 24], ["v1", 60, 24], ["v3", 12, 6]]
INTERVALS = {
    "v2": {
        "P1": [
            ["Get [cup] from [table] using [right-hand]", 24, 60, "make tea"],
            ["Null", 60, 72, "make tea"],
            ["Pour [water] into [cup]", 72, 84, "make tea"],
        ]
    },
    "v9": {"P1": [["Get [cup]", 0, 24, "t"]], "P2": [["Get [cup]", 0, 24, "t"]]},
    "v3": {"P1": [["Put [cup] to [table]", 12, 30, "make tea"]]},
}


def dump(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".p":
        path.write_bytes(pickle.dumps(content))
    else:
        path.write_text(json.dumps(content))


def fill(folder, release, **changes):
    """Writes the files of a release; `changes` replace contents by the file's stem."""
    files = {
        "metadata/all_acts.json": ACTS,
        "metadata/all_objs.json": OBJS,
        "metadata/all_hois.json": HOIS,
        **{f"splits/1tpv_{split}.json": videos for split, videos in SPLITS.items()},
    }
    if release == "first":
        files |= {
            "full/rec_tpv_frames.p": FRAMES,
            "full/rec_tpv_segments_indices.p": SEGMENTS,
        }
    else:
        files["action_intervals_w_tasks.json"] = INTERVALS
    for name, content in files.items():
        stem = name.rpartition("/")[2].partition(".")[0]
        dump(folder / name, changes.get(stem, content))


@pytest.fixture
def read(workspace, tmp_path):
    card = write_card(workspace, "lemma", CARD, ("tpv",))
    return lambda: lemma.read(card, tmp_path, tmp_path)


def refusal(read):
    with pytest.raises(SumlError) as caught:
        read()
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize(
    ("template", "narration"),
    [
        ("put${s0}@cup:{m1}@table", "put cup to the table"),
        ("get${s0}@cup", "get cup"),
        ("cut${s0}@meat:{s1}@knife", "cut meat with knife"),
        ("put${m0}@cup|plate:{m1}@table", "put cup and plate to the table"),
        ("fill${m0}@cup:{m1}@sink:{s2}@kettle", "fill cup to the sink with kettle"),
        ("pour${s0}@kettle:{m2}@cup", "pour kettle with cup"),
        ("watch-tv$", "watch-tv"),
        ("null$", ""),
    ],
)
def test_narrations_by_hand(template, narration):
    assert lemma.narrate(template) == narration


def test_a_clip_of_the_first_release_is_a_segment(read, tmp_path):
    fill(tmp_path, "first")
    told = read()
    shared = {"viewpoint": "tpv", "participant": ""}
    where = "rec_tpv_segments_indices.p row"
    assert told.rows.to_dicts() == [
        shared
        | {"native_id": "v1_0", "video_id": "v1", "split": "train", "_source": f"{where} 1"}
        | {"start_s": 0.0, "stop_s": 2.0, "narration": "get cup"}
        | {"verbs": [1], "nouns": [0], "actions": [1]},
        shared
        | {"native_id": "v1_3", "video_id": "v1", "split": "train", "_source": f"{where} 4"}
        | {"start_s": 2.5, "stop_s": 3.5, "narration": "put cup to the table and get cup"}
        | {"verbs": [1, 2], "nouns": [0, 1, 2], "actions": [1, 2]},
        shared
        | {"native_id": "v3_4", "video_id": "v3", "split": "val", "_source": f"{where} 5"}
        | {"start_s": 0.5, "stop_s": 0.75, "narration": "pour kettle with cup"}
        | {"verbs": [3], "nouns": [0, 2], "actions": [3]},
    ]
    assert {file.relative_to(tmp_path).as_posix() for file in told.files} == {
        "full/rec_tpv_frames.p",
        "full/rec_tpv_segments_indices.p",
        *(f"metadata/all_{name}.json" for name in ("acts", "objs", "hois")),
        *(f"splits/1tpv_{split}.json" for split in SPLITS),
    }


def test_a_clip_of_the_refined_release_is_an_interval(read, tmp_path):
    fill(tmp_path, "refined")
    shared = {"viewpoint": "tpv", "participant": "", "actions": []}
    where = "action_intervals_w_tasks.json"
    assert read().rows.to_dicts() == [
        shared
        | {"native_id": "v2_0", "video_id": "v2", "split": "train"}
        | {"start_s": 1.0, "stop_s": 2.5, "narration": "Get cup from table using right-hand"}
        | {"verbs": [1], "nouns": [0, 1, 3], "_source": f"{where} v2 interval 1"},
        shared
        | {"native_id": "v2_2", "video_id": "v2", "split": "train"}
        | {"start_s": 3.0, "stop_s": 3.5, "narration": "Pour water into cup"}
        | {"verbs": [3], "nouns": [0], "_source": f"{where} v2 interval 3"},
        shared
        | {"native_id": "v3_0", "video_id": "v3", "split": "val"}
        | {"start_s": 0.5, "stop_s": 1.25, "narration": "Put cup to table"}
        | {"verbs": [2], "nouns": [0, 1], "_source": f"{where} v3 interval 1"},
    ]


def test_the_refined_release_wins(read, tmp_path):
    fill(tmp_path, "first")
    fill(tmp_path, "refined")
    assert read().rows["native_id"].to_list() == ["v2_0", "v2_2", "v3_0"]


def test_one_split_is_enough(read, tmp_path):
    fill(tmp_path, "refined")
    for split in ("train", "test"):
        (tmp_path / f"splits/1tpv_{split}.json").unlink()
    assert read().rows["split"].to_list() == ["val"]


@pytest.mark.parametrize(
    ("release", "name"),
    [
        ("refined", "metadata/all_acts.json"),
        ("refined", "metadata/all_objs.json"),
        ("first", "metadata/all_hois.json"),
        ("first", "full/rec_tpv_frames.p"),
        ("first", "full/rec_tpv_segments_indices.p"),
    ],
)
def test_a_missing_file_is_named(read, tmp_path, release, name):
    fill(tmp_path, release)
    (tmp_path / name).unlink()
    assert refusal(read).startswith(f"{tmp_path / name}: annotation file is missing")


def test_without_any_split(read, tmp_path):
    fill(tmp_path, "refined")
    for split in SPLITS:
        (tmp_path / f"splits/1tpv_{split}.json").unlink()
    where = tmp_path / "splits/1tpv_train.json"
    assert refusal(read).startswith(f"{where}: annotation file is missing")


def test_a_pickle_that_runs_code_is_refused_unrun(read, tmp_path):
    class Hostile:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'marker'}",)

    fill(tmp_path, "first", rec_tpv_frames=[*FRAMES, Hostile()])
    text = refusal(read)
    assert text.startswith(f"{tmp_path}/full/rec_tpv_frames.p: refused to unpickle, got it asks ")
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    ("release", "changes", "where"),
    [
        ("refined", {"all_acts": {"get": 0}}, "metadata/all_acts.json"),
        ("refined", {"1tpv_train": [1]}, "splits/1tpv_train.json"),
        ("refined", {"action_intervals_w_tasks": []}, "action_intervals_w_tasks.json"),
        ("refined", {"action_intervals_w_tasks": {"v2": [1]}}, "action_intervals_w_tasks.json"),
        ("first", {"rec_tpv_frames": {"v1": 3}}, "full/rec_tpv_frames.p"),
        ("first", {"rec_tpv_frames": [3]}, "full/rec_tpv_frames.p"),
        ("first", {"rec_tpv_frames": [["v1", 0, "P1"]]}, "full/rec_tpv_frames.p"),
        ("first", {"rec_tpv_frames": [frame("v1", 0, [[1]], [1])]}, "full/rec_tpv_frames.p"),
        ("first", {"rec_tpv_frames": [frame("v1", 0, 7, 8)]}, "full/rec_tpv_frames.p"),
        (
            "first",
            {"rec_tpv_frames": [frame("v1", 0, [[1, [[0]]]], [99])]},
            "full/rec_tpv_frames.p",
        ),
        ("first", {"rec_tpv_segments_indices": [["v1", "x", 3]]}, "full/rec_tpv_frames.p"),
        ("first", {"rec_tpv_segments_indices": 3}, "full/rec_tpv_segments_indices.p"),
    ],
)
def test_files_of_another_structure(read, tmp_path, release, changes, where):
    fill(tmp_path, release, **changes)
    assert refusal(read).startswith(f"{tmp_path / where}: malformed annotation, got ")


@pytest.mark.parametrize("row", [["Get [cup]"], ["Get [cup]", "x", 3], 7, {"text": "Get [cup]"}])
def test_a_malformed_interval_is_named(read, tmp_path, row):
    good = ["Get [cup]", 0, 24, "t"]
    fill(tmp_path, "refined", action_intervals_w_tasks={"v2": {"P1": [good, row]}})
    where = "action_intervals_w_tasks.json v2 interval 2"
    assert refusal(read).startswith(f"{where}: malformed annotation, got ")


JSON = st.recursive(
    st.none() | st.integers(0, 3) | st.sampled_from(["v2", "P1", "Get [cup]", "x"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["v2", "P1"]), inner, max_size=2)
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("lemma")


@PROPERTY
@given(
    st.sampled_from(
        ["all_acts", "1tpv_train", "action_intervals_w_tasks", "rec_tpv_frames", "all_hois"]
    ),
    JSON,
)
def test_any_other_structure_raises_nothing_else(folder, stem, content):
    card = write_card(Workspace(folder), "lemma", CARD, ("tpv",))
    release = "refined" if stem == "action_intervals_w_tasks" else "first"
    (folder / "action_intervals_w_tasks.json").unlink(missing_ok=True)
    fill(folder, release, **{stem: content})
    try:
        lemma.read(card, folder, folder)
    except SumlError as error:
        assert len(str(error).splitlines()) == 1
