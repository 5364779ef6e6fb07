"""`train` and `eval`: from pseudo-pairs to figures."""

from __future__ import annotations

from typing import Annotated

import typer

from sumlctl.cli.common import HERE, JsonOption, WorkspaceOption


def register(app: typer.Typer) -> None:
    app.command()(train)
    app.command(name="eval")(evaluate)


def train(
    pipeline: Annotated[str | None, typer.Argument(metavar="PIPELINE")] = None,
    fpv: Annotated[str | None, typer.Option(help="Dataset of the first-person clips.")] = None,
    tpv: Annotated[
        list[str] | None, typer.Option(help="Dataset of third-person clips; may be repeated.")
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="sum-l, typical-cl, triplet or fpv-only.")
    ] = None,
    backbone: Annotated[str | None, typer.Option(help="Video encoder of both views.")] = None,
    devices: Annotated[int | None, typer.Option(min=1, help="Devices to train on.")] = None,
    precision: Annotated[
        str | None, typer.Option(help="auto, 32-true, bf16-mixed or 16-mixed.")
    ] = None,
    run: Annotated[str | None, typer.Option(help="Name of the run.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any setting, as in the pipeline's TOML."),
    ] = None,
    workspace: WorkspaceOption = HERE,
    json: JsonOption = False,
) -> None:
    """Train both stages on pseudo-pairs."""
    from sumlctl import config, console, shipped

    name = pipeline or "sum-l"
    if pipeline is None:
        console.note(f"pipeline: {name}")
    options = {
        "data.fpv": fpv,
        "data.tpv": tpv or None,
        "loss.name": method,
        "backbone.name": backbone,
        "devices": devices,
        "precision": precision,
    }
    path = shipped.find("pipelines", name, workspace.pipelines)
    chosen = config.load(path, [*config.overrides(options), *(settings or ())])

    from sumlctl.learning import train as learning

    folder = learning.train(workspace, chosen, run)
    if json:
        console.show_json({"run": folder.name, "folder": str(folder)})
    else:
        console.show(f"trained {folder}; next: sumlctl eval {folder.name}")


def evaluate(
    run: Annotated[str | None, typer.Argument(metavar="RUN")] = None,
    protocol: Annotated[str | None, typer.Option(help="top-k or multi-label.")] = None,
    views: Annotated[
        str | None, typer.Option(metavar="TxS", help="Temporal x spatial views, such as 10x3.")
    ] = None,
    workspace: WorkspaceOption = HERE,
    json: JsonOption = False,
) -> None:
    """Predict with the first-person encoder, and score."""
    from sumlctl import console
    from sumlctl.evaluation import evaluate as evaluation

    metrics = evaluation.evaluate(workspace, run, protocol, views).to_pylist()
    if json:
        console.show_json(metrics)
        return
    header = ("task", "subset", "metric", "k", "value", "n_clips", "n_views")
    rows = [[row[column] for column in header] for row in metrics]
    console.show_table(metrics[0]["protocol"], [h.replace("n_", "") for h in header], rows)
