"""`sumlctl cam`: what a run looks at in clips, beside another run and the paired clip (Fig. 4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from sumlctl import console, tables
from sumlctl.errors import SumlError, unknown_name
from sumlctl.evaluation import trained
from sumlctl.evaluation.cam import partners
from sumlctl.evaluation.cam.panels import Panel, Source
from sumlctl.evaluation.trained import Trained
from sumlctl.learning.data import clips
from sumlctl.learning.data.clips import ClipSet
from sumlctl.learning.data.requests import Failure
from sumlctl.learning.tasks import Task, Vocabularies
from sumlctl.learning.training.launch import launch
from sumlctl.workspace import Workspace

OF = ("truth", "predicted")
Classes = list[dict[str, int]]


@dataclass(frozen=True)
class Example:
    """One first-person clip.

    Args:
        clip_id: the clip.
        narration: what it is said to show.
        panels: for each task what the other run sees, what this run sees, and what this run's
            third-person branch sees in the paired clip.
        weights: sha256 of this run's checkpoint.
    """

    clip_id: str
    narration: str
    panels: list[Panel]
    weights: str


def cam(
    workspace: Workspace,
    run: str,
    *,
    against: str | None = None,
    clip_ids: Sequence[str] = (),
    split: str | None = None,
    count: int = 8,
    checkpoint: str | None = None,
    of: str = "truth",
    relative: bool = False,
    decoder: str | None = None,
) -> Iterator[Example]:
    """Class activation maps of clips: of their central window, over whole frames.

    Frames are scaled as for evaluation, but nothing is cut off their sides, so that a map covers
    the frame; only an encoder of one input size sees no more than the central square.

    Args:
        workspace: where the runs and tables are.
        run: whose first-person branch looks at the clips, and its third-person branch, if the
            checkpoint has one, at their partners.
        against: a run to show beside it.
        clip_ids: which clips; default `count` of a split, evenly spread.
        split: of the clips; default the run's evaluation split.
        count: how many.
        checkpoint: a file under the run's checkpoints, or a path; default `stage_two.pt`.
        of: `truth` for a clip's own class, the predicted one where it has none; or `predicted`.

        relative: whether maps leave out what speaks for all classes of a task alike.
        decoder: who decodes; default that of the run's pipeline.

    Returns:
        Examples in the order of the clips; those that cannot be decoded are named and left out.

    Raises:
        SumlError: no such run or clip, runs of different classes, a table or checkpoint does not
            fit, or, once all clips were tried, none can be decoded.
    """
    if of not in OF:
        raise unknown_name("--of", "choice of classes", of, OF)
    main = trained.load(workspace, run, checkpoint).read_by(decoder)
    main.branch("fpv")
    chosen = _chosen(workspace, main, [*dict.fromkeys(clip_ids)], split, count)
    runs = [trained.load(workspace, against)] if against is not None else []
    wanted: Classes = [{} for _ in range(len(chosen))]
    sources = []
    for one in (*runs, main):
        one.branch("fpv")
        one.check_classes("fpv", chosen)
        if of == "truth":
            wanted = _truth(one.tasks["fpv"], chosen.rows)
        narrations = chosen.rows.get_column("narration").to_list()
        nothing = [None] * len(chosen)
        sources.append(Source(one, "fpv", chosen.clips, narrations, nothing, wanted, relative))
    paired = _paired(workspace, main, chosen, wanted, relative)
    return _examples(chosen, sources, paired)


def _chosen(
    workspace: Workspace, main: Trained, clip_ids: Sequence[str], split: str | None, count: int
) -> ClipSet:
    """The clips to look at, those asked for or some of a split."""
    how = main.pipeline
    data = how.data
    if not clip_ids:
        found = clips.load(workspace, [data.fpv], "fpv", split or data.eval_split, pipeline=how)
        spread = np.linspace(0, len(found) - 1, min(count, len(found)))
        return _part(found, spread.round().astype(int).tolist())
    path = workspace.table(data.fpv, "clips")
    rows = clips.frame(tables.read(path, "clips", ["clip_id", "viewpoint", "split"]))
    splits = dict(rows.filter(pl.col("viewpoint") == "fpv").select("clip_id", "split").iter_rows())
    for clip_id in clip_ids:
        if clip_id not in splits:
            raise unknown_name("--clip", f"first-person clip in {path}", clip_id, splits)
    parts = []
    for of_split in dict.fromkeys(splits[clip_id] for clip_id in clip_ids):
        found = clips.load(workspace, [data.fpv], "fpv", of_split, pipeline=how)
        place = {clip.clip_id: i for i, clip in enumerate(found.clips)}
        asked = [clip_id for clip_id in clip_ids if splits[clip_id] == of_split]
        if without := [clip_id for clip_id in asked if clip_id not in place]:
            raise SumlError(
                "--clip",
                "the clip has no video",
                got=without[0],
                expected="a clip that can be decoded",
                fix="Choose another, or index the dataset again with its videos.",
            )
        parts.append(_part(found, [place[clip_id] for clip_id in asked]))
    return ClipSet(
        [clip for part in parts for clip in part.clips],
        pl.concat(part.rows for part in parts),
        pl.concat(part.annotated for part in parts),
        parts[0].vocabularies,
        {},
    )


def _part(found: ClipSet, places: Sequence[int]) -> ClipSet:
    rows = found.rows[list(places)]
    return ClipSet([found.clips[i] for i in places], rows, rows, found.vocabularies, {})


def _truth(tasks: Sequence[Task], rows: pl.DataFrame) -> Classes:
    """Each clip's class by task, the first of several."""
    wanted: Classes = [{} for _ in range(rows.height)]
    for task in tasks:
        for classes, labels in zip(wanted, task.labels(rows), strict=True):
            if labels:
                classes[task.name] = labels[0]
    return wanted


def _paired(
    workspace: Workspace, main: Trained, chosen: ClipSet, wanted: Classes, relative: bool
) -> Source | None:
    """The clips' partners for the third-person branch; None, with a remark, without them."""
    if "tpv" not in main.model:
        console.note(f"no third-person rows: {main.path.name} of {main.run} has no such branch")
        return None
    try:
        pool, found = partners.find(workspace, main.pipeline.data, chosen.rows, main.pipeline)
        main.check_classes("tpv", pool)
    except SumlError as error:
        console.warn(f"no third-person rows: {error}")
        return None
    mined = sum(one is not None and not one.in_table for one in found)
    if mined:
        console.note(f"{mined} of {len(found)} clips are in no pair; their partners were mined now")
    places = [one.place if one else 0 for one in found]
    rows = pool.rows[places]
    classes: Classes = [{} for _ in found]
    if any(wanted):
        tasks = {task.name: task for task in main.tasks["fpv"]}
        for task in main.tasks["tpv"]:
            same = _Same(tasks.get(task.name), chosen.vocabularies, task, pool.vocabularies)
            for own, theirs, labels in zip(classes, wanted, task.labels(rows), strict=True):
                if labels:
                    own[task.name] = same.best(labels, theirs.get(task.name))
    return Source(
        main,
        "tpv",
        [pool.clips[one.place] if one else None for one in found],
        rows.get_column("narration").to_list(),
        [one.similarity if one else None for one in found],
        classes,
        relative,
    )


class _Same:
    """Finds the label of a third-person clip that means what the first-person clip's does."""

    def __init__(
        self, fpv: Task | None, fpv_words: Vocabularies, tpv: Task, tpv_words: Vocabularies
    ) -> None:
        self._fpv = _words(fpv, fpv_words) if fpv else []
        self._tpv = _words(tpv, tpv_words)

    def best(self, labels: Sequence[int], wanted: int | None) -> int:
        """The first label that shares a word with the class wanted, else the first."""
        words = self._fpv[wanted] if wanted is not None else set()
        return next((label for label in labels if self._tpv[label] & words), labels[0])


def _words(task: Task, vocabularies: Vocabularies) -> list[set[str]]:
    """The words of each of a task's classes."""
    return [
        set(words) for block in task.blocks for words in vocabularies[block.dataset][block.column]
    ]


def _examples(
    chosen: ClipSet, sources: Sequence[Source], paired: Source | None
) -> Iterator[Example]:
    """Looks at one clip after another; the last of the sources is the run itself."""
    device, weights = launch(1, "32-true").device, tables.digest(sources[-1].trained.path)
    streams = [source.panels(device) for source in (*sources, *([paired] if paired else ()))]
    shown = 0
    named: set[str] = set()
    with console.progress("cam", len(chosen), "clips") as bar:
        for row, found in zip(
            chosen.rows.iter_rows(named=True), zip(*streams, strict=True), strict=True
        ):
            for failure in found:
                if isinstance(failure, Failure) and failure.clip_id not in named:
                    named.add(failure.clip_id)
                    console.warn(f"{failure.clip_id} cannot be shown: {failure.reason}")
            if isinstance(found[len(sources) - 1], list):
                shown += 1
                panels = [panel for one in found if isinstance(one, list) for panel in one]
                yield Example(row["clip_id"], row["narration"], _by_task(panels), weights)
            bar.advance()
    if not shown:
        raise SumlError(
            "cam",
            "not one clip can be decoded",
            got=f"{len(chosen):,} failures",
            expected="readable videos",
            fix="Run `sumlctl index` again: it finds the videos at fault.",
        )


def _by_task(panels: Sequence[Panel]) -> list[Panel]:
    tasks = list(dict.fromkeys(panel.task for panel in panels))
    return sorted(panels, key=lambda panel: tasks.index(panel.task))
