"""Pickles from downloads: what is plain is read, what could run is refused unrun."""

import contextlib
import os
import pickle
import resource
import subprocess
import time
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumlctl.errors import SumlError
from sumlctl.tables import unpickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
PROPERTY = settings(max_examples=80, deadline=None, derandomize=True)


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call

    def __repr__(self):
        return f"call of {self.call[0].__name__}"


def saved(path, content, protocol=pickle.HIGHEST_PROTOCOL):
    path.write_bytes(pickle.dumps(content, protocol))
    return path


def refusal(path):
    with pytest.raises(SumlError) as caught:
        unpickle.load(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: refused to unpickle, got ")
    assert len(text.splitlines()) == 1
    return text


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("pickles") / "x.p"


@PROPERTY
@given(content=PLAIN, protocol=st.sampled_from(PROTOCOLS))
def test_plain_containers_come_back(scratch, content, protocol):
    assert unpickle.load(saved(scratch, content, protocol)) == content


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.int64).reshape(2, 3),
        np.array([[0.5, -1.0]], dtype=">f4"),
        np.array([True, False]),
        np.array(["cup", "table"]),
        np.asfortranarray(np.arange(6, dtype=np.uint8).reshape(2, 3)),
        np.zeros((0, 4)),
    ],
    ids=lambda a: a.dtype.str,
)
def test_arrays_come_back(scratch, array, protocol):
    found = unpickle.load(saved(scratch, ["v", array], protocol))[1]
    assert isinstance(found, np.ndarray)
    # numpy turns bytes of the other order round as it reads old protocols.
    assert found.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
    assert found.shape == array.shape
    assert np.array_equal(found, array)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("number", [np.int64(7), np.float32(0.5), np.bool_(True)], ids=repr)
def test_numpy_numbers_come_back(scratch, number, protocol):
    assert unpickle.load(saved(scratch, {"n": number}, protocol)) == {"n": number}


def test_python_2_pickle(scratch):
    # Written by hand: a list with the byte string "caf\xe9" of Python 2 and the int 3.
    scratch.write_bytes(b"(lp0\nS'caf\\xe9'\np1\naI3\na.")
    assert unpickle.load(scratch) == ["café", 3]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("run", [os.system, subprocess.getoutput])
def test_nothing_runs(tmp_path, run, protocol):
    marker = tmp_path / "marker"
    command = f"touch {marker}"
    path = saved(tmp_path / "x.p", [["frame", 0], Call(run, command)], protocol)
    # The attack is real: an ordinary reader runs it.
    pickle.loads(path.read_bytes())
    assert marker.exists()
    marker.unlink()
    assert f".{run.__name__}; expected" in refusal(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "content",
    [
        Call(eval, "1"),
        Call(getattr, [], "append"),
        Call(open, "/dev/null"),
        Call(__import__, "os"),
        OrderedDict(a=1),
        Path("a"),
        np.array([{}], dtype=object),
        np.zeros(2, dtype=[("a", "O")]),
        np.zeros(2, dtype="datetime64[s]"),
        # Bytes taken for the address of an object: a crash, or worse.
        Call(np.ndarray, (1,), np.dtype("O"), b"\x01" * 8),
        Call(np.ndarray, (1,), "O", b"\x01" * 8),
        np.dtype("O"),
        np.dtype("i8,O"),
    ],
    ids=repr,
)
def test_what_is_not_plain_is_refused(tmp_path, content):
    assert "expected a pickle of plain containers" in refusal(saved(tmp_path / "x.p", content))


def test_a_dtype_cannot_be_turned_into_one_of_objects(tmp_path):
    class Turned:
        """Pickles as an int64 dtype whose state says that it holds objects."""

        def __reduce__(self):
            return np.dtype, ("V8",), (3, "|", None, ("a",), {"a": (np.dtype("i8"), 0)}, 8, 1, 63)

    refusal(saved(tmp_path / "x.p", Turned()))


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"not a pickle", b"\x80\x05"])
def test_what_is_no_pickle_is_refused(tmp_path, content):
    path = tmp_path / "x.p"
    path.write_bytes(content)
    refusal(path)


def test_a_truncated_pickle_is_refused(tmp_path):
    whole = pickle.dumps([["vid", i, np.arange(3)] for i in range(20)])
    for length in range(1, len(whole), 37):
        path = tmp_path / "x.p"
        path.write_bytes(whole[:length])
        refusal(path)


@PROPERTY
@given(content=st.binary(max_size=60))
def test_random_bytes_raise_nothing_else(scratch, content):
    scratch.write_bytes(content)
    try:
        unpickle.load(scratch)
    except SumlError as error:
        assert len(str(error).splitlines()) == 1


# DUP and TUPLE2, sixty times: a tuple twice in a tuple, and so on. Whoever takes its hash, as a
# test that made it in Python would, is at it for centuries.
NESTED = b"K\x01" + b"2\x86" * 60
LAUGHS = [["v"] * 1000]
for _ in range(3):
    LAUGHS = [LAUGHS] * 1000
ROUND: list = []
ROUND.append([ROUND])


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02Nr\xff\xff\xff\x7f.",  # the two thousand millionth place of the memo
        b"\x80\x02Np2000000000\n.",
        b"\x80\x04\x8e" + (2**40).to_bytes(8, "little") + b"x.",  # bytes, a tebibyte of them
        b"\x80\x05\x96" + (2**40).to_bytes(8, "little") + b"x.",  # a bytearray
        b"\x80\x04\x95" + (2**40).to_bytes(8, "little") + b"N.",  # a frame
        b"\x80\x02}" + NESTED + b"K\x01s.",
        pickle.dumps({n * (2**61 - 1): 0 for n in range(2, 3_000)}),
        b"\x80\x02]" + NESTED + b"a.",
        pickle.dumps(LAUGHS),
        pickle.dumps(ROUND),
        pickle.dumps({1, 2}),
        b"\x80\x04(" + NESTED + b"\x91.",
    ],
    ids=lambda c: repr(c[:24]),
)
def test_a_small_file_takes_little_time_and_memory(scratch, content):
    scratch.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.monotonic()
    with contextlib.suppress(SumlError):  # two of them ask for nothing that is not there
        unpickle.load(scratch)
    assert time.monotonic() - begin < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


def test_a_pickle_changes_nothing_of_the_program(scratch):
    # BUILD with attributes for the function that stands for `_codecs.encode`.
    content = b"\x80\x02c_codecs\nencode\nN}X\x0c\x00\x00\x00__defaults__N\x86sb."
    scratch.write_bytes(content.replace(b"N\x86sb", b"Nsb").replace(b"encode\nN}", b"encode\n}"))
    assert "it changes a function" in refusal(scratch)
    assert unpickle._encode("a") == b"a"


def test_what_is_shared_a_little_is_read(scratch):
    row = [1, [2]]
    assert unpickle.load(saved(scratch, [row] * 1000)) == [row] * 1000
