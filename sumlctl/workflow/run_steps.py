"""Steps of one run: its training, its evaluation, and what is drawn of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from sumlctl.config.sections import Data
from sumlctl.tables import provenance
from sumlctl.workflow.step import Step, options, under
from sumlctl.workspace import Workspace

_VIDEO_PACKAGES = ("av", "torch", "torchvision", "pytorchvideo")


def _clips(workspace: Workspace, datasets: Collection[str]) -> list[Path]:
    """The tables of clips, and the stores that they are read from where there are any."""
    tables = [workspace.table(name, kind) for name in datasets for kind in ("clips", "videos")]
    return tables + [workspace.segments(name) for name in datasets]


def train(
    workspace: Workspace,
    run: str,
    data: Data,
    words: Sequence[str],
    settings: Callable[[], Mapping[str, Any]],
    *,
    uses_tpv: bool,
    init: str = "",
    asked: str = "",
) -> Step:
    """Pairs, or first-person clips alone -> weights.

    Args:
        workspace: where the tables are and the run goes.
        run: its name.
        data: the datasets and the encoder.
        words: the command line.
        settings: the flat settings of the training.
        uses_tpv: whether third-person clips matter.
        init: the pretrained weights that it names.
        asked: see `Step`.
    """
    folder = workspace.run(run)
    datasets = dict.fromkeys([data.fpv, *(data.tpv if uses_tpv else ())])
    read = _clips(workspace, datasets)
    if uses_tpv:
        read += [workspace.narrations(name, data.encoder) for name in datasets]
        read.append(workspace.pairs(data.fpv, data.tpv))
    return Step(
        "train",
        run,
        tuple(words),
        folder / "receipts" / "train.json",
        (*read, *([workspace.weights(init)] if init else ())),
        (workspace.checkpoint(run), folder / "pipeline.toml"),
        settings,
        asked,
        packages=(*_VIDEO_PACKAGES, "lightning-fabric"),
        as_read=lambda: under(workspace, provenance.of_training(folder)),
    )


def evaluate(
    workspace: Workspace,
    run: str,
    fpv: str,
    views: str,
    protocol: str | None = None,
    weights: Path | None = None,
    split: str | None = None,
    decoder: str | None = None,
) -> Step:
    """Weights -> predictions and metrics.

    Args:
        workspace: where the run is.
        run: its name.
        fpv: dataset of the clips.
        views: such as `10x3`.
        protocol: where another than the dataset's own was asked for.
        weights: where others than those that the run ends with were.
        split: where another than the pipeline's was.
        decoder: where another than the pipeline's was.
    """
    folder = workspace.run(run)
    used = weights or workspace.checkpoint(run)
    other = "" if used == workspace.checkpoint(run) else str(used)
    named = {"views": views, "protocol": protocol, "checkpoint": other, "split": split}
    named["decoder"] = str(decoder or "")
    chosen = {key: value for key, value in named.items() if value}
    predictions = folder / "predictions.parquet"
    return Step(
        "eval",
        run,
        ("eval", run, *options(chosen)),
        folder / "receipts" / "eval.json",
        (used, *_clips(workspace, [fpv])),
        (predictions, folder / "metrics.parquet"),
        lambda: chosen,
        packages=_VIDEO_PACKAGES,
        as_read=lambda: under(workspace, provenance.of_table(predictions).inputs),
    )


def cam(
    workspace: Workspace,
    run: str,
    data: Data,
    chosen: Mapping[str, Any],
    out: Path | None = None,
) -> Step:
    """Weights -> activation maps; `chosen` are the options of `cam`, None or empty for left out."""
    folder = workspace.run(run)
    given = {key: value for key, value in chosen.items() if value}
    runs = [run, *([given["against"]] if "against" in given else ())]
    datasets = dict.fromkeys([data.fpv, *data.tpv])
    pairs = workspace.pairs(data.fpv, data.tpv)
    drawn = out or folder / "figures" / "cam"
    return Step(
        "cam",
        run,
        ("cam", run, *options(given), *(("--out", str(drawn)) if out else ())),
        folder / "receipts" / "cam.json",
        (
            *(workspace.checkpoint(name) for name in runs),
            *_clips(workspace, datasets),
            *([pairs] if data.tpv else ()),
        ),
        (drawn,),
        lambda: given,
        packages=(*_VIDEO_PACKAGES, "matplotlib", "pillow"),
    )


def report(workspace: Workspace, run: str, data: Data, others: Sequence[str] = ()) -> Step:
    """Everything about a run, and what it gains over others -> one page."""
    folder = workspace.run(run)
    pairs = workspace.pairs(data.fpv, data.tpv)
    return Step(
        "report",
        run,
        ("report", run),
        folder / "receipts" / "report.json",
        (
            workspace.checkpoint(run),
            *(folder / f"{name}.parquet" for name in ("predictions", "metrics")),
            *([pairs] if data.tpv else ()),
        ),
        (folder / "report.html",),
        dict,
        beside=tuple(workspace.run(name) / "predictions.parquet" for name in others),
    )
