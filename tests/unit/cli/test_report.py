"""`report` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.report import told_world


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return told_world.build(tmp_path_factory.mktemp("report") / "workspace")


@pytest.fixture
def command(sumlctl, world):
    return lambda *words: sumlctl("report", *words, "--workspace", str(world.root))


def test_the_newest_run_into_its_folder(command, world) -> None:
    done = command("--previews", "2", "--maps", "0")
    assert done.code == 0, done.err
    written = world.run("mine") / "report.html"
    assert done.out == f"{written}\n"
    assert written.is_file()
    assert "run: runs/mine, the newest of 2" in done.err
    assert "MB)" in done.err


def test_another_run_and_file(command, tmp_path) -> None:
    out = tmp_path / "new" / "page.html"
    words = ("other", "--against", "mine", "--previews", "0", "--maps", "0", "--out", str(out))
    done = command(*words, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out) == {"report": str(out), "bytes": out.stat().st_size}
    assert "other over mine" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("mime",), 1, "error: RUN: no such run, got 'mime'"),
        (("mine", "--against", "x"), 1, "error: --against: no such run"),
        (("mine", "--previews", "-1"), 2, "--previews"),
        (("mine", "--out", "/"), 1, "error: /: the page would replace a folder"),
    ],
)
def test_faults(command, words, code, said) -> None:
    done = command(*words)
    assert (done.code, done.out) == (code, "")
    assert said in done.err


def test_an_empty_workspace(sumlctl, tmp_path: Path) -> None:
    done = sumlctl("report", "--workspace", str(tmp_path))
    assert done.code == 1
    assert "nothing to report, got neither a run nor an indexed dataset" in done.err
