"""Options that many commands share, and commands that do others."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from sumlctl import console
from sumlctl.config.sections import DECODERS
from sumlctl.workspace import Workspace

CURRENT_FOLDER = Workspace(".")


def _workspace(value: str | Workspace) -> Workspace:
    return value if isinstance(value, Workspace) else Workspace(value)


class Engine(StrEnum):
    """Who does units of work."""

    LOCAL = "local"
    RAY = "ray"


def _decoder(value: str | None) -> str | None:
    if value is not None and value not in DECODERS:
        raise typer.BadParameter(f"{value!r} is not one of {', '.join(DECODERS)}")
    return value


WorkspaceOption = Annotated[
    Workspace,
    typer.Option(
        "--workspace",
        envvar="SUMLCTL_WORKSPACE",
        parser=_workspace,
        metavar="DIR",
        show_default=".",
        help="Folder that holds manifests, data and runs.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
EngineOption = Annotated[
    Engine,
    typer.Option(
        "--engine",
        envvar="SUMLCTL_ENGINE",
        help="Who does the work: processes here, or a Ray cluster.",
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        envvar="RAY_ADDRESS",
        metavar="HOST:PORT",
        help="Of a Ray cluster's head node; auto: the one here; default: a new one.",
    ),
]
DecoderOption = Annotated[
    str | None,
    typer.Option(
        "--decoder",
        metavar="|".join(DECODERS),
        callback=_decoder,
        envvar="SUMLCTL_DECODER",
        help="Who decodes videos. auto: PyAV, and decord for what PyAV fails at.",
    ),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]


class Command(TyperCommand):
    """A command that says so when an option that holds one value is given twice."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given = Counter(word.partition("=")[0] for word in args if word.startswith("--"))
        rest = super().parse_args(ctx, args)
        for option in self.params:
            repeated = sum(given[name] for name in option.opts)
            if repeated > 1 and option.nargs == 1 and not _takes_many(option):
                console.warn(f"{option.opts[-1]} is given {repeated} times: the last one counts")
        return rest


def _takes_many(option: Any) -> bool:
    return option.multiple or option.is_flag or option.param_type_name == "argument"


class App(typer.Typer):
    """An app whose commands are of that kind."""

    def command(self, *args: Any, **kwargs: Any) -> Any:
        return super().command(*args, **{"cls": Command, **kwargs})


_INTERRUPTED = 130  # what typer makes of Ctrl-C


class _Line:
    """The command line of the step that is being done, where another command does it."""

    words: list[str] | None = None


def command_line() -> list[str]:
    """The words of the command that is being done, for processes that repeat it."""
    return _Line.words or sys.argv[1:]


def command_in(app: typer.Typer, workspace: Workspace) -> Callable[[Sequence[str], str], None]:
    """What does one command line after another in this process; each is shown, and why."""

    def command(words: Sequence[str], why: str) -> None:
        console.show(f"\n$ sumlctl {shlex.join(words)}  # {why}")
        _Line.words = [*words, "--workspace", str(workspace.root)]
        try:
            code = app(_Line.words, standalone_mode=False)
        finally:
            _Line.words = None
        if code == _INTERRUPTED:
            raise KeyboardInterrupt
        if code:
            raise typer.Exit(code)

    return command
