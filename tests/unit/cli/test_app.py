"""The command line: light to start, one line per fault, the exit codes of the contract."""

from __future__ import annotations

import sys

import pytest

from sumlctl.errors import SumlError
from tests.imports import printed_without

HEAVY = ("torch", "decord", "faiss", "polars", "pyarrow", "numpy", "matplotlib", "transformers")


def test_help_imports_nothing_heavy() -> None:
    printed = printed_without(HEAVY, "--help")
    for command in ("demo", "index", "embed", "mine-pairs", "train", "eval", "histogram"):
        assert command in printed


def test_version(sumlctl) -> None:
    done = sumlctl("--version")
    assert (done.code, done.out.split()[0]) == (0, "sumlctl")


@pytest.mark.parametrize("words", [["index"], ["fly"], ["embed", "--wings"], ["mine-pairs"]])
def test_wrong_usage_is_exit_2(sumlctl, words: list[str]) -> None:
    assert sumlctl(*words).code == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["index", "ek5"], "no such dataset, got 'ek5'; expected one of"),
        (["index", "ek55"], "annotation file is missing"),
        (["embed"], "nothing is indexed"),
        (["mine-pairs", "--fpv", "ek55", "--tpv", "lemma"], "no such indexed dataset"),
        (["histogram"], "no such pairs table"),
        (["pairs", "list"], "no such pairs table"),
        (["pipelines", "show", "dmo"], "no such pipeline, got 'dmo'"),
        (["datasets", "show", "lema"], "Did you mean lemma?"),
        (["train", "dmo"], "no such pipeline"),
        (["eval", "nothing"], "nothing"),
    ],
)
def test_a_fault_is_one_line_and_exit_1(sumlctl, words: list[str], expected: str) -> None:
    done = sumlctl(*words)
    assert done.code == 1
    assert done.out == ""
    errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert expected in errors[0]
    assert "Traceback" not in done.err


def test_debug_shows_the_traceback(sumlctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["sumlctl", "index", "ek5", "--debug"])
    from sumlctl.cli.app import main

    with pytest.raises(SumlError):
        main()


@pytest.mark.parametrize("words", [["datasets"], ["--help"], ["index", "ek55"]])
def test_main_on_windows_is_one_line(
    sumlctl, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    outcome = sumlctl(*words)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == (
        "error: sumlctl: Windows cannot run it, got Windows; expected Linux or macOS. "
        "Use the Windows Subsystem for Linux (WSL 2).\n"
    )


def test_an_unexpected_fault_is_one_line_too(sumlctl, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("sumlctl.config.dataset.load", broken)
    done = sumlctl("datasets", "show", "ek55")
    assert done.code == 1
    assert "ZeroDivisionError: a bug" in done.err
    assert len(done.err.splitlines()) == 1


def test_interrupt_is_exit_130(sumlctl, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sumlctl.config.dataset.load", interrupted)
    done = sumlctl("datasets", "show", "ek55")
    assert done.code == 130
    assert (
        done.err == "interrupted; run the same command again to go on (a training: with --resume)\n"
    )
