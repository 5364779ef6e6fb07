"""How much there is to do, as far as it can be told without doing it."""

from __future__ import annotations

from pathlib import Path

from sumlctl.config import dataset as cards
from sumlctl.errors import SumlError
from sumlctl.workflow.plan import Planned
from sumlctl.workspace import Workspace

_LATER = "known after the steps before it"


def expected(workspace: Workspace, planned: Planned) -> str:
    """The work of a step that is to be done, such as `210 pairs, 15 epochs of 13 steps`."""
    tell = {
        "index": _index,
        "embed": _embed,
        "mine-pairs": _mine_pairs,
        "train": _train,
        "eval": _evaluate,
    }.get(planned.step.kind)
    try:
        return tell(workspace, planned) if tell else ""
    except SumlError:  # a table is not there yet
        return _LATER


def _index(workspace: Workspace, planned: Planned) -> str:
    card = cards.load(planned.step.about, workspace)
    splits: dict[str, int] = {}
    for split, counts in card.expected.items():
        clips = sum(n for viewpoint, n in counts.items() if viewpoint != "videos")
        splits[split] = clips
    told = ", ".join(f"{split} {n:,}" for split, n in splits.items())
    return f"clips by its card: {told}" if told else ""


def _embed(workspace: Workspace, planned: Planned) -> str:
    clips, *_ = planned.step.inputs
    texts = _column(clips, "clips", "narration")
    texts.discard("")
    (vectors,) = planned.step.outputs
    known = _column(vectors, "narrations", "text") if vectors.is_file() else set()
    return f"{len(texts - known):,} of {len(texts):,} narrations to encode"


def _column(path: Path, kind: str, column: str) -> set[str]:
    from sumlctl import tables

    return set(tables.read(path, kind, [column]).column(column).to_pylist())


def _mine_pairs(workspace: Workspace, planned: Planned) -> str:
    fpv, split = planned.step.about.partition("--")[0], planned.step.settings()["split"]
    return f"{_clips(workspace, [fpv], 'fpv', split):,} first-person clips"


def _clips(workspace: Workspace, datasets: list[str], viewpoint: str, split: str) -> int:
    """Clips of a split; of a dataset with videos, those that have one."""
    from sumlctl import tables

    total = 0
    for dataset in datasets:
        columns = ["viewpoint", "split", "status"]
        table = tables.read(workspace.table(dataset, "clips"), "clips", columns)
        rows = zip(*(table.column(name).to_pylist() for name in columns), strict=True)
        found = [status for v, s, status in rows if (v, s) == (viewpoint, split)]
        usable = sum(status in tables.DECODABLE for status in found)
        total += usable or len(found)
    return total


def _train(workspace: Workspace, planned: Planned) -> str:
    cell = planned.cell
    assert cell is not None
    pipeline, data = cell.pipeline, cell.data
    stages = []
    if cell.uses_tpv and pipeline.encoders.stage_one:
        clips = _clips(workspace, data.tpv, "tpv", data.train_split)
        stages.append(("third-person clips", clips, pipeline.stage_one))
    clips = _clips(workspace, [data.fpv], "fpv", data.train_split)
    stages.append(("pairs" if cell.uses_tpv else "clips", clips, pipeline.stage_two))
    group = pipeline.devices * pipeline.optimiser.accumulate
    return "; ".join(
        f"{stage.epochs} epochs of {max(n // (stage.batch_size * group), 1):,} steps, {n:,} {what}"
        for what, n, stage in stages
    )


def _evaluate(workspace: Workspace, planned: Planned) -> str:
    assert planned.cell is not None
    data, seen = planned.cell.data, planned.cell.evaluation
    clips = _clips(workspace, [data.fpv], "fpv", data.eval_split)
    return f"{clips:,} clips in {seen.temporal_views}x{seen.spatial_views} views"
