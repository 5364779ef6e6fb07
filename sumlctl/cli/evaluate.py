"""`eval`: from weights to figures, and from two runs to a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sumlctl.cli.common import CURRENT_FOLDER, DecoderOption, JsonOption, WorkspaceOption
from sumlctl.workspace import Workspace

_SHOWN = ("task", "subset", "metric", "k", "value", "n_clips", "n_views")
_MOST_CLASSES = 10


def register(app: typer.Typer) -> None:
    app.command(name="eval")(evaluate)


def evaluate(
    run: Annotated[str | None, typer.Argument(metavar="RUN")] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(help="File under the run's checkpoints; with --fpv, weights from elsewhere."),
    ] = None,
    fpv: Annotated[
        str | None, typer.Option(help="Dataset to score weights from elsewhere on; makes a run.")
    ] = None,
    tpv: Annotated[
        list[str] | None, typer.Option(help="Dataset of their third-person head, if it is wanted.")
    ] = None,
    pipeline: Annotated[
        str | None, typer.Option(help="Input and views for weights from elsewhere.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Default: the run's evaluation split.")] = None,
    protocol: Annotated[
        str | None,
        typer.Option(help="ek55, ek100, charades-ego, charades-ego-nan, top-k or multi-label."),
    ] = None,
    views: Annotated[
        str | None, typer.Option(metavar="TxS", help="Temporal x spatial views, such as 10x3.")
    ] = None,
    annotations: Annotated[
        Path | None, typer.Option(help="The dataset's annotation files, for a protocol's lists.")
    ] = None,
    ci: Annotated[bool, typer.Option("--ci", help="Add 95 % intervals (bootstrap).")] = False,
    against: Annotated[
        str | None, typer.Option(metavar="RUN2", help="Show the gain over another evaluated run.")
    ] = None,
    confusion: Annotated[
        bool, typer.Option("--confusion", help="Show the classes that are confused most.")
    ] = False,
    submission: Annotated[
        Path | None, typer.Option(metavar="ZIP", help="Write the EPIC-100 challenge's file.")
    ] = None,
    sls: Annotated[
        str, typer.Option(metavar="PT,TL,TD", help="Supervision levels of the submission, 0-5.")
    ] = "2,3,3",
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Score although clips lack predictions.")
    ] = False,
    scores_only: Annotated[
        bool, typer.Option("--scores-only", help="Score the predictions that are there.")
    ] = False,
    decoder: DecoderOption = None,
    workspace: WorkspaceOption = CURRENT_FOLDER,
    json: JsonOption = False,
) -> None:
    """Predict with the first-person encoder, and score."""
    from sumlctl import console
    from sumlctl.evaluation import evaluate as evaluation
    from sumlctl.workflow import records

    levels = _levels(sls)
    if fpv or tpv or pipeline:
        run, checkpoint = _adopted(workspace, run, checkpoint, fpv, tpv or [], pipeline), None
    request = evaluation.Request(
        protocol, views, checkpoint, split, annotations, ci, allow_missing, scores_only, decoder
    )
    name = evaluation.chosen_run(workspace, run).name
    with records.in_progress(workspace, _step(workspace, name, views or "", request)):
        found = evaluation.evaluate(workspace, name, request)
        records.commit(workspace, _step(workspace, name, found.views, request))
    metrics = found.metrics.to_pylist()
    result: dict[str, Any] = {"run": found.run, "metrics": metrics}
    if against:
        result |= _compared(workspace, found, against)
    if confusion:
        result["confusion"] = _confused(found)
    if submission:
        from sumlctl.evaluation import submission as challenge

        pt, tl, td = levels
        challenge.write(
            found.predictions, found.context, submission, sls_pt=pt, sls_tl=tl, sls_td=td
        )
        console.note(f"wrote {submission}")
    if json:
        console.show_json(metrics if result.keys() == {"run", "metrics"} else result)
        return
    rows = [[row[column] for column in _SHOWN] for row in metrics]
    console.show_table(
        f"{found.run}, protocol {found.protocol}", [h.replace("n_", "") for h in _SHOWN], rows
    )
    _show_more(result, against)


def _adopted(
    workspace: Workspace,
    run: str | None,
    checkpoint: str | None,
    fpv: str | None,
    tpv: list[str],
    pipeline: str | None,
) -> str:
    """The run that is made of weights from elsewhere."""
    from sumlctl.learning.training.import_checkpoint import import_checkpoint

    if run is not None or checkpoint is None or fpv is None:
        raise typer.BadParameter(
            "weights from elsewhere are scored with --checkpoint FILE and --fpv, without RUN",
            param_hint="--fpv, --tpv, --pipeline",
        )
    return import_checkpoint(workspace, Path(checkpoint), fpv, tpv, pipeline)


def _step(workspace: Workspace, run: str, views: str, request: Any) -> Any:
    from sumlctl import config
    from sumlctl.workflow import run_steps

    pipeline = config.load(workspace.run(run) / "pipeline.toml")
    decoder = request.decoder if request.decoder != pipeline.decoder else None
    weights = None
    if request.checkpoint:
        from sumlctl.learning.checkpoints import of_run

        weights = of_run(workspace.run(run), request.checkpoint)
    chosen = request.protocol, weights, request.split, decoder
    return run_steps.evaluate(workspace, run, pipeline.data.fpv, views, *chosen)


def _levels(text: str) -> tuple[int, int, int]:
    from sumlctl.errors import SumlError

    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
        raise SumlError(
            "--sls",
            "not three supervision levels",
            got=repr(text),
            expected="PT,TL,TD such as 2,3,3",
            fix="Correct the option.",
        )
    pt, tl, td = map(int, parts)
    return pt, tl, td


def _names(found: Any) -> dict[str, list[str]]:
    """Class names of each task, from the run's own record."""
    return {task.name: task.classes for task in found.tasks}


def _compared(workspace: Workspace, found: Any, against: str) -> dict[str, Any]:
    from sumlctl.evaluation import compare
    from sumlctl.evaluation.evaluate import predictions_of

    other = predictions_of(workspace, against)
    both = (other, found.predictions, found.protocol, found.context)
    gains = compare.class_gains(*both, names=_names(found))
    return {
        "against": against,
        "comparison": compare.compare(*both).to_dicts(),
        "class_gains": gains.to_dicts(),
    }


def _confused(found: Any) -> dict[str, list[dict[str, Any]]]:
    from sumlctl.evaluation.confusion import confused

    names = _names(found)
    return {
        task.name: confused(
            found.predictions, task.name, found.context, names[task.name]
        ).to_dicts()
        for task in found.tasks
        if task.exclusive
    }


def _show_more(result: dict[str, Any], against: str | None) -> None:
    from sumlctl import console

    if against:
        _show_rows(f"\n{against} → {result['run']}", result["comparison"])
        gains = result["class_gains"]
        for task in dict.fromkeys(row["task"] for row in gains):
            rows = [row for row in gains if row["task"] == task]
            best, worst = rows[:_MOST_CLASSES], rows[_MOST_CLASSES:][-_MOST_CLASSES:]
            _show_rows(f"\n{task}: classes that gain and lose most", best + worst)
    for task, rows in result.get("confusion", {}).items():
        if rows:
            _show_rows(f"\n{task}: confused most", rows)
        else:
            console.show(f"\n{task}: nothing is confused")


def _show_rows(title: str, rows: list[dict[str, Any]]) -> None:
    from sumlctl import console

    header = list(rows[0])
    console.show_table(title, [h.replace("_", " ") for h in header], [[*r.values()] for r in rows])
