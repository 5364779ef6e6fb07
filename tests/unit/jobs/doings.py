"""What units do in the tests of engines: functions that worker processes can import."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import NamedTuple

from sumlctl.errors import SumlError
from sumlctl.tables import whole_file


class Doing(NamedTuple):
    """A number, where to note that it was asked for, and what happens then."""

    number: int
    notes: Path
    how: str = "well"


def square(doing: Doing) -> dict[str, object]:
    """The square and who found it; every call adds a line to the notes."""
    with doing.notes.open("a") as file:
        file.write(f"{doing.number}\n")
    if doing.how == "raises":
        raise ValueError(f"no square of {doing.number}")
    if doing.how == "told":
        raise SumlError("number", "is odd", got=doing.number, expected="even", fix="Add one.")
    if doing.how == "aborts":
        os.abort()
    if doing.how == "hangs":
        while True:
            pass
    if doing.how == "aborts once" and doing.notes.read_text().count(f"{doing.number}\n") == 1:
        os.abort()
    if doing.how == "full":
        with whole_file(doing.notes.with_name("never")):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if doing.how == "writes":
        with whole_file(file_of(doing)) as beside:
            beside.write_text(str(doing.number**2))
    return {"square": doing.number**2, "third": doing.number / 3, "pair": (1, 2)}


def file_of(doing: Doing) -> Path:
    return doing.notes.with_name(f"{doing.number}.txt")


def process(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def meet(folder: Path) -> int:
    """Waits until another process is here too."""
    (folder / str(os.getpid())).touch()
    while len([*folder.iterdir()]) < 2:
        time.sleep(0.02)
    return os.getpid()
