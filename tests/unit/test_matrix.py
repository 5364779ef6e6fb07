"""`make matrix`, as far as it can be tried without installing anything."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tools import matrix

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))


def test_find_says_none_for_a_python_that_is_absent_or_a_dead_shim(tmp_path: Path) -> None:
    assert matrix.find(HERE, []) is None
    script(tmp_path / "bin" / f"python{HERE}", "exit 127")
    assert matrix.find(HERE, []) is None


def test_find_goes_past_a_dead_shim_and_another_version(tmp_path: Path) -> None:
    script(tmp_path / "bin" / f"python{HERE}", "exit 127")
    other = script(tmp_path / "other", "echo 2.7 /usr/bin/python")
    inner = script(tmp_path / "pyenv/versions" / f"{HERE}.1/bin/python", f"echo {HERE} /usr/x y")
    assert matrix.find(HERE, [str(other)]) == Path("/usr/x y")
    assert matrix.find(HERE, [sys.executable]) == Path(sys.executable)
    inner.unlink()
    assert matrix.find(HERE, [str(other), str(tmp_path / "absent")]) is None


@pytest.mark.parametrize(
    ("log", "summary"),
    [
        ("....\n2 failed, 20 passed, 3 warnings in 5.10s (0:00:05)\n", "2 failed, 20 passed"),
        ("20 passed in 0.10s\n", "20 passed"),
        ("ImportError: x\n", ""),
    ],
)
def test_summary_counts_tests_alone(tmp_path: Path, log: str, summary: str) -> None:
    (tmp_path / "log").write_text(log)
    assert matrix.summary(tmp_path / "log") == summary
