"""Files are whole or absent: interruptions, full disks, folders that cannot be made."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from sumlctl import tables
from sumlctl.errors import SumlError
from tests.disks import mounted


def write(path, narrations):
    """Writes a clips table with nothing but narrations."""
    schema = tables.schema("clips")
    nothing = {pa.string(): "", pa.float64(): 0.0}
    blank = {field.name: nothing.get(field.type, []) for field in schema}
    table = pa.Table.from_pylist([blank | {"narration": text} for text in narrations], schema)
    tables.write(table, path, "clips", inputs={}, config={})


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("older", [None, b"older"])
def test_an_interrupted_write_leaves_what_was_there(tmp_path, fault, older):
    path = tmp_path / "deep" / "x.parquet"
    if older:
        path.parent.mkdir()
        path.write_bytes(older)
    with pytest.raises(fault), tables.whole_file(path) as beside:
        beside.write_bytes(b"half")
        raise fault
    assert [f.name for f in path.parent.iterdir()] == (["x.parquet"] if older else [])
    assert not older or path.read_bytes() == older


def test_a_whole_file_replaces_the_older_one(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"older")
    with tables.whole_file(path) as beside:
        beside.write_bytes(b"newer")
        assert path.read_bytes() == b"older"
    assert path.read_bytes() == b"newer"
    assert list(tmp_path.iterdir()) == [path]


def test_what_replaces_a_file_is_on_the_disk_first(tmp_path, monkeypatch):
    steps = []
    fsync, replace = os.fsync, type(tmp_path).replace
    monkeypatch.setattr(os, "fsync", lambda fd: steps.append("fsync") or fsync(fd))
    monkeypatch.setattr(
        type(tmp_path), "replace", lambda *paths: steps.append("rename") or replace(*paths)
    )
    write(tmp_path / "x", [""])
    assert steps == ["fsync", "rename"]


@pytest.mark.parametrize("older", [False, True])
def test_a_full_disk_as_fsync_tells_it(tmp_path, monkeypatch, older):
    path = tmp_path / "clips.parquet"
    if older:
        write(path, ["older"])

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SumlError) as caught:
        write(path, ["newer", "newest"])
    assert str(caught.value) == (
        f"{path}: the disk is full, got errno 28; expected a working path. "
        "Free some space and run the same command again."
    )
    assert list(tmp_path.iterdir()) == ([path] if older else [])
    assert not older or tables.read(path, "clips").num_rows == 1


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB; only root may mount one."""
    with mounted(tmp_path / "disk", "64k") as folder:
        yield folder


def test_a_disk_that_is_really_full(small_disk):
    path = small_disk / "clips.parquet"
    write(path, ["older"])
    small = path.read_bytes()
    texts = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(5000)]
    with pytest.raises(SumlError) as caught:
        write(path, texts)
    assert str(caught.value).startswith(f"{path}: the disk is full, got errno 28;")
    assert list(small_disk.iterdir()) == [path]
    assert path.read_bytes() == small


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SumlError) as caught:
        write(tmp_path / "file" / "clips.parquet", [""])
    assert f"{tmp_path / 'file'}: a file lies where a folder is to be" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from sumlctl import tables
with tables.whole_file(Path(sys.argv[1])) as beside:
    beside.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def kill_a_writer(path):
    """Has another process begin to write `path`, killed half way; gives what it left."""
    before = {*path.parent.iterdir()}
    root = str(Path(__file__).parents[2])
    paths = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": paths}
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = {*path.parent.iterdir()} - before
    return left


def test_the_next_write_removes_what_a_killed_process_left(tmp_path):
    path, other = tmp_path / "x", tmp_path / "x.y"
    left, of_another = kill_a_writer(path), kill_a_writer(other)
    with tables.whole_file(path) as beside:
        assert [*tmp_path.iterdir()] == [of_another]
        beside.write_bytes(b"whole")
    assert {*tmp_path.iterdir()} == {path, of_another}
    assert not left.exists()
    with tables.whole_file(other) as beside:
        beside.write_bytes(b"whole")
    assert {*tmp_path.iterdir()} == {path, other}


def test_an_unfinished_file_of_a_live_process_or_another_machine_stays(tmp_path):
    """A shared folder shows files of processes that this machine knows nothing about."""
    path = tmp_path / "x"
    left = kill_a_writer(path)
    _, name, machine, pid, _ = left.name.split(".")
    left.rename(left.with_name(f".{name}.{'0' * len(machine)}.{pid}.tmp"))
    live = left.with_name(f".{name}.{machine}.{os.getppid()}.tmp")
    live.write_bytes(b"half")
    with tables.whole_file(path) as beside:
        beside.write_bytes(b"whole")
    assert len([*tmp_path.iterdir()]) == 3
    assert live.read_bytes() == b"half"


def test_a_folder_of_very_many_files_is_listed_once(tmp_path, monkeypatch):
    """A listing at every write would make many writes take time with the square of their number."""
    for number in range(1001):
        (tmp_path / f"{number}").touch()
    listed = []
    iterdir = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: listed.append(self) or iterdir(self))
    for _ in range(3):
        with tables.whole_file(tmp_path / "x") as beside:
            beside.write_bytes(b"whole")
    assert listed == [tmp_path]
