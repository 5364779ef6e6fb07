"""`datasets`, `pipelines` and `doctor`: what there is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from sumlctl import console, shipped
from sumlctl.cli.common import HERE, App, JsonOption, WorkspaceOption
from sumlctl.workspace import Workspace

NameArgument = Annotated[str, typer.Argument(metavar="NAME")]


def register(app: typer.Typer) -> None:
    datasets = App(help="List and show dataset cards.", invoke_without_command=True)
    datasets.callback()(list_datasets)
    datasets.command("show")(show_dataset)
    app.add_typer(datasets, name="datasets")
    pipelines = App(help="List, show and copy pipelines.", invoke_without_command=True)
    pipelines.callback()(list_pipelines)
    pipelines.command("show")(show_pipeline)
    pipelines.command("copy")(copy_pipeline)
    app.add_typer(pipelines, name="pipelines")
    app.command()(doctor)


def list_datasets(
    context: typer.Context, workspace: WorkspaceOption = HERE, json: JsonOption = False
) -> None:
    """Dataset cards: what there is."""
    if context.invoked_subcommand:
        return
    from sumlctl.card import parse

    cards = [parse(p) for p in shipped.available("manifests", workspace.manifests).values()]
    rows: list[dict[str, Any]] = [
        {
            "name": card.name,
            "title": card.title,
            "viewpoints": " ".join(card.viewpoints),
            "reader": card.reader,
            "expected_clips": sum(
                n.get(v, 0) for n in card.expected.values() for v in n if v != "videos"
            ),
            "indexed": workspace.table(card.name, "clips").is_file(),
        }
        for card in cards
    ]
    if json:
        console.show_json(rows)
        return
    header = [key.replace("_", " ") for key in rows[0]]
    console.show_table("datasets", header, [list(row.values()) for row in rows])


def show_dataset(
    name: NameArgument, workspace: WorkspaceOption = HERE, json: JsonOption = False
) -> None:
    """Print a dataset's card."""
    from sumlctl import card as cards

    card = cards.load(name, workspace)
    if json:
        console.show_json(asdict(card) | {"path": str(card.path)})
    else:
        console.show(f"# {card.path}\n{card.path.read_text(encoding='utf-8').rstrip()}")


def list_pipelines(
    context: typer.Context, workspace: WorkspaceOption = HERE, json: JsonOption = False
) -> None:
    """Pipelines: what there is."""
    if context.invoked_subcommand:
        return
    from sumlctl.workflow import catalogue

    rows = [asdict(entry) for entry in catalogue.entries(workspace)]
    if json:
        console.show_json(rows)
        return
    header = ("table", "name", "title", "missing")
    shown = [[*(row[key] for key in header[:3]), ", ".join(row["missing"])] for row in rows]
    console.show_table("pipelines", header, shown)


def show_pipeline(name: NameArgument, workspace: WorkspaceOption = HERE) -> None:
    """Print a pipeline with every setting, those that it inherits and defaults too."""
    from sumlctl.workflow import catalogue

    console.show(catalogue.resolved(name, workspace).rstrip())


def copy_pipeline(
    name: NameArgument,
    to: Annotated[str | None, typer.Option(help="Name of the copy.")] = None,
    workspace: WorkspaceOption = HERE,
) -> None:
    """Copy a pipeline into the workspace, to change it there."""
    from sumlctl.errors import SumlError
    from sumlctl.tables import whole_file

    path = shipped.find("pipelines", name, workspace.pipelines)
    target = workspace.pipelines / f"{to or name}.toml"
    if target.exists():
        raise SumlError(
            target,
            "file is there already",
            got="a file",
            expected="a free name",
            fix="Choose another name with --to.",
        )
    with whole_file(target) as beside:
        beside.write_bytes(path.read_bytes())
    console.show(str(target))


def doctor(
    cross_check: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Read N random windows with both decoders instead."),
    ] = None,
    workspace: WorkspaceOption = HERE,
    json: JsonOption = False,
) -> None:
    """Say what this machine has, and what is missing."""
    from sumlctl.workflow.doctor import examine

    if cross_check is not None:
        _cross_check(workspace, cross_check, json)
        return

    findings = list(examine(workspace))
    if json:
        console.show_json([asdict(finding) for finding in findings])
    else:
        rows = [(f.status, f.what, f.found, f.fix) for f in findings]
        console.show_table("doctor", ("", "what", "found", "what to do"), rows)
    if any(finding.status == "missing" for finding in findings):
        raise typer.Exit(1)


def _cross_check(workspace: Workspace, count: int, json: bool) -> None:
    from sumlctl.workflow import cross_check

    found = [asdict(window) for window in cross_check.cross_check(workspace, count)]
    if json:
        console.show_json(found)
    else:
        rows = [list(window.values()) for window in found]
        header = [name.replace("_", " ") for name in found[0]]
        console.show_table("PyAV against decord", header, rows)
    if any(window["result"] == "differs" for window in found):
        raise typer.Exit(1)
