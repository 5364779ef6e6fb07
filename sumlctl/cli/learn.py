"""`train`: from pseudo-pairs to weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sumlctl.cli.common import (
    CURRENT_FOLDER,
    DecoderOption,
    JsonOption,
    WorkspaceOption,
    command_line,
)
from sumlctl.workspace import Workspace

if TYPE_CHECKING:
    from sumlctl.config import Pipeline


def register(app: typer.Typer) -> None:
    app.command()(train)


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
    init: Annotated[str | None, typer.Option(help="Weights that both encoders start from.")] = None,
    profile: Annotated[
        str | None, typer.Option(help="paper or released-code, where the two disagree.")
    ] = None,
    devices: Annotated[int | None, typer.Option(min=1, help="Devices per node.")] = None,
    nodes: Annotated[int | None, typer.Option(min=1, help="Machines to train on.")] = None,
    precision: Annotated[
        str | None, typer.Option(help="auto, 32-true, bf16-mixed or 16-mixed.")
    ] = None,
    decoder: DecoderOption = None,
    run: Annotated[str | None, typer.Option(help="Name of the new run.")] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="RUN", help="Go on with a run that was stopped.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any setting, as in the pipeline's TOML."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and stop.")
    ] = False,
    workspace: WorkspaceOption = CURRENT_FOLDER,
    json: JsonOption = False,
) -> None:
    """Train both stages on pseudo-pairs."""
    from sumlctl import config, console

    options = {
        "data.fpv": fpv,
        "data.tpv": tpv or None,
        "loss.name": method,
        "backbone.name": backbone,
        "encoders.init": init,
        "devices": devices,
        "nodes": nodes,
        "precision": precision,
        "decoder": decoder,
    }
    overrides = [*config.overrides(options), *(settings or ())]
    file = _pipeline_file(workspace, pipeline, resume)
    chosen = config.load(file, overrides, profile, own=workspace.pipelines)

    from sumlctl.evaluation.validation import validator
    from sumlctl.learning.training import launch, runs
    from sumlctl.learning.training import train as learning
    from sumlctl.learning.training.prepare import prepare

    if dry_run:
        _dry_run(workspace, chosen, json)
        return
    if chosen.devices * chosen.nodes > 1 and not launch.started_externally():
        # Faults are told once, before there are many processes.
        prepared = prepare(workspace, chosen)
        if resume:
            runs.go_on(workspace, prepared.pipeline, resume, prepared.pairs.inputs)
        elif run:
            runs.refuse_taken(workspace, run)
        launch.spawn(chosen, command_line(), resume or run)
        return
    folder = learning.train(workspace, chosen, run, resume, validator)
    if not console.is_silent():
        _leave_receipt(workspace, folder, (file.stem, overrides, profile) if not resume else None)
    if json:
        console.show_json({"run": folder.name, "folder": str(folder)})
    else:
        console.show(f"trained {folder}; next: sumlctl eval {folder.name}")
        if (folder / "checkpoints" / "best.pt").is_file():
            console.note(
                "eval takes the weights of the last epoch, stage_two.pt; those that were best in "
                "validation, on the split that eval scores: --checkpoint best.pt"
            )


def _leave_receipt(
    workspace: Workspace, folder: Path, asked: tuple[str, list[str], str | None] | None
) -> None:
    """Tells what a run was made of.

    Args:
        workspace: where the tables are.
        folder: of the run.
        asked: pipeline, overrides and profile of a new run; None for one that was gone on with.
    """
    from sumlctl import config
    from sumlctl.config import parsing, registry
    from sumlctl.workflow import records, run_steps

    words = ["train", "--resume", folder.name]
    if asked:
        pipeline, overrides, profile = asked
        words = ["train", pipeline, "--run", folder.name]
        words += [word for text in overrides for word in ("--set", text)]
        words += ["--profile", profile] if profile else []
    trained = config.load(folder / "pipeline.toml")
    method = registry.load("losses", trained.loss.name)(**trained.loss.options)
    step = run_steps.train(
        workspace,
        folder.name,
        trained.data,
        words,
        lambda: parsing.flat(trained),
        uses_tpv=method.uses_tpv,
        init=trained.encoders.init,
    )
    records.commit(workspace, step)


def _pipeline_file(workspace: Workspace, pipeline: str | None, resume: str | None) -> Path:
    from sumlctl import console
    from sumlctl.config import shipped

    if resume is not None and pipeline is not None:
        raise typer.BadParameter("a run that goes on has its own pipeline", param_hint="--resume")
    if resume is not None:
        from sumlctl.learning.training import runs

        return runs.stored(workspace, resume)
    if pipeline is None:
        console.note("pipeline: sum-l")
    return shipped.find("pipelines", pipeline or "sum-l", workspace.pipelines)


def _dry_run(workspace: Workspace, chosen: Pipeline, json: bool) -> None:
    """Shows the plan although weights are missing, which are an error in the end."""
    from dataclasses import replace

    from sumlctl import console
    from sumlctl.errors import SumlError
    from sumlctl.learning.training.prepare import prepare

    without = None
    if chosen.encoders.init:
        try:
            workspace.find_weights(chosen.encoders.init)
        except SumlError as error:
            without = error
            console.warn(str(error))
    random = replace(chosen, encoders=replace(chosen.encoders, init=""))
    prepared = prepare(workspace, random if without else chosen)
    pipeline = replace(prepared.pipeline, encoders=chosen.encoders)
    _show_plan(replace(prepared, pipeline=pipeline), json)
    if without:
        raise without


def _show_plan(prepared: Any, json: bool) -> None:
    from dataclasses import asdict

    from sumlctl import console
    from sumlctl.config import parsing
    from sumlctl.learning.training.dry_run import plan

    planned = plan(prepared)
    if json:
        console.show_json(planned.as_dict())
        return
    console.show(parsing.dump(planned.pipeline))
    console.show_table("weights", ("part", "number"), list(planned.parameters.items()))
    rows = [asdict(stage) for stage in planned.stages]
    header = [name.replace("_", " ") for name in rows[0]]
    console.show_table("\nsteps, and estimated memory", header, [[*row.values()] for row in rows])
    for viewpoint, counts in planned.left_out.items():
        without = ", ".join(f"{n:,} {status}" for status, n in sorted(counts.items())) or "none"
        console.show(f"{viewpoint} clips without frames: {without}")
    for text in planned.missing:
        console.show(f"missing: {text}")
