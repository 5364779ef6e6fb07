"""The grammar of errors and the spelling suggestions."""

import errno
import pickle
from pathlib import Path

import pytest

from sumlctl.errors import SumlError, WriteError, from_os_error, nearest_names, unknown_name
from sumlctl.video.decoders import DecodeError


def test_grammar():
    error = SumlError("a.csv row 3", "bad time", got="x", expected="seconds", fix="Mend it.")
    assert str(error) == "a.csv row 3: bad time, got x; expected seconds. Mend it."
    assert (error.where, error.what, error.got) == ("a.csv row 3", "bad time", "x")
    assert (error.expected, error.fix) == ("seconds", "Mend it.")


def test_one_line_whatever_is_in_it():
    error = SumlError("a\nb", "bad\r\n\tthing", got="x\x0by\u2028z", expected=3, fix="Mend\n\nit.")
    assert str(error) == "a b: bad thing, got x y z; expected 3. Mend it."


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("ek5", ["ek100", "ek55", "lemma"], "ek55"),
        ("LEMA", ["ek55", "lemma"], "lemma"),
        (
            "start_tiemstamp",
            ["start_frame", "start_timestamp", "stop_timestamp"],
            "start_timestamp",
        ),
        ("charades", ["Charades-Ego", "ek55"], "Charades-Ego"),
    ],
)
def test_nearest_name(name, known, expected):
    assert nearest_names(name, known)[0] == expected


def test_nearest_names_are_few_and_near():
    assert nearest_names("zzz", ["ek55", "lemma"]) == []
    assert len(nearest_names("ek5", [f"ek5{i}" for i in range(9)])) == 3


def test_unknown_name_suggests_or_lists():
    near = str(unknown_name("command line", "dataset", "ek5", ["lemma", "ek55"]))
    assert near == (
        "command line: no such dataset, got 'ek5'; expected one of 2 known. Did you mean ek55?"
    )
    assert str(unknown_name("x", "loss", "zzz", ["b", "a"])).endswith("Known: a, b.")
    assert str(unknown_name("x", "loss", "zzz", [])).endswith("Known: none.")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "no permission"),
        (errno.EISDIR, "Is a directory"),
    ],
)
def test_operating_system_faults_in_our_words(number, words):
    text = str(from_os_error(OSError(number, "Is a directory", "/data/x.parquet")))
    assert text.startswith("/data/x.parquet: ")
    assert words in text
    assert f"got errno {number};" in text


def test_operating_system_fault_without_a_file_names_the_one_at_hand():
    full = OSError(errno.ENOSPC, "No space left on device")
    assert str(from_os_error(full, "clips.parquet")).startswith("clips.parquet: the disk is full")
    assert str(from_os_error(full)).startswith("file system: the disk is full")


@pytest.mark.parametrize(
    "error",
    [
        SumlError("a.csv", "bad time", got="x", expected="seconds", fix="Mend it."),
        WriteError("a.csv", "the disk is full", got="x", expected="room", fix="Mend it."),
        DecodeError(Path("a.mp4"), "no frame", "none", damaged=True),
    ],
)
def test_errors_come_from_other_processes_as_they_were_raised(error):
    same = pickle.loads(pickle.dumps(error))
    assert type(same) is type(error)
    assert (str(same), same.args, vars(same)) == (str(error), error.args, vars(error))
