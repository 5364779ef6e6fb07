"""The `sumlctl` command: registers the commands and turns faults into one line."""

from __future__ import annotations

import os
import sys

import typer

from sumlctl import __version__, console
from sumlctl.cli import (
    catalog,
    compare,
    data,
    decode,
    demo,
    evaluate,
    inspect,
    learn,
    mine,
    pairs,
    report,
    run,
    weights,
)
from sumlctl.cli.common import App
from sumlctl.errors import Interrupted, SumlError, from_os_error, plain

_INTERRUPTED = 130  # what typer exits with on Ctrl-C

app = App(
    name="sumlctl",
    help="Learn first-person video recognition from unpaired third-person videos (SUM-L).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help starts twice as fast
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"sumlctl {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
    debug: bool = typer.Option(False, "--debug", help="Show a traceback when something fails."),
) -> None:
    """Options that stand before or after any command."""


for group in (
    demo,
    run,
    compare,
    data,
    decode,
    mine,
    pairs,
    learn,
    evaluate,
    inspect,
    report,
    weights,
    catalog,
):
    group.register(app)


def main() -> None:
    """Runs one command line: exit 0 done, 1 a fault the user can mend, 2 wrong usage."""
    console.accept_any_text()
    # Threads that spin while they wait make training several times slower as soon as anything else
    # runs on the machine. OpenMP reads this when torch loads it.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    debug = "--debug" in sys.argv
    words = [word for word in sys.argv[1:] if word != "--debug"]
    try:
        _insist_on_posix()
        app(words)
    except SystemExit as stop:
        if stop.code == _INTERRUPTED:
            _say("interrupted; run the same command again to go on (a training: with --resume)")
        raise
    except Interrupted as stop:
        _say(f"interrupted: {stop}")
        sys.exit(128 + stop.signal_number)
    except Exception as error:
        if debug:
            raise
        process = f"process {os.environ.get('RANK', '')}: " if console.is_silent() else ""
        sys.stderr.write(f"error: {process}{_wording(error)}\n")
        sys.exit(1)


def _insist_on_posix() -> None:
    """Refuse Windows, where everything installs.

    Raises:
        SumlError: worker processes are limited, locked and watched in ways that only POSIX has.
    """
    if sys.platform == "win32":
        raise SumlError(
            "sumlctl",
            "Windows cannot run it",
            got="Windows",
            expected="Linux or macOS",
            fix="Use the Windows Subsystem for Linux (WSL 2).",
        )


def _wording(error: Exception) -> str:
    if isinstance(error, SumlError):
        return str(error)
    if isinstance(error, OSError) and error.errno is not None:
        return str(from_os_error(error))
    unexpected = SumlError(
        "sumlctl",
        "an unexpected fault",
        got=f"{type(error).__name__}: {error}",
        expected="none",
        fix="Run it again with --debug and report the traceback.",
    )
    return str(unexpected)


def _say(line: str) -> None:
    if not console.is_silent():
        sys.stderr.write(plain(line) + "\n")
