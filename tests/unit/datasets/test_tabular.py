"""Any table through a card's column mapping."""

import json

import polars as pl
import pytest

from sumlctl.datasets import tabular
from sumlctl.datasets.clean import clean
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


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *((column, {"id": "v1"}) for column in ("video", "from", "said", "verb")),
        *((column, ["v1"]) for column in ("video", "from", "said")),
        ("verb", [["take"]]),
    ],
)
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


def test_rows_that_cannot_be_used_are_left_out_and_named(read, tmp_path):
    """Labels of such rows are not looked at: a line of totals has none."""
    rows = [ROW | {"verb": "put"}, ROW | {"from": "total", "verb": "12"}, ROW | {"to": "1.5"}]
    write_csv(tmp_path / "x.csv", [one | {"verb": one.get("verb", "")} for one in rows])
    found = read('verbs = "verb"')
    assert found.rows["native_id"].to_list() == ["train-2"]
    assert found.left_out.named == [
        "x.csv row 3: bad timestamp in from, got 'total'",
        "x.csv row 4: stop is not after start, got '1.5 to 1.5 s'",
    ]


def test_ids_of_numbers_with_gaps_are_no_floats(read, tmp_path):
    rows = [ROW | {"video": "17.0", "who": "3.0"}, ROW | {"video": "18.0", "who": ""}]
    write_csv(tmp_path / "x.csv", rows)
    found = read('participant = "who"').rows
    assert found.select("video_id", "participant").rows() == [("17.0", "3"), ("18.0", "")]
    frame = pl.DataFrame([ROW | {"video": 17.0}, ROW | {"video": 18.0}])
    frame.write_parquet(tmp_path / "x.parquet")
    assert read(file="x.parquet").rows["video_id"].to_list() == ["17", "18"]


def test_missing_values_as_programs_write_them(read, tmp_path):
    write_csv(tmp_path / "x.csv", [ROW | {"said": "nan", "who": "None"}])
    found = read('participant = "who"').rows
    assert found.select("narration", "participant").rows() == [("", "")]


def test_semicolons_make_a_comma_a_decimal_one(read, tmp_path):
    (tmp_path / "x.csv").write_text("video;from;to;said\nv1;0,5;1,25;cut, peel\n")
    assert read().rows.select("start_s", "stop_s", "narration").rows() == [(0.5, 1.25, "cut, peel")]


OPTIONS = ('files = { train = "x.csv" }', 'files = { train = "x.csv" }\n')


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ('delimiter = "ab"', "one character"),
        ("delimiter = 1", "one character"),
        ('quote = "aa"', ""),
        ("unlabelled = 1.5", "a whole number, a text, or a list of them"),
        ("point = 0", 'a number of seconds above 0, or "egovlp"'),
        ("point = true", 'a number of seconds above 0, or "egovlp"'),
        ("point = nan", 'a number of seconds above 0, or "egovlp"'),
        ('point = "egovpl"', 'a number of seconds above 0, or "egovlp"'),
        ('strip = "("', "a regular expression without look-around and backreferences"),
        ("strip = '(?=a)'", "a regular expression without look-around and backreferences"),
        ("strip = 1", "a regular expression"),
    ],
)
def test_an_option_of_no_use_is_named(read, option, expected):
    text = refusal(read, change=(OPTIONS[0], OPTIONS[1] + option))
    assert f": bad reader.{option.split(' ')[0]}, got " in text
    assert f"; expected {expected}" in text


# As Ego4D writes narrations: points in time, tags before the text and in it.
EGO4D = [
    {"video": "u1", "from": 32.0, "said": "#C C pours a cloth #unsure"},
    {"video": "u1", "from": 36.0, "said": "#O man X closes the tap\n"},
    {"video": "u1", "from": 34.0, "said": "#c C  looks around"},
    {"video": "u2", "from": 0.25, "said": "#C C opens #unsure"},
    {"video": "u2", "from": 6.25, "said": "picks a cup"},
]
TAGS = """strip = '^#\\S+( [A-Z]\\b)?|#unsure'"""


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_an_ego4d_like_table(workspace, tmp_path, suffix):
    """Gaps of 2 s in u1 and 6 s in u2, alpha 4 s: windows of 0.5 and 1.5 s, none before 0."""
    file = f"x.{suffix}"
    if suffix == "jsonl":
        write_jsonl(tmp_path / file, EGO4D)
    elif suffix == "parquet":
        pl.DataFrame(EGO4D).write_parquet(tmp_path / file)
    else:
        mark = "," if suffix == "csv" else "\t"
        pl.DataFrame(EGO4D).write_csv(tmp_path / file, separator=mark)
    body = CARD.replace("FILE", file).replace("MORE", "").replace('stop_s = "to"\n', "")
    body = body.replace("[reader.columns]", f'point = "egovlp"\n{TAGS}\n[reader.columns]')
    found = tabular.read(write_card(workspace, "t", body), tmp_path, tmp_path).rows
    assert found.select("start_s", "stop_s").rows() == [
        (31.75, 32.25),
        (35.75, 36.25),
        (33.75, 34.25),
        (0.0, 1.0),
        (5.5, 7.0),
    ]
    assert [clean(text) for text in found["narration"]] == [
        "pours a cloth",
        "man x closes the tap",
        "looks around",
        "opens",
        "picks a cup",
    ]


def test_read_names_all_faults_of_its_options_at_once(read):
    """Six slips are one error of one line, each with what would be right."""
    more = 'said = "x"\n[reader.more]\n'
    change = (
        'name = "tabular"',
        'name = "tabular"\nstrp = "x"\nrate = -1\npoint = 0\nquote = "ab"',
    )
    text = refusal(read, more, change=change)
    assert "6 faults in the reader's options" in text and "\n" not in text
    assert "'strp' (Did you mean strip?)" in text
    assert "no such option of reader tabular, got 'more'" in text
    assert "no such column of ours, got 'said'" in text
    for key in ("rate", "point", "quote"):
        assert f"bad reader.{key}, got" in text


def test_read_decimal_says_what_a_comma_in_a_time_is(read, tmp_path):
    write_csv(tmp_path / "x.csv", [ROW | {"from": "1,5", "to": "2,25"}])
    change = ('name = "tabular"', 'name = "tabular"\ndecimal = ","')
    assert read(change=change).rows.select("start_s", "stop_s").rows() == [(1.5, 2.25)]
    assert read().rows.height == 0
