"""Any table through a card's column mapping."""

import json

import polars as pl
import pytest

from sumlctl.datasets import tabular
from sumlctl.errors import SumlError
from tests.annotation_files import write_card, write_csv, write_jsonl

CARD = """
[reader]
name = "tabular"
files = { train = "FILE" }
[reader.columns]
video_id = "video"
start_s = "from"
stop_s = "to"
narration = "said"
MORE
[videos]
paths = ["{video_id}.mp4"]
[vocabulary]
verbs = { names = ["take", "put"] }
nouns = { size = 4 }
"""
ROW = {"video": "v1", "from": "1.5", "to": "00:00:02.5", "said": "Take cup"}
TAKEN = {
    "native_id": "train-2",
    "viewpoint": "fpv",
    "split": "train",
    "video_id": "v1",
    "participant": "",
    "start_s": 1.5,
    "stop_s": 2.5,
    "narration": "Take cup",
    "verbs": [],
    "nouns": [],
    "actions": [],
    "_source": "x.csv row 2",
}


@pytest.fixture
def read(workspace, tmp_path):
    """Reads `x.csv` (or another file) with further mapped columns."""

    def of(more="", file="x.csv", viewpoints=("fpv",), change=("", "")):
        body = CARD.replace("FILE", file).replace("MORE", more).replace(*change)
        return tabular.read(write_card(workspace, "t", body, viewpoints), tmp_path, tmp_path)

    return of


def refusal(read, *arguments, **options):
    with pytest.raises(SumlError) as caught:
        read(*arguments, **options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_the_least_that_a_table_needs(read, tmp_path):
    write_csv(tmp_path / "x.csv", [ROW])
    told = read()
    assert told.rows.to_dicts() == [TAKEN]
    assert told.files == (tmp_path / "x.csv",)


def test_everything_that_a_table_can_tell(read, tmp_path):
    told = {"id": "c7", "who": "Ann", "side": "tpv", "part": "val"}
    labels = {"verb": "put", "noun": "[3, 0]", "class": "5;6"}
    write_csv(tmp_path / "x.csv", [ROW | told | labels])
    mapped = (
        'clip_id = "id"\nparticipant = "who"\nviewpoint = "side"\nsplit = "part"\n'
        'verbs = "verb"\nnouns = "noun"\nactions = "class"'
    )
    assert read(mapped, viewpoints=("fpv", "tpv")).rows.to_dicts() == [
        TAKEN
        | {"native_id": "c7", "participant": "Ann", "viewpoint": "tpv", "split": "val"}
        | {"verbs": [1], "nouns": [3, 0], "actions": [5, 6]}
    ]


def test_jsonl_with_lists_and_numbers(read, tmp_path):
    rows = [
        {"video": "b", "from": 0, "to": 1.25, "said": "用刀切肉", "noun": [2, 1]},
        {"video": "a", "from": 0.1, "to": 7, "said": None, "noun": None},
    ]
    write_jsonl(tmp_path / "x.jsonl", rows)
    found = read('nouns = "noun"', file="x.jsonl").rows
    assert found.select("video_id", "start_s", "stop_s", "narration", "nouns").rows() == [
        ("b", 0.0, 1.25, "用刀切肉", [2, 1]),
        ("a", 0.1, 7.0, "", []),
    ]
    assert found["_source"].to_list() == ["x.jsonl row 1", "x.jsonl row 2"]
    assert found["native_id"].to_list() == ["train-1", "train-2"]


def test_parquet_with_typed_columns(read, tmp_path):
    frame = pl.DataFrame(
        {
            "video": [17, 17, 18],
            "from": [1 / 3, 1.1, 2.2],
            "to": [1.0, 2.0, 3.0],
            "said": ["a", "b", "c"],
            "verb": pl.Series([1, None, 0], dtype=pl.Int64),
            "noun": pl.Series([[3], [], None], dtype=pl.List(pl.Int64)),
        }
    )
    frame.write_parquet(tmp_path / "x.parquet")
    found = read('verbs = "verb"\nnouns = "noun"', file="x.parquet").rows
    assert found["start_s"].to_list() == [1 / 3, 1.1, 2.2]
    assert found["video_id"].to_list() == ["17", "17", "18"]
    assert found["verbs"].to_list() == [[1], [], [0]]
    assert found["nouns"].to_list() == [[3], [], []]


def test_a_column_may_have_any_name(read, tmp_path):
    write_csv(tmp_path / "x.csv", [ROW | {"source": "s1", "split": "s2", "id": "s3"}])
    found = read('participant = "source"\nsplit = "split"\nclip_id = "id"').rows
    assert found.select("participant", "split", "native_id", "_source").rows() == [
        ("s1", "s2", "s3", "x.csv row 2")
    ]


def test_class_names_become_ids(read, tmp_path):
    write_csv(tmp_path / "x.csv", [ROW | {"verb": v} for v in ("put", " take", "", "put")])
    assert read('verbs = "verb"').rows["verbs"].to_list() == [[1], [0], [], [1]]


def test_several_files_of_several_kinds_keep_their_order(read, tmp_path):
    write_csv(tmp_path / "x.csv", [ROW | {"verb": "put"}])
    write_jsonl(tmp_path / "y.jsonl", [ROW | {"verb": [0, 1]}, ROW | {"verb": []}])
    files = '{ val = "y.jsonl", train = "x.csv" }'
    found = read('verbs = "verb"', change=('{ train = "x.csv" }', files)).rows
    assert found.select("native_id", "split", "verbs").rows() == [
        ("val-1", "val", [0, 1]),
        ("val-2", "val", []),
        ("train-2", "train", [1]),
    ]


def test_a_card_without_a_needed_column(read, workspace):
    text = refusal(read, change=('stop_s = "to"\n', ""))
    assert text.startswith(f"{workspace.manifests / 't.toml'}: reader.columns.stop_s is missing")
    assert 'expected stop_s = "<column of the file>"' in text


def test_a_card_with_a_column_that_is_not_ours(read):
    text = refusal(read, 'participants = "who"')
    assert "no such column of ours, got 'participants'" in text
    assert "Did you mean participant" in text


def test_two_viewpoints_need_a_column_that_tells_them(read):
    text = refusal(read, viewpoints=("fpv", "tpv"))
    assert "viewpoint is not told, got viewpoints ['fpv', 'tpv']; expected one viewpoint" in text


def test_a_misspelt_column_is_named_with_the_nearest(read, tmp_path):
    write_csv(tmp_path / "x.csv", [{"vidoe" if k == "video" else k: v for k, v in ROW.items()}])
    text = refusal(read)
    assert text.startswith(f"{tmp_path}/x.csv: column video is missing, got nearest vidoe;")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"from": "soon"}, "bad timestamp in from, got 'soon'"),
        ({"to": ""}, "bad timestamp in to, got "),
        ({"verb": "putt"}, "unknown class name in verb, got 'putt'"),
    ],
)
def test_a_bad_row_is_named(read, tmp_path, changes, words):
    good = ROW | {"verb": "put"}
    write_csv(tmp_path / "x.csv", [good, good | changes, good])
    assert refusal(read, 'verbs = "verb"').startswith(f"x.csv row 3: {words}")


def test_an_id_beyond_32_bits_is_named(read, tmp_path):
    write_csv(tmp_path / "x.csv", [ROW | {"verb": "1"}, ROW | {"verb": "99999999999"}])
    text = refusal(read, 'verbs = "verb"')
    assert text.startswith("x.csv row 3: verb is no class id, got '99999999999'")


@pytest.mark.parametrize("value", [["v1"], {"id": "v1"}])
@pytest.mark.parametrize("column", ["video", "from", "said", "verb"])
def test_a_column_of_nested_values_is_refused(read, tmp_path, column, value):
    write_jsonl(tmp_path / "x.jsonl", [ROW | {"verb": 1} | {column: value}])
    text = refusal(read, 'verbs = "verb"', file="x.jsonl")
    assert text.startswith(f"x.jsonl column {column}: malformed annotation, got type ")


def test_bytes_are_no_text(read, tmp_path):
    frame = pl.DataFrame([ROW | {"said": b"\xff"}])
    frame.write_parquet(tmp_path / "x.parquet")
    text = refusal(read, file="x.parquet")
    assert text.startswith("x.parquet column said: malformed annotation, got type Binary;")


def test_strange_options_and_absent_files(read):
    assert "annotation file is missing" in refusal(read)
    assert "no such option of reader tabular, got 'file'" in refusal(read, change=("files", "file"))


def test_mapping_that_is_no_table(workspace, tmp_path):
    body = json.dumps("x").join(
        ["[reader]\nname = 'tabular'\nfiles = {a = 'a.csv'}\ncolumns = ", "\n"]
    )
    card = write_card(workspace, "t", body + '[videos]\npaths = ["x"]')
    with pytest.raises(SumlError, match=r"reader\.columns is of another type, got 'x'"):
        tabular.read(card, tmp_path, tmp_path)
