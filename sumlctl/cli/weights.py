"""`convert`: weights of other programs, into our names and back."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sumlctl import console
from sumlctl.cli.common import CURRENT_FOLDER, JsonOption, WorkspaceOption

if TYPE_CHECKING:
    from sumlctl.learning.weights.convert import Conversion

_MOST_NAMED = 10  # weights named one by one; --json names them all


class Layout(StrEnum):
    """What `convert` writes."""

    SUMLCTL = "sumlctl"
    PYSLOWFAST = "pyslowfast"


def register(app: typer.Typer) -> None:
    app.command()(convert)


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN")],
    target: Annotated[Path, typer.Argument(metavar="OUT")],
    backbone: Annotated[
        str | None, typer.Option(help="What the weights are of; told from them by default.")
    ] = None,
    to: Annotated[Layout, typer.Option(help="Whose layout to write.")] = Layout.SUMLCTL,
    heads: Annotated[
        list[str] | None,
        typer.Option("--head", metavar="TASK=N", help="Classes that a head must have."),
    ] = None,
    drop_heads: Annotated[
        bool, typer.Option("--drop-heads", help="Leave out heads that --head does not name.")
    ] = False,
    task: Annotated[str, typer.Option(help="TASK in the PySlowFast configuration.")] = "",
    bgr: Annotated[
        bool, typer.Option("--bgr", help="For Ego-Exo and SUM-L configurations, which feed BGR.")
    ] = False,
    workspace: WorkspaceOption = CURRENT_FOLDER,
    json: JsonOption = False,
) -> None:
    """Read weights of any known layout and write them anew.

    IN may also be a file of the workspace, or the name of one in its data/weights.
    """
    from sumlctl.learning.weights.convert import convert as converting

    if to is Layout.SUMLCTL and (task or bgr):
        raise typer.BadParameter("only for --to pyslowfast", param_hint="--task, --bgr")
    usual = workspace.weights(str(source))
    classes = dict(_head(text) for text in heads) if heads else None
    done = converting(
        usual if usual.is_file() and not source.is_file() else source,
        target,
        backbone,
        to=to,
        classes=classes,
        drop_heads=drop_heads,
        task=task,
        bgr=bgr,
    )
    if json:
        counts = {key: len(getattr(done, key)) for key in ("used", "unused", "missing")}
        console.show_json(asdict(done) | {"counts": counts, "written": str(target)})
    else:
        _show(done, target)


def _head(text: str) -> tuple[str, int]:
    task, _, size = text.partition("=")
    if not task or not size.isdecimal():
        raise typer.BadParameter(f"{text!r} is not TASK=N, such as verb=97", param_hint="--head")
    return task, int(size)


def _show(done: Conversion, target: Path) -> None:
    if done.why:
        console.note(f"backbone: {done.backbone} ({done.why})")
    for view in done.turned:
        console.note(f"{view or 'the encoder'} expected BGR; its first convolutions take RGB now")
    heads = ", ".join(f"{name}={size}" for name, size in done.heads.items())
    console.note(f"heads: {heads or 'none'}")
    weights = {key: getattr(done, key) for key in ("used", "unused", "missing")}
    counts = ", ".join(f"{len(names):,} {key}" for key, names in weights.items())
    console.show(f"{done.origin} weights of {done.backbone}: {counts}")
    for key, names in weights.items():
        if names:
            more = len(names) - _MOST_NAMED
            rest = f" and {more:,} more" if more > 0 else ""
            console.show(f"{key}: {', '.join(names[:_MOST_NAMED])}{rest}")
    console.note(f"wrote {target}")
