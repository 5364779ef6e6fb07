"""Narrations and names of files reach a terminal as text: nothing in them is obeyed."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable

import pytest
from rich.console import Console

from sumlctl import console
from sumlctl.errors import SumlError, plain
from sumlctl.workflow.lineage import File

EVIL = "\x1b[2J\x1b]0;title\x07\x9b31m\r[bold]a[/] :cup: [link=file:///x]b[/link]\u202e\udc80\x00"
SHOWN = r"\x1b[2J\x1b]0;title\x07\x9b31m\r[bold]a[/] :cup: [link=file:///x]b[/link]\u202e\udc80\x00"


EVIL_SEQUENCES = ("\x1b[2J", "\x1b]0", "\x9b", "\u202e", "\x07", "\udc80", "\x00")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def said(say: Callable[[], None]) -> str:
    """What a terminal without colours gets."""
    shown = Terminal()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        say()
    return shown.getvalue()


def obeyed(text: str) -> set[str]:
    """Control characters but line feeds, and rich's own styles and cursor movements aside."""
    return {c for c in text if plain(c) != c}


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "400")


@pytest.mark.parametrize("say", [console.note, console.warn, console.show])
def test_lines(say: Callable[[str], None]) -> None:
    text = said(lambda: say(EVIL))
    assert SHOWN in text
    assert obeyed(text) == set()


def test_tables() -> None:
    text = said(lambda: console.show_table(EVIL, [EVIL, "n"], [[EVIL, 1]]))
    assert text.count(SHOWN) == 3
    assert obeyed(text.replace("\x1b[1m", "").replace("\x1b[0m", "")) == set()


@pytest.mark.parametrize("terminal", [True, False])
def test_progress(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    monkeypatch.setattr(console, "_PLAIN_EVERY_S", -1.0)
    monkeypatch.setattr(Terminal, "isatty", lambda self: terminal)

    def work() -> None:
        with console.progress(EVIL, 2, "videos") as bar:
            bar.tell(EVIL)
            bar.advance()

    assert not [sequence for sequence in EVIL_SEQUENCES if sequence in said(work)]


def test_json_is_escaped_and_says_the_same() -> None:
    text = said(lambda: console.show_json({"said": EVIL, "π": "naïve"}))
    assert obeyed(text) == set()
    assert json.loads(text) == {"said": EVIL, "π": "naïve"}
    assert "naïve" in text


def test_errors() -> None:
    fault = SumlError(f"{EVIL}.mp4", EVIL, got=EVIL, expected="a video", fix="Replace it.")
    assert obeyed(str(fault)) == set()
    assert r"\x1b[2J" in str(fault)
    assert fault.got == EVIL  # as it is, for whoever escapes it in another way


def test_lineage() -> None:
    from sumlctl.cli.run import _tree

    file = File(EVIL, "gone", "ab", EVIL, EVIL, {"sumlctl": EVIL}, {"a": EVIL}, (), EVIL)
    text = said(lambda: Console(width=400).print(_tree({EVIL: file}, EVIL, set())))
    assert r"\x1b[2J" in text
    assert not [sequence for sequence in EVIL_SEQUENCES if sequence in text]


def test_immense_values_are_cut() -> None:
    fault = SumlError("x", "y", got="a" * 10**6, expected="z", fix="Mend it.")
    assert len(str(fault)) < 3000
