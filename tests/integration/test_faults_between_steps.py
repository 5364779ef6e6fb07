"""Full disks, read-only folders, altered tables: one error, and then it goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from sumlctl.cli.app import app
from sumlctl.cli.run import perform
from sumlctl.workflow import recipe
from sumlctl.workspace import Workspace
from tests.disks import mounted
from tests.unit.workflow import tiny

FPV = "tiny-fpv"
PAIRS = f"manifests/pairs/{FPV}--tiny-tpv.parquet"
TABLES = f"manifests/{FPV}"
VECTORS = f"{TABLES}/narrations.hashed.parquet"


class Command(NamedTuple):
    """A command line, what it has made already, and room on the disk that is not enough for it."""

    words: str
    made: tuple[str, ...]
    room: int
    again: str = ""  # what goes on, where it is another command line


COMMANDS = {
    "index": Command(
        f"index {FPV}",
        (f"data/{FPV}", f"{TABLES}/clips.parquet", f"{TABLES}/videos.parquet"),
        65536,  # a video or two
    ),
    "decode": Command(f"decode {FPV} --jobs 1", (f"store/{FPV}",), 32768),
    "embed": Command(f"embed {FPV} --encoder hashed", (VECTORS,), 4096),
    "mine-pairs": Command(f"mine-pairs --fpv {FPV} --tpv tiny-tpv", (PAIRS,), 4096),
    "train": Command(
        "train tiny --run other --set seed=3", (), 65536, again="train --resume other"
    ),
    "train at once": Command("train tiny --run other --set seed=3", (), 4096),
    "eval": Command(
        "eval tiny", ("runs/tiny/predictions.parquet", "runs/tiny/metrics.parquet"), 4096
    ),
    "report": Command("report tiny --previews 1 --maps 0", (), 16384),
    "run": Command("run tiny", ("manifests/receipts", "runs/tiny", f"store/{FPV}"), 40960),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A world where everything is made; not to be written to."""
    workspace = Workspace(tmp_path_factory.mktemp("made"))
    tiny.build(workspace)
    path = workspace.pipelines / "tiny.toml"
    path.write_text(path.read_text().replace('"index",', '"index", "decode",'), encoding="utf-8")
    perform(app, recipe.read("tiny", workspace), workspace)
    return workspace


@pytest.fixture
def disk(made: Workspace, workspace: Workspace) -> Iterator[Path]:
    """A file system of 6 MiB that holds the test's workspace; only root may mount one."""
    with mounted(workspace.root, "6m", "-l") as root:
        shutil.copytree(made.root, root, dirs_exist_ok=True)
        yield root


@pytest.fixture
def copied(made: Workspace, workspace: Workspace) -> Workspace:
    shutil.copytree(made.root, workspace.root)
    return workspace


def only_error(done: tiny.Any) -> str:
    """The one error of a command that failed as it should."""
    assert done.code == 1, done.err
    (line,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in done.err
    assert "unexpected fault" not in line
    return line


def left_over(root: Path) -> list[Path]:
    return [path for path in root.rglob("*.tmp") if ".locks" not in path.parts]


def remove(root: Path, names: tuple[str, ...]) -> None:
    for path in (root / name for name in names):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def fill(root: Path, room: int) -> Path:
    """Takes all but so many bytes of a disk."""
    found = os.statvfs(root)
    ballast = root / "ballast"
    ballast.write_bytes(bytes(found.f_bavail * found.f_frsize - room))
    return ballast


@pytest.mark.parametrize("name", COMMANDS)
def test_a_disk_that_is_full(disk: Path, sumlctl: Callable[..., tiny.Any], name: str) -> None:
    words, already, room, again = COMMANDS[name]
    remove(disk, already)
    ballast = fill(disk, room)
    line = only_error(sumlctl(*words.split()))
    assert "the disk is full" in line
    assert line.endswith(f"go on with `sumlctl {again}`." if again else "same command again.")
    assert left_over(disk) == []
    ballast.unlink()
    done = sumlctl(*(again or words).split())
    assert done.code == 0, done.err
    assert all((disk / path).exists() for path in already)


def test_a_read_only_workspace(disk: Path, sumlctl: Callable[..., tiny.Any]) -> None:
    remove(disk, ("manifests/receipts",))
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    for words, *_ in COMMANDS.values():
        assert "the file system is read-only, got errno 30" in only_error(sumlctl(*words.split()))
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    assert sumlctl("run", "tiny").code == 0


@pytest.mark.parametrize(
    ("name", "table", "maker"),
    [
        ("decode", f"{TABLES}/clips.parquet", "index"),
        ("embed", f"{TABLES}/clips.parquet", "index"),
        ("mine-pairs", VECTORS, "embed"),
        ("train", PAIRS, "mine-pairs"),
        ("train", f"{TABLES}/videos.parquet", "index"),
        ("train", f"store/{FPV}/segments.parquet", "decode"),
        ("eval", f"{TABLES}/videos.parquet", "index"),
        ("eval", "runs/tiny/predictions.parquet", "eval"),
    ],
)
def test_a_table_that_is_damaged_or_gone(
    copied: Workspace, sumlctl: Callable[..., tiny.Any], name: str, table: str, maker: str
) -> None:
    path, words = copied.root / table, COMMANDS[name].words.split()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert f"{path}: not a whole Parquet file" in (line := only_error(sumlctl(*words)))
    assert line.endswith(f"Delete it and make it again with `sumlctl {maker}`.")
    path.unlink()
    gone = sumlctl(*words) if maker not in ("decode", "eval", "embed") else None
    if gone:
        assert f"{path}: table is missing" in (line := only_error(gone))
        assert line.endswith(f"Make it with `sumlctl {maker}`.")
    path.write_bytes(whole)
    assert left_over(copied.root) == []
    done = sumlctl(*words)
    assert done.code == 0, done.err


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"format": "sumlctl.receipt/1"}'])
def test_receipts_that_are_damaged_cost_a_look_and_no_result(
    copied: Workspace, sumlctl: Callable[..., tiny.Any], content: bytes
) -> None:
    before = tiny.weights(copied, "tiny"), (copied.root / PAIRS).read_bytes()
    for receipt in copied.receipts():
        receipt.write_bytes(content)
    done = sumlctl("run", "tiny")
    assert done.code == 0, done.err
    assert "tiny is trained already" in done.err
    assert (tiny.weights(copied, "tiny"), (copied.root / PAIRS).read_bytes()) == before
    assert "nothing to do" in sumlctl("run", "tiny").out


def test_a_clock_that_was_set_back(copied: Workspace, sumlctl: Callable[..., tiny.Any]) -> None:
    assert sumlctl("train", "tiny", "--run", "later", "--set", "seed=3").code == 0
    os.utime(copied.run("later") / "pipeline.toml", ns=(1, 1))
    assert "run: runs/later, the newest of 2" in sumlctl("eval").err
    # What was made looks newer than what it was made from is now, and has to be made again.
    clips = copied.table(FPV, "clips")
    clips.write_bytes((copied.manifests / "tiny-tpv" / "clips.parquet").read_bytes())
    os.utime(clips, ns=(1, 1))
    assert "clips.parquet: edited since `index tiny-fpv`" in only_error(sumlctl("run", "tiny"))
    notes = copied.data(FPV, "annotations") / "clips.csv"
    assert sumlctl("run", "tiny", "--from", "index").code == 0
    notes.write_text(notes.read_text().replace("fridge", "freezer"))
    os.utime(notes, ns=(1, 1))
    told = sumlctl("run", "tiny", "--dry-run").out
    assert f"index {FPV}: will run: input data/{FPV}/annotations/clips.csv changed" in told
