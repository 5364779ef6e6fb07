"""`datasets`, `pipelines` and `doctor`: what there is."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from sumlctl import console
from sumlctl.cli.common import CURRENT_FOLDER, App, JsonOption, WorkspaceOption
from sumlctl.config import shipped
from sumlctl.workspace import Workspace


class Viewpoint(StrEnum):
    """The camera that clips were filmed with."""

    FPV = "fpv"
    TPV = "tpv"


NameArgument = Annotated[str, typer.Argument(metavar="NAME")]


def register(app: typer.Typer) -> None:
    datasets = App(
        help="List, show, copy and make dataset configurations.", invoke_without_command=True
    )
    datasets.callback()(list_datasets)
    datasets.command("show")(show_dataset)
    datasets.command("copy")(copy_dataset)
    datasets.command("new")(new_dataset)
    app.add_typer(datasets, name="datasets")
    pipelines = App(help="List, show and copy pipelines.", invoke_without_command=True)
    pipelines.callback()(list_pipelines)
    pipelines.command("show")(show_pipeline)
    pipelines.command("copy")(copy_pipeline)
    app.add_typer(pipelines, name="pipelines")
    app.command()(doctor)


def list_datasets(
    context: typer.Context, workspace: WorkspaceOption = CURRENT_FOLDER, json: JsonOption = False
) -> None:
    """Dataset configurations: what there is."""
    if context.invoked_subcommand:
        return
    from sumlctl.config.dataset import parse
    from sumlctl.errors import SumlError, from_os_error

    rows: list[dict[str, Any]] = []
    for name, path in shipped.available("manifests", workspace.manifests).items():
        row = {"name": name, "title": "", "viewpoints": "", "reader": "", "expected_clips": 0}
        try:
            card = parse(path)
        except (SumlError, OSError) as error:  # the others are listed all the same
            console.warn(str(from_os_error(error) if isinstance(error, OSError) else error))
            row["title"] = "faults in its file, see above"
        else:
            row["title"], row["reader"] = card.title, card.reader
            row["viewpoints"] = " ".join(card.viewpoints)
            row["expected_clips"] = sum(
                n.get(v, 0) for n in card.expected.values() for v in n if v != "videos"
            )
        rows.append(row | {"indexed": workspace.table(name, "clips").is_file()})
    if json:
        console.show_json(rows)
        return
    header = [key.replace("_", " ") for key in rows[0]]
    console.show_table("datasets", header, [list(row.values()) for row in rows])


def show_dataset(
    name: NameArgument, workspace: WorkspaceOption = CURRENT_FOLDER, json: JsonOption = False
) -> None:
    """Print a dataset's configuration."""
    from sumlctl.config import dataset as cards

    card = cards.load(name, workspace)
    if json:
        console.show_json(asdict(card) | {"path": str(card.path)})
    else:
        console.show(f"# {card.path}\n{card.path.read_text(encoding='utf-8').rstrip()}")


def copy_dataset(
    name: NameArgument,
    to: Annotated[str | None, typer.Option(help="Name of the copy.")] = None,
    workspace: WorkspaceOption = CURRENT_FOLDER,
) -> None:
    """Copy a dataset's configuration into the workspace, to change it there."""
    _copy("manifests", name, workspace.manifests, to)


def new_dataset(
    name: NameArgument,
    table: Annotated[Path, typer.Option("--from", help="Its clips: CSV, Parquet or JSONL.")],
    viewpoint: Annotated[Viewpoint, typer.Option(help="Of its clips.")] = Viewpoint.FPV,
    columns: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="OURS=THEIRS", help="A column that is not to be guessed."),
    ] = None,
    workspace: WorkspaceOption = CURRENT_FOLDER,
) -> None:
    """Write the configuration of a dataset, its columns guessed from a table of clips."""
    from sumlctl.datasets import new_config

    given = {}
    for text in columns or ():
        ours, equals, theirs = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"{text} is not OURS=THEIRS", param_hint="--column")
        given[ours.strip()] = theirs.strip()
    target = _free(workspace.manifests, name)
    text = new_config.guess(name, table, viewpoint.value, given)
    _write(target, text.encode())
    console.show(f"{text.rstrip()}")
    console.note(
        f"wrote {target}; correct it where the guess is wrong, then: sumlctl index {name} "
        f"--annotations {shlex.quote(str(table.parent))} --videos FOLDER"
    )


def list_pipelines(
    context: typer.Context, workspace: WorkspaceOption = CURRENT_FOLDER, json: JsonOption = False
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


def show_pipeline(name: NameArgument, workspace: WorkspaceOption = CURRENT_FOLDER) -> None:
    """Print a pipeline with every setting, those that it inherits and defaults too."""
    from sumlctl.workflow import catalogue

    console.show(catalogue.resolved(name, workspace).rstrip())


def copy_pipeline(
    name: NameArgument,
    to: Annotated[str | None, typer.Option(help="Name of the copy.")] = None,
    workspace: WorkspaceOption = CURRENT_FOLDER,
) -> None:
    """Copy a pipeline into the workspace, to change it there."""
    _copy("pipelines", name, workspace.pipelines, to)


def _copy(kind: str, name: str, folder: Path, to: str | None) -> None:
    path = shipped.find(kind, name, folder)
    target = _free(folder, to or name)
    _write(target, path.read_bytes())
    console.show(str(target))


def _free(folder: Path, name: str) -> Path:
    """The path of a TOML that is not there yet."""
    from sumlctl.errors import SumlError
    from sumlctl.workspace import inside

    target = inside(folder, f"{name}.toml", "command line")
    if not name.strip() or name[0] in ".-" or "/" in name:
        raise SumlError(
            "command line",
            "such a name is of no use",
            got=repr(name),
            expected="a name without / that begins with neither . nor -",
            fix="Choose another name.",
        )
    if target.exists():
        raise SumlError(
            target,
            "file is there already",
            got="a file",
            expected="a free name",
            fix="Choose another name.",
        )
    return target


def _write(target: Path, content: bytes) -> None:
    from sumlctl.tables import whole_file

    with whole_file(target) as temporary:
        temporary.write_bytes(content)


def doctor(
    cross_check: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Read N random windows with both decoders instead."),
    ] = None,
    workspace: WorkspaceOption = CURRENT_FOLDER,
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
