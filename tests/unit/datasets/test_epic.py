"""EPIC-KITCHENS' two releases, from rows written by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumlctl.datasets import epic
from sumlctl.errors import SumlError
from sumlctl.workspace import Workspace
from tests.annotation_files import epic_row, write_card, write_csv

PROPERTY = settings(max_examples=40, deadline=None, derandomize=True)
EK55 = """
[reader]
name = "epic"
files = { train = "train.csv" }
validation_videos = ["P01_18", "P02_09"]
[videos]
paths = ["{video_id}.MP4"]
"""
EK100 = """
[reader]
name = "epic"
files = { train = "train.csv", val = "validation.csv" }
[videos]
paths = ["{video_id}.MP4"]
"""

UNLABELLED = 'unlabelled = { test = "test.csv" }\n'


@pytest.fixture
def read(workspace, tmp_path):
    """Reads rows as the training file of EPIC-KITCHENS-55."""
    card = write_card(workspace, "kitchens", EK55)

    def of(*rows):
        write_csv(tmp_path / "train.csv", rows)
        return epic.read(card, tmp_path, tmp_path)

    return of


def refusal(read, *rows):
    with pytest.raises(SumlError) as caught:
        read(*rows)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_the_first_published_row(read, tmp_path):
    told = read(epic_row())
    assert told.files == (tmp_path / "train.csv",)
    assert (told.release, told.notes) == ("", ())
    assert told.rows.to_dicts() == [
        {
            "native_id": "0",
            "viewpoint": "fpv",
            "split": "train",
            "video_id": "P01_01",
            "participant": "P01",
            "start_s": 0.14,
            "stop_s": 3.37,
            "narration": "open door",
            "verbs": [2],
            "nouns": [8],
            "actions": [],
            "_source": "train.csv row 2",
        }
    ]


def test_times_come_from_timestamps_not_from_frames(read):
    row = epic_row(start_timestamp="01:02:03.25", stop_timestamp="01:02:04.5", start_frame=1)
    assert read(row).rows.select("start_s", "stop_s").rows() == [(3723.25, 3724.5)]


def test_the_main_noun_comes_first_and_each_noun_once(read):
    rows = [
        epic_row(0, noun_class=29, all_noun_classes="[29, 78, 78]"),
        epic_row(1, noun_class=78, all_noun_classes="[29, 78]"),
        epic_row(2, noun_class=5, all_noun_classes=""),
    ]
    assert read(*rows).rows["nouns"].to_list() == [[29, 78], [78, 29], [5]]


def test_whole_videos_are_held_out_and_the_order_stays(read):
    videos = ["P02_09", "P01_01", "P01_18", "P01_01", "P01_1"]
    rows = read(*(epic_row(9 - i, video_id=video) for i, video in enumerate(videos))).rows
    assert rows["split"].to_list() == ["val", "train", "val", "train", "train"]
    assert rows["native_id"].to_list() == ["9", "8", "7", "6", "5"]


def test_what_is_not_told_is_empty(read):
    rows = read(epic_row(narration="", participant_id=""), epic_row(1, narration=None)).rows
    assert rows["narration"].to_list() == ["", ""]
    assert rows["participant"].to_list() == ["", "P01"]


def test_segments_without_labels_where_they_are_there(workspace, tmp_path):
    card = write_card(workspace, "kitchens", EK100.replace("[videos]", UNLABELLED + "[videos]"))
    write_csv(tmp_path / "train.csv", [epic_row()])
    write_csv(tmp_path / "validation.csv", [epic_row()])
    assert epic.read(card, tmp_path, tmp_path).rows["split"].to_list() == ["train", "val"]
    columns = "uid", "narration_id", "participant_id", "video_id", "start_timestamp"
    row = "1924", "P01_101_0", "P01", "P01_101", "00:00:02.86", "00:00:03.87"
    test = dict(zip((*columns, "stop_timestamp"), row, strict=True))
    write_csv(tmp_path / "test.csv", [test])
    told = epic.read(card, tmp_path, tmp_path)
    assert told.files[-1] == tmp_path / "test.csv"
    found = told.rows.row(2, named=True)
    assert (found["native_id"], found["split"]) == ("P01_101_0", "test")
    assert (found["start_s"], found["stop_s"], found["narration"]) == (2.86, 3.87, "")
    assert found["verbs"] == found["nouns"] == []


def test_two_files_of_epic_kitchens_100(workspace, tmp_path):
    def row(narration_id, **changes):
        old = epic_row(**changes)
        return {"narration_id": narration_id} | {k: v for k, v in old.items() if k != "uid"}

    write_csv(tmp_path / "train.csv", [row("P01_01_0"), row("P01_01_1", verb_class=3)])
    write_csv(tmp_path / "validation.csv", [row("P01_11_0", video_id="P01_11")])
    told = epic.read(write_card(workspace, "ek", EK100), tmp_path, tmp_path)
    assert [file.name for file in told.files] == ["train.csv", "validation.csv"]
    found = told.rows.select("native_id", "split", "video_id", "verbs", "_source").rows()
    assert found == [
        ("P01_01_0", "train", "P01_01", [2], "train.csv row 2"),
        ("P01_01_1", "train", "P01_01", [3], "train.csv row 3"),
        ("P01_11_0", "val", "P01_11", [2], "validation.csv row 2"),
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"verb_class": "open"}, "verb_class is no class id, got 'open'"),
        ({"verb_class": ""}, "no verb_class, got []; expected a class id"),
        ({"noun_class": "8.5"}, "noun_class is no class id, got '8.5'"),
        ({"noun_class": ""}, "no noun_class, got []; expected a class id"),
        ({"all_noun_classes": "['door']"}, "all_noun_classes is no class id"),
    ],
)
def test_a_bad_row_is_named(read, changes, words):
    text = refusal(read, epic_row(0), epic_row(1, **changes), epic_row(2))
    assert text.startswith(f"train.csv row 3: {words}")


def test_rows_whose_times_are_of_no_use_are_left_out(read):
    rows = [epic_row(0), epic_row(1, start_timestamp="00:00:0x"), epic_row(2, stop_timestamp="")]
    found = read(*rows)
    assert found.rows["native_id"].to_list() == ["0"]
    assert found.left_out.named == [
        "train.csv row 3: bad timestamp in start_timestamp, got '00:00:0x'",
        "train.csv row 4: bad timestamp in stop_timestamp, got None",
    ]


@pytest.mark.parametrize(
    "column",
    [
        *("participant_id", "video_id", "narration", "start_timestamp", "stop_timestamp"),
        *("verb_class", "noun_class", "all_noun_classes"),
    ],
)
def test_a_misspelt_column_is_named_with_the_nearest(read, tmp_path, column):
    row = {(f"{k}s" if k == column else k): v for k, v in epic_row().items()}
    text = refusal(read, row)
    assert text.startswith(f"{tmp_path}/train.csv: column {column} is missing, got nearest ")
    assert text.split("nearest ")[1].startswith(f"{column}s;")


def test_a_file_without_ids_names_the_column(read, tmp_path):
    row = {"uuid" if k == "uid" else k: v for k, v in epic_row().items()}
    text = refusal(read, row)
    assert text.startswith(f"{tmp_path}/train.csv: column uid is missing, got nearest uuid;")


def test_an_absent_file_and_a_strange_option(workspace, tmp_path):
    card = write_card(workspace, "kitchens", EK55)
    with pytest.raises(SumlError, match=r"train\.csv: annotation file is missing"):
        epic.read(card, tmp_path, tmp_path)
    strange = write_card(workspace, "strange", EK55.replace("validation_videos", "held_out"))
    with pytest.raises(SumlError, match="no such option of reader epic, got 'held_out'"):
        epic.read(strange, tmp_path, tmp_path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("epic")


@pytest.fixture(scope="module")
def card(folder):
    return write_card(Workspace(folder), "kitchens", EK55)


LINES = [",".join(map(str, line)) for line in (epic_row(), epic_row().values())]


@PROPERTY
@given(
    st.binary(max_size=150)
    | st.builds(
        lambda place, length, new: (
            f"{LINES[0]}\n{LINES[1][:place]}".encode()
            + new
            + f"{LINES[1][place + length :]}\n".encode()
        ),
        st.integers(0, len(LINES[1])),
        st.integers(0, 8),
        st.binary(max_size=6) | st.sampled_from([b"", b",", b'"', b"-9", b"nan", b"9" * 30]),
    )
)
def test_random_bytes_and_damaged_rows_raise_nothing_else(card, folder, content):
    (folder / "train.csv").write_bytes(content)
    try:
        epic.read(card, folder, folder)
    except SumlError as error:
        assert len(str(error).splitlines()) == 1
