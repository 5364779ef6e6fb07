"""Charades-Ego, both releases, from rows written by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumlctl.datasets import charades_ego
from sumlctl.errors import SumlError
from sumlctl.workspace import Workspace
from tests.annotation_files import write_card, write_csv, write_lines

PROPERTY = settings(max_examples=40, deadline=None, derandomize=True)
CARD = """
[reader]
name = "charades_ego"
classes = "classes.txt"
mapping = "mapping.txt"
[videos]
paths = ["{video_id}.mp4"]
"""
CLASSES = ("c000 Holding some clothes", "c001 Putting clothes somewhere", "c002 Opening a door")
MAPPING = ("c000 o009 v008", "c001 o009 v016", "c002 o012 v012")
LABELS = {"c000": ([8], [9], [0]), "c001": ([16], [9], [1]), "c002": ([12], [12], [2])}


def row(video, actions, subject="AB12", **more):
    return {"id": video, "subject": subject, "actions": actions, "length": "20.5"} | more


def lists(folder, classes=CLASSES, mapping=MAPPING):
    write_lines(folder / "classes.txt", *classes)
    write_lines(folder / "mapping.txt", *mapping)


@pytest.fixture
def read(workspace, tmp_path):
    """Reads files by name, each a list of rows."""
    card = write_card(workspace, "charades", CARD, ("fpv", "tpv"))

    def of(**files):
        if not (tmp_path / "classes.txt").is_file():
            lists(tmp_path)
        for name, rows in files.items():
            write_csv(tmp_path / f"CharadesEgo_{name}.csv", rows)
        return charades_ego.read(card, tmp_path, tmp_path)

    return of


def refusal(read, **files):
    with pytest.raises(SumlError) as caught:
        read(**files)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def times(told):
    return told.rows.select("native_id", "viewpoint", "split", "start_s", "stop_s").rows()


def test_an_action_instance_is_a_clip(read, tmp_path):
    told = read(v0_test=[row("46GP8", "c002 11.90 21.20;c000 0.00 12.60")])
    assert [file.name for file in told.files] == [
        "CharadesEgo_v0_test.csv",
        "classes.txt",
        "mapping.txt",
    ]
    shared = {
        "viewpoint": "tpv",
        "split": "test",
        "video_id": "46GP8",
        "participant": "AB12",
        "_source": "CharadesEgo_v0_test.csv row 2",
    }
    assert told.rows.to_dicts() == [
        shared
        | {"native_id": "46GP8_0", "start_s": 11.9, "stop_s": 21.2}
        | {"narration": "Opening a door", "verbs": [12], "nouns": [12], "actions": [2]},
        shared
        | {"native_id": "46GP8_1", "start_s": 0.0, "stop_s": 12.6}
        | {"narration": "Holding some clothes", "verbs": [8], "nouns": [9], "actions": [0]},
    ]


def test_training_rows_of_v0_describe_third_person_videos_and_their_twins(read):
    told = read(
        v0_train=[row("AAAAA", "c001 1.0 2.0;c000 3 4.5"), row("BBBBB", "c002 0.00 7.00")],
        v0_test=[row("CCCCC", "c002 1 2")],
        v0_egocentric_test=[row("CCCCCEGO", "c002 1.5 2.5", subject="")],
    )
    assert told.release == "v0"
    assert times(told) == [
        ("AAAAA_0", "tpv", "train", 1.0, 2.0),
        ("AAAAA_1", "tpv", "train", 3.0, 4.5),
        ("BBBBB_0", "tpv", "train", 0.0, 7.0),
        ("AAAAAEGO_0", "fpv", "train", 1.0, 2.0),
        ("AAAAAEGO_1", "fpv", "train", 3.0, 4.5),
        ("BBBBBEGO_0", "fpv", "train", 0.0, 7.0),
        ("CCCCC_0", "tpv", "test", 1.0, 2.0),
        ("CCCCCEGO_0", "fpv", "test", 1.5, 2.5),
    ]
    assert told.rows["participant"].to_list()[-1] == ""
    assert told.notes == (
        "3 first-person training clips carry the times of their third-person twins: "
        "release v0 has none of their own",
    )


def test_instances_that_end_before_they_start_are_left_out_and_counted(read):
    told = read(v0_train=[row("AAAAA", "c001 18.00 10.00;c000 3 4;c002 5 5")])
    assert times(told) == [
        ("AAAAA_0", "tpv", "train", 3.0, 4.0),
        ("AAAAAEGO_0", "fpv", "train", 3.0, 4.0),
    ]
    assert told.notes[0] == "2 action instances that end before they start are left out"
    assert told.notes[1].startswith("1 first-person training clips")


def test_separate_files_of_v1(read):
    told = read(
        v1_train_only1st=[row("AAAAAEGO", "c001 1 2", egocentric="Yes", charades_video="AAAAA")],
        v1_train_only3rd=[row("AAAAA", "c001 3 4", egocentric="No", charades_video="")],
        v1_test_only1st=[row("BBBBBEGO", "c002 5 6", egocentric="Yes", charades_video="BBBBB")],
        v1_test_only3rd=[row("BBBBB", "c002 7 8", egocentric="No", charades_video="")],
    )
    assert (told.release, told.notes) == ("v1", ())
    assert times(told) == [
        ("AAAAAEGO_0", "fpv", "train", 1.0, 2.0),
        ("AAAAA_0", "tpv", "train", 3.0, 4.0),
        ("BBBBBEGO_0", "fpv", "test", 5.0, 6.0),
        ("BBBBB_0", "tpv", "test", 7.0, 8.0),
    ]


def test_mixed_files_of_v1_tell_by_a_column(read):
    told = read(
        v1_train=[
            row("AAAAAEGO", "c001 1 2", egocentric="Yes"),
            row("AAAAA", "c001 3 4", egocentric="No"),
        ],
        v1_test=[row("BBBBBEGO", "c002 5 6", egocentric="yes")],
    )
    assert told.release == "v1"
    assert times(told) == [
        ("AAAAAEGO_0", "fpv", "train", 1.0, 2.0),
        ("AAAAA_0", "tpv", "train", 3.0, 4.0),
        ("BBBBBEGO_0", "fpv", "test", 5.0, 6.0),
    ]


def test_a_mixed_file_without_the_column(read, tmp_path):
    text = refusal(read, v1_train=[row("AAAAA", "c001 1 2", egocentrik="Yes")])
    name = "CharadesEgo_v1_train.csv"
    assert text.startswith(
        f"{tmp_path}/{name}: column egocentric is missing, got nearest egocentrik"
    )


def test_v1_wins_and_its_separate_files_win_over_the_mixed_ones(read):
    told = read(
        v0_train=[row("OLD", "c000 1 2")],
        v1_train=[row("MIXED", "c000 1 2", egocentric="No")],
        v1_train_only3rd=[row("NEW", "c000 1 2")],
    )
    assert (told.release, told.rows["video_id"].to_list()) == ("v1", ["NEW"])


def test_videos_without_actions_give_no_clips(read):
    told = read(v0_test=[row("AAAAA", ""), row("BBBBB", "c000 1 2"), row("CCCCC", " ")])
    assert told.rows["video_id"].to_list() == ["BBBBB"]


@pytest.mark.parametrize(
    ("instance", "words"),
    [
        ("c000 one 2", "bad timestamp or action, got 'c000 one 2'"),
        ("c000 1", "bad timestamp or action, got 'c000 1'"),
        ("c00 1 2", "bad timestamp or action, got 'c00 1 2'"),
        ("c000 -1 2", "bad timestamp or action, got 'c000 -1 2'"),
        ("c777 1 2", "unknown action, got 'c777'; expected a class of classes.txt"),
    ],
)
def test_a_bad_instance_is_named(read, instance, words):
    text = refusal(read, v0_test=[row("A", "c000 1 2"), row("B", f"c001 1 2;{instance}")])
    assert text.startswith(f"CharadesEgo_v0_test.csv row 3: {words}")


@pytest.mark.parametrize("column", ["id", "subject", "actions"])
def test_a_misspelt_column_is_named_with_the_nearest(read, tmp_path, column):
    wrong = {f"{k}x" if k == column else k: v for k, v in row("A", "c000 1 2").items()}
    text = refusal(read, v0_test=[wrong])
    name = f"{tmp_path}/CharadesEgo_v0_test.csv"
    assert text.startswith(f"{name}: column {column} is missing, got nearest {column}x;")


def test_an_empty_folder(read, tmp_path):
    lists(tmp_path)
    text = refusal(read)
    assert text.startswith(f"{tmp_path}: no annotation file of Charades-Ego, got none; expected ")
    assert "CharadesEgo_v0_train.csv" in text


def test_class_lists_are_needed(workspace, tmp_path):
    card = write_card(workspace, "charades", CARD, ("fpv", "tpv"))
    with pytest.raises(SumlError, match=r"classes\.txt: annotation file is missing"):
        charades_ego.read(card, tmp_path, tmp_path)
    write_lines(tmp_path / "classes.txt", *CLASSES)
    with pytest.raises(SumlError, match=r"mapping\.txt: annotation file is missing"):
        charades_ego.read(card, tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("classes", "mapping", "where"),
    [
        ((*CLASSES, "c003"), MAPPING, "classes.txt line 4"),
        (CLASSES, ("c000 o009", *MAPPING), "mapping.txt line 1"),
    ],
)
def test_class_lists_with_too_few_words(read, tmp_path, classes, mapping, where):
    lists(tmp_path, classes, mapping)
    text = refusal(read, v0_test=[row("A", "c000 1 2")])
    assert text.startswith(f"{where}: malformed annotation, got ")


def test_blank_lines_and_windows_line_ends_in_class_lists(read, tmp_path):
    (tmp_path / "classes.txt").write_bytes("\r\n".join([*CLASSES, "", ""]).encode())
    (tmp_path / "mapping.txt").write_bytes("\r\n".join([*MAPPING, "", ""]).encode())
    rows = read(v0_test=[row("A", "c000 1 2;c001 1 2;c002 1 2")]).rows
    assert rows.select("verbs", "nouns", "actions").rows() == list(LABELS.values())
    assert rows["narration"].to_list() == [line[5:] for line in CLASSES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("charades")


@PROPERTY
@given(
    st.sampled_from(["CharadesEgo_v0_train.csv", "classes.txt", "mapping.txt"]),
    st.integers(0, 60),
    st.binary(max_size=30) | st.sampled_from([b"\n", b";", b" 9 9 9", b"\nc000 x y\n"]),
)
def test_random_bytes_raise_nothing_else(folder, name, place, content):
    lists(folder)
    card = write_card(Workspace(folder), "charades", CARD, ("fpv", "tpv"))
    path = write_csv(folder / "CharadesEgo_v0_train.csv", [row("A", "c000 1 2;c002 1 2")])
    path = folder / name
    whole = path.read_bytes()
    for damaged in (content, whole[:place] + content + whole[place:]):
        path.write_bytes(damaged)
        try:
            charades_ego.read(card, folder, folder)
        except SumlError as error:
            assert len(str(error).splitlines()) == 1
