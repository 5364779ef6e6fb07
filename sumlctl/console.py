"""What a person sees: results on stdout, everything else on stderr."""

from __future__ import annotations

import codecs
import io
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from sumlctl.errors import plain

if TYPE_CHECKING:
    from rich.console import Console

_PLAIN_EVERY_S = 10.0


# What our messages have of characters that some terminals lack, in ASCII.
_IN_ASCII = {"→": "->", "≥": ">=", "±": "+-", "−": "-", "…": "...", "“": '"', "”": '"', "█": "#"}
_ENCODING_ERRORS = "sumlctl.in_ascii"


def accept_any_text() -> None:
    """Have stdout and stderr write what their encoding lacks in ASCII in place of failing."""
    codecs.register_error(_ENCODING_ERRORS, _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ENCODING_ERRORS)


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    escaped = (_IN_ASCII.get(c) or c.encode("ascii", "backslashreplace").decode() for c in lacking)
    return "".join(escaped), error.end


def _has(stream: TextIO, text: str) -> bool:
    """Whether the encoding of a stream has every character of a text."""
    try:
        text.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


class _Voice:
    silent = False


def silence() -> None:
    """From here on nothing is said: another process of the same command speaks."""
    _Voice.silent = True


def is_silent() -> bool:
    return _Voice.silent


def stdout() -> Console:
    return _console(sys.stdout)


def stderr() -> Console:
    return _console(sys.stderr)


def _console(file: TextIO) -> Console:
    from rich.console import Console

    quiet = _Voice.silent
    return Console(file=file, highlight=False, emoji=False, soft_wrap=True, quiet=quiet)


def note(text: str) -> None:
    """One line about what is going on."""
    stderr().print(plain(text), markup=False)


def warn(text: str) -> None:
    """One line that the user should not overlook."""
    stderr().print(f"warning: {plain(text)}", markup=False, style="yellow")


def show(text: str) -> None:
    """One line of result."""
    stdout().print(plain(text), markup=False)


def show_json(result: Any) -> None:
    """The result as JSON, one document on stdout; what a terminal would obey is escaped."""
    if _Voice.silent:
        return
    text = json.dumps(result, indent=2, ensure_ascii=False)
    if not _has(sys.stdout, plain(text)):  # replaced characters would make another document of it
        text = json.dumps(result, indent=2)
    escaped = (c if plain(c) == c else f"\\u{ord(c):04x}" for c in text)
    sys.stdout.write(("".join(escaped) if plain(text) != text else text) + "\n")


def show_table(title: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table of results; columns that hold numbers are aligned right."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for i, name in enumerate(header):
        numeric = any(isinstance(r[i], int | float) for r in rows)
        side: Any = "right" if numeric else "left"
        table.add_column(Text(plain(name)), justify=side, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(v)) for v in row))
    console = stdout()
    if not console.is_terminal:
        console.width = 200
    # Not the table's own title, which would be folded to the width of the columns.
    console.print(Text(plain(title), style="bold"))
    console.print(table, soft_wrap=False)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.3f}"
    return plain(str(value))


class Progress(Protocol):
    """Reports work done; what `progress` yields."""

    def advance(self, n: int = 1) -> None: ...

    def tell(self, text: str) -> None:
        """Shows how the work goes, in place of what was told before."""


@contextmanager
def progress(label: str, total: int, unit: str) -> Iterator[Progress]:
    """A bar with a rate and an ETA on a terminal, a plain line now and then elsewhere."""
    if not stderr().is_terminal:
        lines = _PlainProgress(label, total, unit)
        yield lines
        lines.finish()
        return
    from rich import progress as bars

    columns = (
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[rate]}"),
        bars.TimeRemainingColumn(),
        bars.TextColumn("{task.fields[told]}", style="dim", markup=False),
    )
    with bars.Progress(*columns, console=stderr(), transient=True) as bar:
        yield _BarProgress(bar, bar.add_task(plain(label), total=total, rate="", told=""), unit)


class _BarProgress:
    def __init__(self, bar: Any, task: Any, unit: str) -> None:
        self._bar, self._task, self._unit = bar, task, unit

    def advance(self, n: int = 1) -> None:
        speed = self._bar.tasks[self._task].speed
        rate = f"{speed:,.1f} {self._unit}/s" if speed else ""
        self._bar.update(self._task, advance=n, rate=rate)

    def tell(self, text: str) -> None:
        self._bar.update(self._task, told=plain(text))


class _PlainProgress:
    def __init__(self, label: str, total: int, unit: str) -> None:
        self._label, self._total, self._unit = label, total, unit
        self._start = self._said = time.monotonic()
        self._done = 0
        self._told = ""

    def tell(self, text: str) -> None:
        self._told = f"; {text}" if text else ""

    def advance(self, n: int = 1) -> None:
        self._done += n
        now = time.monotonic()
        if now - self._said >= _PLAIN_EVERY_S:
            self._said = now
            rate = self._done / (now - self._start)
            left = (self._total - self._done) / rate
            note(
                f"{self._label}: {self._done:,}/{self._total:,} {self._unit}, "
                f"{rate:,.1f}/s, {left:,.0f} s left{self._told}"
            )

    def finish(self) -> None:
        spent = time.monotonic() - self._start
        if spent >= 1.0 and self._done:
            rate = self._done / spent
            note(f"{self._label}: {self._done:,} {self._unit} in {spent:,.1f} s ({rate:,.1f}/s)")
