"""A dataset's configuration guessed from its table: what is written is read back by the reader."""

import json

import polars as pl
import pytest

from sumlctl.config import dataset
from sumlctl.datasets import new_config, tabular
from sumlctl.errors import SumlError
from tests.annotation_files import write_csv

EGTEA = (
    "# Clip ID (Unique); Clip Prefix (Unique); Video Session; Starting Time (ms); "
    "Ending Time (ms); Action Label; Verb Label; Noun Label(s)\n"
    "1; OP01-a; OP01; 4110; 8494; Turn-on faucet; Turn-on; faucet\n"
    "2; OP01-b; OP01; 11403; 19823; Cut tomato; Cut; tomato\n"
)


def guessed(tmp_path, table, viewpoint="fpv", **given):
    """The configuration written for a table, parsed again."""
    path = tmp_path / "mine.toml"
    path.write_text(new_config.guess("mine", table, viewpoint, given))
    return dataset.parse(path)


def read(tmp_path, table, **given):
    return tabular.read(guessed(tmp_path, table, **given), tmp_path, tmp_path)


def test_guess_reads_semicolons_milliseconds_and_class_names(tmp_path):
    """EGTEA Gaze+'s layout: seconds by hand, classes in alphabetical order."""
    table = tmp_path / "action_labels.csv"
    table.write_text(EGTEA)
    found = read(tmp_path, table)
    columns = ("video_id", "start_s", "stop_s", "narration", "verbs", "nouns")
    assert found.rows.select(columns).rows() == [
        ("OP01", 4.110, 8.494, "Turn-on faucet", [1], [0]),
        ("OP01", 11.403, 19.823, "Cut tomato", [0], [1]),
    ]
    assert found.class_names == {"verbs": ["Cut", "Turn-on"], "nouns": ["faucet", "tomato"]}


def test_guess_makes_windows_and_strips_tags_of_points_in_time(tmp_path):
    """Ego4D's layout: beta is 4 s in the only video, so each window is t +- 0.5 s."""
    table = tmp_path / "narrations.jsonl"
    rows = [
        {"video_uid": "u", "timestamp_sec": t, "narration_text": f"#C C {said}"}
        for t, said in ((2.0, "opens a door"), (6.0, "looks around #unsure"))
    ]
    table.write_text("\n".join(map(json.dumps, rows)))
    found = read(tmp_path, table).rows
    assert found["start_s"].to_list() == [1.5, 5.5]
    assert found["stop_s"].to_list() == [2.5, 6.5]
    said = [text.strip() for text in found["narration"]]
    assert said == ["opens a door", "looks around"]


def test_guess_takes_ids_viewpoints_and_splits_from_columns(tmp_path):
    table = write_csv(
        tmp_path / "t.csv",
        [
            {"video": "a.mp4", "start": 0, "end": 1, "text": "x", "view": "tpv", "verb_class": 3,
             "verb": "take", "split": "train"},
            {"video": "b.mp4", "start": 0, "end": 1, "text": "y", "view": "fpv", "verb_class": 0,
             "verb": "put", "split": "val"},
        ],
    )  # fmt: skip
    card = guessed(tmp_path, table)
    assert card.viewpoints == ("fpv", "tpv")
    assert card.videos == ("{video_id}",)
    assert card.vocabulary["verbs"] == dataset.VocabularySource(size=4)
    rows = tabular.read(card, tmp_path, tmp_path).rows
    assert rows.select("viewpoint", "split", "verbs").rows() == [
        ("tpv", "train", [3]),
        ("fpv", "val", [0]),
    ]


def test_guess_takes_columns_that_are_given(tmp_path):
    rows = [{"clip": "a", "from": 0, "to": 2, "what": "open door"}]
    table = write_csv(tmp_path / "t.csv", rows)
    with pytest.raises(SumlError, match="no column is recognised as video_id") as fault:
        guessed(tmp_path, table)
    assert fault.value.fix == "Correct the table, or name the column: --column video_id=COLUMN."
    given = {"video_id": "clip", "start_s": "from", "stop_s": "to", "narration": "what"}
    found = read(tmp_path, table, **given).rows
    assert found.select("video_id", "start_s", "stop_s", "narration").rows() == [
        ("a", 0.0, 2.0, "open door")
    ]


@pytest.mark.parametrize(
    ("given", "words"),
    [({"film": "clip"}, "no such column of ours"), ({"video_id": "clap"}, "Did you mean clip")],
)
def test_guess_refuses_unknown_columns(tmp_path, given, words):
    table = write_csv(tmp_path / "t.csv", [{"clip": "a", "start": 0, "end": 2, "text": "x"}])
    with pytest.raises(SumlError, match=words):
        guessed(tmp_path, table, **given)


def test_guess_leaves_out_times_that_are_none(tmp_path):
    """A column called `start` that holds words is passed over for the next that holds times."""
    rows = [{"video": "a", "start": "early", "start_sec": 1.5, "end": 2, "text": "x"}]
    card = guessed(tmp_path, write_csv(tmp_path / "t.csv", rows))
    assert card.options["columns"]["start_s"] == "start_sec"


def test_class_names_of_the_table_are_the_same_in_every_split(tmp_path):
    """Names are numbered over all files, several in a cell are several classes."""
    write_csv(tmp_path / "a.csv", [{"v": "x", "s": 0, "e": 1, "t": "n", "c": "wash|dry"}])
    write_csv(tmp_path / "b.csv", [{"v": "x", "s": 0, "e": 1, "t": "n", "c": "cut"}])
    path = tmp_path / "mine.toml"
    path.write_text(
        'viewpoints = ["fpv"]\n[reader]\nname = "tabular"\n'
        'files = { train = "a.csv", val = "b.csv" }\n'
        'columns = { video_id = "v", start_s = "s", stop_s = "e", narration = "t", '
        'actions = "c" }\n'
        '[videos]\npaths = ["{video_id}.mp4"]\n[vocabulary]\nactions = "table"\n'
    )
    found = tabular.read(dataset.parse(path), tmp_path, tmp_path)
    assert found.rows["actions"].to_list() == [[2, 1], [0]]
    assert found.rows["actions"].dtype == pl.List(pl.Int32)
    assert found.class_names == {"actions": ["cut", "dry", "wash"]}


@pytest.mark.parametrize(
    ("columns", "cells"),
    [
        (("start_ms", "end_ms"), (1500, 2500)),
        (("startMs", "endMs"), (1500, 2500)),
        (("start (msec)", "end (msec)"), (1500, 2500)),
        (("start_time_milliseconds", "end_time_milliseconds"), (1500, 2500)),
        (("start_us", "end_us"), (1_500_000, 2_500_000)),
        (("start_s", "end_s"), (1.5, 2.5)),
        (("start", "end"), ("0 days 00:00:01.500000", "0 days 00:00:02.500000")),
        (("start", "end"), ("1,5", "2,5")),
        (("start", "end"), ("00:00:01,500", "00:00:02,500")),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_guess_units_and_decimal_commas(tmp_path, columns, cells, delimiter):
    """One clip from 1.5 to 2.5 s, in nine ways to write that."""
    table = tmp_path / "t.csv"
    quoted = [f'"{cell}"' for cell in ("a", *cells, "x")]
    header = ["video_id", *columns, "narration"]
    table.write_text(f"{delimiter.join(header)}\n{delimiter.join(quoted)}\n")
    found = read(tmp_path, table).rows
    assert found.select("start_s", "stop_s").rows() == [(1.5, 2.5)]


def test_guess_refuses_times_in_two_units(tmp_path):
    rows = [{"video": "a", "start": 1.5, "end_ms": 2500, "text": "x"}]
    with pytest.raises(SumlError, match="starts and stops are in different units"):
        guessed(tmp_path, write_csv(tmp_path / "t.csv", rows))


def test_guess_takes_no_frame_numbers_for_seconds(tmp_path, capsys):
    """Times win over frame numbers; without times `rate` has to be filled in."""
    rows = [{"video": "a", "start_frame": 45, "stop_frame": 75, "text": "x"}]
    table = write_csv(tmp_path / "t.csv", rows)
    with pytest.raises(SumlError, match=r"bad reader\.rate, got 'frames per second'"):
        read(tmp_path, table)
    assert "start_frame, stop_frame: frame numbers" in capsys.readouterr().err
    timed = [row | {"start_timestamp": "0:01.5", "stop_timestamp": "0:02.5"} for row in rows]
    found = read(tmp_path, write_csv(tmp_path / "t.csv", timed)).rows
    assert found.select("start_s", "stop_s").rows() == [(1.5, 2.5)]


def test_guess_says_which_columns_it_passes_over(tmp_path, capsys):
    """A validation split that is not taken would be trained on without a word."""
    rows = [
        {"id": "1", "video": "a", "start": 0, "end": 1, "text": "x", "subset": "training"},
        {"id": "1", "video": "b", "start": 0, "end": 1, "text": "y", "subset": "validation"},
    ]
    card = guessed(tmp_path, write_csv(tmp_path / "t.csv", rows))
    assert not {"split", "clip_id"} & {*card.options["columns"]}
    lines = capsys.readouterr().err
    assert "nothing is taken for split: column subset has training, validation" in lines
    assert "nothing is taken for clip_id: column id has one value several times" in lines


@pytest.mark.parametrize(
    ("values", "dtype"),
    [([["a", "b"]], pl.List(pl.String)), ([{"a": 1}], pl.Struct({"a": pl.Int64})), ([b"a"], None)],
)
def test_guess_refuses_narrations_of_other_types(tmp_path, values, dtype):
    frame = pl.DataFrame({"video": ["a"], "start": [0], "end": [1]})
    frame.with_columns(text=pl.Series(values, dtype=dtype)).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(
        SumlError, match="no column is recognised as narration, got column text has"
    ):
        guessed(tmp_path, tmp_path / "t.parquet")


def test_guess_takes_no_great_numbers_for_class_ids(tmp_path):
    """A dataset configuration admits 100,000 classes; such a column holds other ids."""
    rows = [{"video": "a", "start": 0, "end": 1, "text": "x", "class_id": 2**63 + 1}]
    card = guessed(tmp_path, write_csv(tmp_path / "t.csv", rows))
    assert "actions" not in card.options["columns"]
