"""`run` and `lineage`: all the steps of a pipeline, and the way back from what they made."""

from __future__ import annotations

import contextlib
import sys
import textwrap
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sumlctl import console
from sumlctl.cli.common import (
    CURRENT_FOLDER,
    DecoderOption,
    JsonOption,
    WorkspaceOption,
    command_in,
)
from sumlctl.config import parsing
from sumlctl.errors import plain
from sumlctl.workspace import Workspace

if TYPE_CHECKING:
    from rich.tree import Tree

    from sumlctl.workflow.lineage import File
    from sumlctl.workflow.plan import Planned
    from sumlctl.workflow.recipe import Recipe

_WIDE = 1000  # columns of a tree that goes to a file
_LINE = 100  # columns of the settings in it


def register(app: typer.Typer) -> None:
    app.command()(lineage)

    @app.command()
    def run(
        pipeline: Annotated[str, typer.Argument(metavar="PIPELINE")],
        start: Annotated[
            str | None,
            typer.Option("--from", metavar="STEP", help="Leave earlier steps, do STEP again."),
        ] = None,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Say what would be done, and stop.")
        ] = False,
        results: Annotated[
            bool, typer.Option("--results", help="Show what was measured so far, and stop.")
        ] = False,
        overrides: Annotated[
            list[str] | None,
            typer.Option(
                "--set", metavar="KEY=VALUE", help="Any setting, as in the pipeline's TOML."
            ),
        ] = None,
        decoder: DecoderOption = None,
        workspace: WorkspaceOption = CURRENT_FOLDER,
        json: JsonOption = False,
    ) -> None:
        """Do the steps of a pipeline that are not up to date."""
        from sumlctl.config import overrides as overrides_of
        from sumlctl.workflow import recipe as recipes

        said = [*overrides_of({"decoder": decoder}), *(overrides or ())]
        recipe = recipes.read(pipeline, workspace, said)
        if results:
            _show_results(recipe, workspace, json)
        elif dry_run:
            _show_plan(recipe, workspace, json)
        else:
            perform(app, recipe, workspace, start, json)


def perform(
    app: typer.Typer,
    recipe: Recipe,
    workspace: Workspace,
    start: str | None = None,
    json: bool = False,
) -> None:
    """Does a pipeline and tells what came out.

    Raises:
        SumlError: it could not be done, or some cells of its matrix could not.
    """
    from sumlctl.workflow import perform as work
    from sumlctl.workflow import plan, results

    begun = time.monotonic()
    with contextlib.redirect_stdout(sys.stderr) if json else contextlib.nullcontext():
        steps = plan.plan(recipe, workspace)
        outcomes = work.perform(recipe, workspace, steps, command_in(app, workspace), start)
        done = [outcome for outcome in outcomes if outcome.status != "up to date"]
        if done and "eval" in recipe.steps:
            rows = results.collect(recipe, workspace)
            console.show("")
            console.show_table(recipe.name, *results.shown(recipe, rows))
            if recipe.swept:
                console.note(f"wrote {results.write(recipe, workspace, rows)}")
        spent = time.monotonic() - begun
        console.show(f"{recipe.name}: {'done' if done else 'nothing to do'} ({spent:.1f} s)")
    if json:
        console.show_json([asdict(outcome) for outcome in outcomes])
    if error := work.failures(recipe, outcomes):
        raise error


def _show_results(recipe: Recipe, workspace: Workspace, json: bool) -> None:
    from sumlctl.workflow import results

    rows = results.collect(recipe, workspace)
    if json:
        console.show_json(rows)
    else:
        console.show_table(recipe.name, *results.shown(recipe, rows))


def _show_plan(recipe: Recipe, workspace: Workspace, json: bool) -> None:
    from sumlctl.workflow import catalogue, plan

    rows = _planned(workspace, plan.plan(recipe, workspace))
    absent = catalogue.missing(recipe, workspace)
    if json:
        console.show_json({"steps": rows, "missing": absent})
        return
    for row in rows:
        told = row["status"]
        told += f": {'; '.join(row['reasons'])}" if row["reasons"] else ""
        console.show(f"{row['step']}: {told}" + (f" ({row['work']})" if row["work"] else ""))
    if absent:
        console.show(f"missing: {', '.join(absent)}")


def _planned(workspace: Workspace, steps: list[Planned]) -> list[dict[str, Any]]:
    from sumlctl.workflow import records, work

    rows: list[dict[str, Any]] = []
    moving: set[str] = set()
    for planned in steps:
        state = records.state(workspace, planned.step)
        status, reasons, todo = "up to date", list(state.reasons), ""
        before = [name for name in planned.after if name in moving]
        if state.edited:
            status, reasons = "edited", list(state.edited)
        elif state.reasons:
            status, todo = "will run", work.expected(workspace, planned)
        elif before:
            status, reasons = "may run", [f"depends on what {before[0]} makes"]
        if status != "up to date":
            moving.add(planned.step.name)
        row = {"step": planned.step.name, "status": status, "reasons": reasons, "work": todo}
        rows.append(row | {"command": list(planned.step.words)})
    return rows


def lineage(
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    workspace: WorkspaceOption = CURRENT_FOLDER,
    json: JsonOption = False,
) -> None:
    """Walk from a file back to annotations, decoder, weights and settings."""
    from sumlctl.workflow.lineage import trace

    trail = trace(workspace, file)
    if json:
        console.show_json([found.describe() for found in trail.values()])
        return
    screen = console.stdout()
    if not screen.is_terminal:
        screen.width = _WIDE
    screen.print(_tree(trail, next(iter(trail)), set()))


def _tree(trail: dict[str, File], name: str, told: set[str]) -> Tree:
    """A file, what is known of how it was made, and the files that it was made from."""
    from rich.text import Text
    from rich.tree import Tree

    file = trail[name]
    if name in told:
        return Tree(Text(plain(f"{name}  (above)")))
    told.add(name)
    status = "" if file.status == "as made" else file.status
    notes = [file.sha256[:12], file.holds, "given" if file.end == "given" else ""]
    label = Text(plain(name), style="bold").append(
        plain("  ".join(["", *filter(None, notes)])), style="not bold"
    )
    node = Tree(label.append(f"  {plain(status)}" if status else "", style="yellow"))
    if file.command:
        node.add(Text(plain(f"$ {file.command}")), style="cyan")
    chosen = {key: parsing.toml(value) for key, value in file.settings.items()}
    for facts in (_packages(file.made), chosen):
        said = ", ".join(f"{key} {value}" for key, value in facts.items())
        for line in textwrap.wrap(said, _LINE):
            node.add(Text(plain(line)), style="dim")
    node.children += [_tree(trail, source, told) for source in file.sources]
    if file.end and file.end != "given":
        node.add(Text(plain(file.end)), style="italic")
    return node


def _packages(made: dict[str, str]) -> dict[str, str]:
    """Under the names that people have for them."""
    return {{"av": "decoder PyAV"}.get(name, name): version for name, version in made.items()}
