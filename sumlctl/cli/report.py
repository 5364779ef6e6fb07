"""`report`: a run, its data and its pairs as one page."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from sumlctl.cli.common import CURRENT_FOLDER, JsonOption, WorkspaceOption
from sumlctl.report import MAPS, PREVIEWS
from sumlctl.workspace import Workspace


def register(app: typer.Typer) -> None:
    app.command()(report)


def report(
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="Default: the newest."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Default: runs/RUN/report.html.")
    ] = None,
    previews: Annotated[int, typer.Option(min=0, help="Pairs with moving pictures.")] = PREVIEWS,
    maps: Annotated[int, typer.Option(min=0, help="Clips with activation maps.")] = MAPS,
    against: Annotated[
        list[str] | None,
        typer.Option(metavar="RUN", help="A run to compare with; default all of the same split."),
    ] = None,
    workspace: WorkspaceOption = CURRENT_FOLDER,
    json: JsonOption = False,
) -> None:
    """Write one HTML page that tells it all, and needs no network."""
    from sumlctl import console
    from sumlctl.report import page

    with nullcontext() if out else _withdrawn(workspace, run):
        written = page.write(
            workspace, run, out, previews=previews, maps=maps, against=against or ()
        )
    size = written.stat().st_size
    if json:
        console.show_json({"report": str(written), "bytes": size})
        return
    console.show(str(written))
    console.note(f"wrote {written} ({size / 1e6:.1f} MB)")


def _withdrawn(workspace: Workspace, run: str | None) -> AbstractContextManager[None]:
    """Withdraws what `sumlctl run` said of the page that is written over, if it wrote it."""
    from sumlctl import config
    from sumlctl.workflow import records, run_steps

    folder = next((f for f in reversed(workspace.runs()) if run in (None, f.name)), None)
    if folder is None or not (folder / "receipts" / "report.json").is_file():
        return nullcontext()
    data = config.load(folder / "pipeline.toml").data
    return records.in_progress(workspace, run_steps.report(workspace, folder.name, data))
