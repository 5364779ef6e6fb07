"""Predictions as arrays, after checking that they are those of the split and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from sumlctl import console
from sumlctl.errors import SumlError
from sumlctl.evaluation.protocols.context import Context


@dataclass(frozen=True)
class Scored:
    """Predictions of one task.

    Args:
        task: its name.
        scores: float32 [N, C], all finite.
        rows: clip_id and target of each clip, with the columns of the clips table where the
            context has one.
        video: number of each clip's video, int64 [N].
        videos: how many videos the predictions of all tasks have.
    """

    task: str
    scores: np.ndarray
    rows: pl.DataFrame
    video: np.ndarray
    videos: int

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def target(self) -> np.ndarray:
        """Class of each clip, int64 [N]; the first of several, -1 for none."""
        return self.rows["target"].list.first().fill_null(-1).to_numpy().astype(np.int64)

    def multi_hot(self) -> np.ndarray:
        """All classes of each clip, int8 [N, C] of 0 and 1."""
        targets = np.zeros(self.scores.shape, dtype=np.int8)
        counts = self.rows["target"].list.len().to_numpy()
        targets[np.repeat(np.arange(len(self)), counts), _flat(self.rows["target"])] = 1
        return targets

    def take(self, chosen: np.ndarray) -> Scored:
        """The clips that a mask [N] chooses, or a list of places in a new order."""
        if chosen.dtype == bool:
            chosen = np.flatnonzero(chosen)
        if np.array_equal(chosen, np.arange(len(self))):
            return self
        rows = self.rows[chosen]
        return Scored(self.task, self.scores[chosen], rows, self.video[chosen], self.videos)

    def labelled(self) -> Scored:
        """The clips that have a class."""
        return self.take(self.target >= 0)


def read(
    predictions: pl.DataFrame, context: Context | None = None, labelled: bool = True
) -> dict[str, Scored]:
    """Predictions by task, in the order of the table.

    Args:
        predictions: columns of the predictions table.
        context: the clips that must be predicted, and nothing else.
        labelled: whether some clip of each task must have a label.

    Raises:
        SumlError: scores that are NaN or infinite, clips twice or of another split, clips of the
            split without prediction (unless the context allows them), targets that are no class,
            no label at all, no prediction.
    """
    context = context or Context()
    where = context.source
    if predictions.is_empty():
        fix = "Predict again with `sumlctl eval`."
        raise SumlError(where, "nothing to score", got="no row", expected="predictions", fix=fix)
    groups = {
        str(task): group.with_columns(pl.col("target").fill_null([]))
        for (task,), group in predictions.group_by("task", maintain_order=True)
    }
    scores = {task: _scores(group, where) for task, group in groups.items()}
    rows = {task: _rows(group, context) for task, group in groups.items()}
    for task in groups:
        _check_labels(rows[task], scores[task].shape[1], where, labelled)
    key = "video_id" if context.clips is not None else "clip_id"
    # Sorted, so that two runs over the same clips number their videos alike.
    known = pl.concat([r[key] for r in rows.values()]).unique().sort()
    found = {}
    for task, table in rows.items():
        video = known.search_sorted(table[key]).to_numpy().astype(np.int64)
        found[task] = Scored(task, scores[task], table, video, len(known))
    _name_missing(groups, context)
    return found


def _scores(group: pl.DataFrame, where: object) -> np.ndarray:
    lengths = group["scores"].list.len()
    size = lengths[0]
    if not size or not (lengths == size).fill_null(False).all():
        found = ", ".join(str(n) for n in lengths.unique().sort().head(5))
        fix = "Predict again with `sumlctl eval`."
        raise SumlError(
            where, "scores of several sizes", got=found, expected="one per class", fix=fix
        )
    scores = _flat(group["scores"]).reshape(-1, size)
    wrong = ~np.isfinite(scores).all(axis=1)
    if wrong.any():
        first = group["clip_id"][int(wrong.argmax())]
        raise SumlError(
            where,
            f"scores of {wrong.sum():,} clips are NaN or infinite, first {first}",
            got=f"{scores[wrong][0][~np.isfinite(scores[wrong][0])][0]}",
            expected="finite numbers",
            fix="The model diverged or its checkpoint is damaged: predict with another one.",
        )
    return scores


def _flat(lists: pl.Series) -> np.ndarray:
    """All elements of a list column; an empty list has none."""
    return lists.filter(lists.list.len() > 0).explode().to_numpy()


def _rows(group: pl.DataFrame, context: Context) -> pl.DataFrame:
    ids = group.select("clip_id", "target")
    twice = ids["clip_id"].is_duplicated()
    if twice.any():
        raise _clips_fault(context, "predicted more than once", ids["clip_id"].filter(twice))
    if context.clips is None:
        return ids
    clips = context.clips.with_columns(_known=True)
    rows = ids.join(clips, on="clip_id", how="left", maintain_order="left")
    foreign = rows["_known"].is_null()
    if foreign.any():
        raise _clips_fault(context, "not in the split", rows["clip_id"].filter(foreign))
    return rows.drop("_known")


def _clips_fault(context: Context, what: str, clips: pl.Series) -> SumlError:
    return SumlError(
        context.source,
        f"{clips.n_unique():,} clips are {what}, first {clips[0]}",
        got=f"{len(clips):,} such rows",
        expected="each clip of the split once",
        fix="Choose the split that was predicted, or predict again.",
    )


def _check_labels(rows: pl.DataFrame, classes: int, where: object, labelled: bool) -> None:
    targets = _flat(rows["target"])
    if labelled and not targets.size:
        raise SumlError(
            where,
            "no clip has a label",
            got=f"{rows.height:,} clips without",
            expected="targets",
            fix="Score a labelled split; a test set is scored by its challenge.",
        )
    if targets.size and (targets.min() < 0 or targets.max() >= classes):
        outside = rows.filter(
            pl.col("target").list.eval((pl.element() < 0) | (pl.element() >= classes)).list.any()
        )
        raise SumlError(
            where,
            f"{outside.height:,} clips have a class without score, first {outside['clip_id'][0]}",
            got=outside["target"][0].to_list(),
            expected=f"classes 0 to {classes - 1}",
            fix="Predict again with `sumlctl eval`.",
        )


def _name_missing(groups: dict[str, pl.DataFrame], context: Context) -> None:
    if context.clips is None:
        return
    told = set()
    for group in groups.values():
        missing = context.clips.join(group, on="clip_id", how="anti", maintain_order="left")
        if missing.is_empty():
            continue
        first = missing["clip_id"][0]
        what = (
            f"{missing.height:,} of {context.clips.height:,} clips of the split have no "
            f"prediction, first {first}"
        )
        if not context.allow_missing:
            raise SumlError(
                context.source,
                what,
                got=f"{group.height:,} clips",
                expected=f"{context.clips.height:,}",
                fix="Predict again once their videos are there, or allow missing clips.",
            )
        told.add(f"{context.source}: {what}; they are left out")
    for line in sorted(told):
        console.warn(line)
