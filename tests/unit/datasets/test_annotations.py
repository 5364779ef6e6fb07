"""What every annotation file goes through: reading, times, class ids, checks."""

import math
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumlctl.datasets import annotations as an
from sumlctl.datasets import options
from sumlctl.errors import SumlError
from tests.annotation_files import write_card, write_csv, write_jsonl

PROPERTY = settings(max_examples=60, deadline=None, derandomize=True)
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"


def refusal(call, *arguments):
    with pytest.raises(SumlError, match=r"\A[^\n]+\Z") as caught:
        call(*arguments)
    return str(caught.value)


def cells(values):
    sources = [f"x.csv row {i}" for i in range(2, len(values) + 2)]
    return pl.DataFrame({"t": values, "_source": sources})


def clips(**changes):
    """Two good clips, but for `changes`."""
    columns = {
        "native_id": ["a", "b"],
        "viewpoint": ["fpv", "fpv"],
        "split": ["train", "train"],
        "video_id": ["v", "v"],
        "participant": ["", ""],
        "start_s": [0.0, 1.0],
        "stop_s": [1.0, 2.0],
        "narration": ["", ""],
        "verbs": [[0], [1]],
        "nouns": [[], [2, 0]],
        "actions": [[], []],
        "_source": ["x.csv row 2", "x.csv row 3"],
    }
    return pl.DataFrame(columns | changes, schema=an.COLUMNS)


def test_csv_cells_stay_text_and_rows_are_counted_from_the_header(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text('\ufeffid,time,said\n007,00:01,"cut, peel\nand ""slice"""\n8,,\n')
    found = an.read_table(path)
    assert found.columns == ["id", "time", "said", "_source"]
    assert found.rows() == [
        ("007", "00:01", 'cut, peel\nand "slice"', "x.csv row 2"),
        ("8", None, None, "x.csv row 3 (line 4)"),
    ]


def test_jsonl_and_parquet_keep_types_and_count_records_from_one(tmp_path):
    rows = [{"id": "a", "t": 0.1, "verbs": [1, 2]}, {"id": "b", "t": 1.0, "verbs": []}]
    write_jsonl(tmp_path / "x.jsonl", rows)
    pl.DataFrame(rows).write_parquet(tmp_path / "x.parquet")
    for name in ("x.jsonl", "x.parquet"):
        found = an.read_table(tmp_path / name)
        assert found.drop("_source").to_dicts() == rows
        assert found["_source"].to_list() == [f"{name} row 1", f"{name} row 2"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.csv", b"", "got an empty file"),
        ("x.parquet", b"", "got an empty file"),
        ("x.jsonl", b"", "got an empty file"),
        ("x.csv", b"id,time\n", "got no rows"),
        ("x.csv", PNG, "got a header '\ufffdPNG'"),
        ("x.csv", "id,time\n1,2\n".encode("utf-16-le"), "got a header"),
        ("x.csv", b"id,said\n1,caf\xe9\n", "malformed annotation"),
        ("x.parquet", PNG, "malformed annotation"),
        ("x.jsonl", PNG, "malformed annotation"),
        ("x.jsonl", b'{"id": 1}\n{"id": \n', "malformed annotation"),
        ("x.xlsx", b"PK", "got a .xlsx file"),
        ("x", b"id\n1\n", "got a nameless file"),
    ],
)
def test_files_that_are_no_tables(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    text = refusal(an.read_table, path)
    assert text.startswith(f"{path}: ")
    assert words in text
    assert "expected a CSV, Parquet or JSONL table with rows" in text


def test_a_truncated_parquet_file(tmp_path):
    path = tmp_path / "x.parquet"
    pl.DataFrame({"id": list(range(100))}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    assert refusal(an.read_table, path).startswith(f"{path}: malformed annotation, got ")


@PROPERTY
@given(st.binary(max_size=120), st.sampled_from([".csv", ".parquet", ".jsonl", ".json", ".txt"]))
def test_random_bytes_raise_nothing_else(tmp_path_factory, content, suffix):
    path = tmp_path_factory.getbasetemp() / f"random{suffix}"
    path.write_bytes(content)
    for read in (an.read_table, an.read_text, an.read_json):
        try:
            read(path)
        except SumlError as error:
            assert len(str(error).splitlines()) == 1


@PROPERTY
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=5))
def test_damaged_parquet_raises_nothing_else(tmp_path_factory, damage):
    path = tmp_path_factory.getbasetemp() / "damaged.parquet"
    pl.DataFrame({"id": ["a", "b"], "t": [0.5, 1.5], "l": [[1], [2, 3]]}).write_parquet(path)
    content = bytearray(path.read_bytes())
    for place, value in damage:
        content[place % len(content)] = value
    path.write_bytes(content)
    try:
        an.read_table(path)
    except SumlError as error:
        assert len(str(error).splitlines()) == 1


@pytest.mark.parametrize("content", [b'["a"', b"\xff", b"", b"[" * 100_000])
def test_json_that_is_none(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    assert refusal(an.read_json, path).startswith(f"{path}: malformed annotation, got ")


def test_a_missing_file_tells_where_to_get_it(workspace, tmp_path):
    card = write_card(workspace, "k", '[reader]\nname = "epic"\n[videos]\npaths = ["a"]')
    assert refusal(an.annotation_file, tmp_path, "train.csv", card) == (
        f"{tmp_path}/train.csv: annotation file is missing, got no file; "
        "expected a file of Test kitchen. "
        "Get it from https://example.org or point --annotations at its folder."
    )


def test_a_missing_column_is_named_with_the_nearest(tmp_path):
    path = write_csv(tmp_path / "x.csv", [{"uid": 1, "start_tiemstamp": 2}])
    frame = an.read_table(path)
    an.require_columns(frame, ["uid"], path)
    assert refusal(an.require_columns, frame, ["uid", "start_timestamp"], path) == (
        f"{path}: column start_timestamp is missing, got nearest start_tiemstamp; "
        "expected start_timestamp. Correct the file's header or the card."
    )
    assert "got columns uid, start_tiemstamp" in refusal(an.require_columns, frame, ["zz"], path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("00:00:00.14", 0.14),
        ("00:00:03.37", 3.37),
        ("00:08:09.12", 489.12),
        ("01:02:03", 3723.0),
        ("0:5:7.5", 307.5),
        ("100:00:00.00", 360000.0),
        (" 12.5 ", 12.5),
        ("7", 7.0),
        ("1e-3", 0.001),
        ("1:30", 90.0),
        ("75:10.5", 4510.5),
    ],
)
def test_times_by_hand(text, value):
    assert an.seconds(cells([text]), "t")["t"].to_list() == [value]


SIXTY = st.integers(0, 59)
STAMP = st.tuples(st.integers(0, 120), SIXTY, SIXTY, st.text("0123456789", max_size=6))


@PROPERTY
@given(st.lists(STAMP, min_size=1, max_size=20))
def test_times_are_exact_to_the_last_bit_but_one(times):
    texts = [f"{h:02}:{m:02}:{s:02}" + (f".{f}" if f else "") for h, m, s, f in times]
    found = an.seconds(cells(texts), "t")["t"].to_list()
    for value, (h, m, s, f) in zip(found, times, strict=True):
        exact = Fraction(h * 3600 + m * 60 + s) + Fraction(int(f or 0), 10 ** len(f))
        assert abs(Fraction(value) - exact) <= Fraction(math.ulp(float(exact)))


@PROPERTY
@given(st.lists(st.floats(0, 1e9), min_size=1))
def test_numbers_are_taken_as_they_are(values):
    assert an.seconds(cells(values), "t")["t"].to_list() == values


@pytest.mark.parametrize(
    "text",
    [
        "00:61:00",
        "00:00:60.5",
        "1:60",
        "1:2:3:4",
        "00;00;14",
        "00:00:01,5",
        "12 s",
        "",
        "nan",
        "inf",
        "-1:0:0",
        None,
    ],
)
def test_bad_times_are_named_with_file_and_row(text):
    said = refusal(an.seconds, cells(["00:00:01.0", text, "00:00:02.0"]), "t")
    assert said == (
        f"x.csv row 3: bad timestamp in t, got {text!r}; expected HH:MM:SS.ff or seconds. "
        "Correct the row."
    )


def test_the_first_of_many_bad_rows_is_shown_and_the_others_are_counted():
    said = refusal(an.seconds, cells(["x", "1", *["y"] * 1500]), "t")
    assert said.startswith("x.csv row 2: bad timestamp in t (and 1,500 more rows), got 'x';")


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("3", [3]),
        ("[3, 5]", [3, 5]),
        ("[29, 78, 78]", [29, 78, 78]),
        ("3;5", [3, 5]),
        (" [] ", []),
        ("", []),
        (None, []),
        ("-1", [-1]),
        ("2.0", [2]),
        ("[3.0, 5.0]", [3, 5]),
        ("(3, 5)", [3, 5]),
        ("3|5", [3, 5]),
        ("['3', '5']", [3, 5]),
        ("2147483647", [2147483647]),
    ],
)
def test_class_ids_by_hand(text, ids):
    assert an.class_ids(cells([text]), "t")["t"].to_list() == [ids]


@pytest.mark.parametrize("text", ["open", "2.5", "[3", "3]", "(3]", "3, door", "2147483648", "1e3"])
def test_what_is_no_class_id_is_named_with_file_and_row(text):
    said = refusal(an.class_ids, cells(["1", text]), "t")
    assert said.startswith(f"x.csv row 3: t is no class id, got {text!r}; expected such as 3,")


def test_good_clips_pass_with_and_without_vocabularies():
    an.check(clips(), {"verbs": 2, "nouns": 3})
    an.check(clips(verbs=[[0], [2**31 - 1]]), {})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"native_id": ["a", None]}, "x.csv row 3: clip without an id, got None;"),
        ({"native_id": ["a", "a"]}, "x.csv row 3: duplicate clip id, got 'a';"),
        ({"video_id": ["", "v"]}, "x.csv row 2: clip without a video, got '';"),
        ({"video_id": ["v", None]}, "x.csv row 3: clip without a video, got None;"),
        ({"start_s": [-0.5, 1.0]}, "x.csv row 2: start before the video, got -0.5;"),
        ({"stop_s": [1.0, 0.5]}, "x.csv row 3: stop is not after start, got '1.0 to 0.5 s';"),
        ({"stop_s": [0.0, 2.0]}, "x.csv row 2: stop is not after start, got '0.0 to 0.0 s';"),
        (
            {"verbs": [[0], [1, 2]]},
            "x.csv row 3: verbs outside the vocabulary, got [1, 2]; expected ids from 0 to 1.",
        ),
        ({"verbs": [[-1], [1]]}, "x.csv row 2: verbs outside the vocabulary, got [-1];"),
        ({"nouns": [[3], []]}, "x.csv row 2: nouns outside the vocabulary, got [3];"),
        ({"nouns": [[None], []]}, "x.csv row 2: nouns outside the vocabulary, got [None];"),
        ({"nouns": [[], None]}, "x.csv row 3: nouns outside the vocabulary, got None;"),
        ({"actions": [[-7], []]}, "x.csv row 2: actions outside the vocabulary, got [-7];"),
    ],
)
def test_bad_clips(changes, words):
    assert refusal(an.check, clips(**changes), {"verbs": 2, "nouns": 3}).startswith(words)


def test_reader_options_are_checked(workspace):
    reader = '[reader]\nname = "epic"\nfiles = "train.csv"\nvalidation_video = []\n'
    card = write_card(workspace, "k", reader + '[videos]\npaths = ["a"]')
    where = f"{card.path}: "
    assert options.value_of(card, "files", str) == "train.csv"
    assert options.value_of(card, "absent", list, []) == []
    assert refusal(options.value_of, card, "classes", str).startswith(
        f"{where}reader.classes is missing, got None; expected str."
    )
    assert refusal(options.value_of, card, "files", dict).startswith(
        f"{where}reader.files is of another type, got 'train.csv'; expected dict."
    )
    known = {"files", "validation_videos"}
    assert refusal(options.check, card, known) == (
        f"{where}no such option of reader epic, got 'validation_video'; expected one of 2 known. "
        "Did you mean validation_videos?"
    )
