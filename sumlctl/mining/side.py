"""The two sides of mining: the clips of a viewpoint and the vectors of their narrations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from sumlctl import tables
from sumlctl.errors import SumlError, unknown_name
from sumlctl.tables.narration_vectors import NarrationVectors
from sumlctl.workspace import Workspace

_LABELS = ("verbs", "nouns", "actions")
_COLUMNS = ("clip_id", "dataset", "viewpoint", "split", "video_id", "narration", *_LABELS, "status")


@dataclass(frozen=True)
class MiningSide:
    """The clips of one viewpoint that take part in mining.

    Args:
        viewpoint: `fpv` or `tpv`.
        clips: clip_id, dataset, narration, verbs, nouns, actions, `verb_words`, `noun_words`:
            the words that the vocabulary has for the labels, and `scene`: what the dataset's
            videos of one scene have in common, null where it has no such videos.
        texts: the distinct narrations in alphabetical order, so that a row number orders as its
            text does.
        sources: the tables read.
        left_out: reason -> number of clips.
    """

    viewpoint: str
    clips: pl.DataFrame
    texts: pl.Series
    sources: list[Path]
    left_out: dict[str, int]

    @property
    def labelled(self) -> bool:
        """Whether any clip has a label."""
        return any(bool((self.clips.get_column(kind).list.len() > 0).any()) for kind in _LABELS)

    @classmethod
    def load(
        cls, workspace: Workspace, datasets: Sequence[str], viewpoint: str, split: str
    ) -> MiningSide:
        """Clips of a viewpoint and split, from several datasets one after another.

        Clips without a usable video are left out as soon as their dataset has any video at all;
        with annotations alone, every clip takes part.

        Raises:
            SumlError: a dataset has no such clips.
        """
        sources = [workspace.table(name, "clips") for name in datasets]
        left_out: dict[str, int] = {}
        parts = [_clips(source, viewpoint, split, left_out) for source in sources]
        clips = pl.concat(parts)
        texts = clips.get_column("narration").unique().sort()
        return cls(viewpoint, clips, texts, sources, left_out)


def _clips(source: Path, viewpoint: str, split: str, left_out: dict[str, int]) -> pl.DataFrame:
    table = tables.read(source, "clips", _COLUMNS)
    words = tables.metadata(table, "vocabulary") or {}
    every = pl.DataFrame(pl.from_arrow(table))
    clips = every.filter(pl.col("viewpoint") == viewpoint, pl.col("split") == split)
    if clips.is_empty():
        there = every.select("viewpoint", "split").unique(maintain_order=True).rows()
        raise SumlError(
            source,
            f"no {viewpoint} clips in split {split}",
            got=", ".join(f"{v} {s}" for v, s in there) or "no clips",
            expected=f"{viewpoint} {split}",
            fix="Choose another dataset or --split.",
        )
    usable = pl.col("status").is_in(tables.DECODABLE)
    if clips.select(usable.any()).item():
        _leave_out(left_out, "no usable video", clips.filter(~usable))
        clips = clips.filter(usable)
    _leave_out(left_out, "no narration", clips.filter(pl.col("narration") == ""))
    clips = clips.filter(pl.col("narration") != "")
    return clips.select(
        "clip_id",
        "dataset",
        "narration",
        *_LABELS,
        verb_words=_words(clips, "verbs", words),
        noun_words=_words(clips, "nouns", words),
        scene=_scene(tables.metadata(table, "scene")),
    )


def _scene(pattern: str | None) -> pl.Expr:
    if pattern is None:
        return pl.lit(None, pl.String)
    return pl.concat_str("dataset", pl.col("video_id").str.extract(pattern, 1), separator="/")


def _leave_out(left_out: dict[str, int], reason: str, clips: pl.DataFrame) -> None:
    if clips.height:
        left_out[reason] = left_out.get(reason, 0) + clips.height


def _words(clips: pl.DataFrame, kind: str, vocabulary: dict[str, list[list[str]]]) -> pl.Series:
    """The words of each clip's classes, one list per clip."""
    classes = pl.DataFrame(
        {"id": range(len(vocabulary.get(kind, []))), "words": vocabulary.get(kind, [])},
        schema={"id": pl.Int32, "words": pl.List(pl.String)},
    )
    ids = clips.select(row=pl.int_range(pl.len()), id=kind).explode("id", empty_as_null=True)
    words = (
        ids.join(classes, on="id", how="left", maintain_order="left")
        .explode("words", empty_as_null=True)
        .group_by("row", maintain_order=True)
        .agg(pl.col("words").drop_nulls().unique(maintain_order=True))
    )
    return words.get_column("words")


def narrated(
    workspace: Workspace, datasets: Sequence[str], encoder: str | None
) -> NarrationVectors:
    """Vectors of the datasets' narrations.

    Args:
        workspace: where the narrations tables are.
        datasets: whose.
        encoder: name of the encoder; None when the datasets have only one in common.

    Raises:
        SumlError: no encoder in common, several, or tables made by different weights.
    """
    return NarrationVectors(workspace, datasets, encoder or _only_common(workspace, datasets))


def _only_common(workspace: Workspace, datasets: Sequence[str]) -> str:
    per_dataset = {name: workspace.encoders(name) for name in datasets}
    common = set.intersection(*(set(names) for names in per_dataset.values()))
    if len(common) == 1:
        return common.pop()
    found = "; ".join(f"{name}: {', '.join(e) or 'none'}" for name, e in per_dataset.items())
    if not common:
        fix = f"Run `sumlctl embed {' '.join(dict.fromkeys(datasets))}` with one --encoder."
    else:
        fix = f"Choose one with --encoder: {', '.join(sorted(common))}."
    raise SumlError(
        workspace.manifests,
        "which encoder is meant",
        got=found,
        expected="one encoder that all the datasets share",
        fix=fix,
    )


def check_dataset(workspace: Workspace, name: str) -> None:
    """Refuses a dataset that is not indexed, with the nearest names that are."""
    indexed = workspace.indexed()
    if name not in indexed:
        raise unknown_name("command line", "indexed dataset", name, indexed)
