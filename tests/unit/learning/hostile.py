"""Files that harm a decoder: a stub does what their first word says, in spawned processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DEEDS = ("hang", "exit", "crash", "swell")
# Of processor time: a sound file takes a fiftieth of that, however busy the machine.
LIMITS = ("decode_timeout_s=1.0", "decode_memory_mb=256")
REASONS = {
    "hang": "no answer within 1 s of processor time; "
    "with decord: no answer within 1 s of processor time",
    "exit": "worker died, exit code 3; with decord: worker died, exit code 3",
    "crash": "worker died, signal 11 (Segmentation fault); "
    "with decord: worker died, signal 11 (Segmentation fault)",
    "swell": "needs more than 256 MiB of memory; with decord: needs more than 256 MiB of memory",
}


def python_path() -> str:
    """PYTHONPATH of processes that decode with the stub."""
    return f"{ROOT / 'tests' / 'decoder_stub'}{os.pathsep}{ROOT}"


@pytest.fixture
def decoder_stub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that are spawned from now on decode with the stub."""
    monkeypatch.setenv("PYTHONPATH", python_path())


def corrupt(path: Path, deed: str) -> None:
    """Puts a file in a video's place that makes the stub do a deed."""
    path.with_suffix(".whole.mp4").write_bytes(path.read_bytes())
    path.write_text(f"{deed}\n", encoding="utf-8")
