"""`compare`: what the setups of a sweep gain over one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sumlctl import console
from sumlctl.cli.common import CURRENT_FOLDER, JsonOption, WorkspaceOption


def register(app: typer.Typer) -> None:
    app.command()(compare)


def compare(
    pipeline: Annotated[str, typer.Argument(metavar="PIPELINE")],
    against: Annotated[str, typer.Option(metavar="GROUP", help="The setup to compare with.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any setting, as for `sumlctl run`."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw it: .png, .svg or .pdf; a CSV goes beside it."),
    ] = None,
    workspace: WorkspaceOption = CURRENT_FOLDER,
    json: JsonOption = False,
) -> None:
    """Compare the setups of a sweep over seeds, with 95 % intervals."""
    from sumlctl import tables
    from sumlctl.report import sweep
    from sumlctl.workflow import gains, recipe

    sweep_of = recipe.read(pipeline, workspace, overrides or ())
    groups = gains.gather(sweep_of, workspace, against)
    if out:
        sweep.draw(groups, against, out)
        with tables.whole_file(out.with_suffix(".csv")) as beside:
            beside.write_text(sweep.csv(groups), encoding="utf-8")
        console.note(f"wrote {out} and {out.with_suffix('.csv')}")
    if json:
        console.show_json(sweep.described(groups))
    else:
        console.show_table(pipeline, *sweep.shown(groups, against))
