"""The two sides of a search: clips as a run's branches see them, and texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from sumlctl import console
from sumlctl.errors import SumlError
from sumlctl.evaluation.retrieval.embeddings import embed
from sumlctl.evaluation.trained import Trained
from sumlctl.evaluation.views import Views
from sumlctl.learning.data import clips
from sumlctl.learning.data.clips import Clip
from sumlctl.learning.tasks import Vocabularies
from sumlctl.tables.narration_vectors import NarrationVectors
from sumlctl.workspace import Workspace

COLUMNS = ("clip_id", "dataset", "narration", "verbs", "nouns", "actions")

# (the narration encoder's name and digest, texts) -> unit vectors [n, d]
Encode = Callable[[Mapping[str, Any], Sequence[str]], np.ndarray]


@dataclass(frozen=True)
class SearchSet:
    """Queries, or what is searched.

    Args:
        name: `fpv`, `tpv` or `text`.
        rows: columns `COLUMNS` of the clips table; a text has those of the first clip that is
            told so, and empty ones if there is none.
        clips: where the frames are; none for texts.
        vectors: unit vectors, float32 [n, d].
        vocabularies: of the clips' datasets.
    """

    name: str
    rows: pl.DataFrame
    clips: Sequence[Clip]
    vectors: np.ndarray
    vocabularies: Vocabularies

    @property
    def narrations(self) -> list[str]:
        return self.rows.get_column("narration").to_list()


def from_clips(
    workspace: Workspace, trained: Trained, viewpoint: str, split: str | None, views: Views
) -> SearchSet:
    """The clips of one view as its branch sees them.

    Args:
        workspace: where the tables are.
        trained: the run.
        viewpoint: whose clips and branch.
        split: of the clips; default the evaluation split, or the training split of third-person
            datasets that have no other.
        views: windows and crops per clip.

    Raises:
        SumlError: a table is missing, no clip decodes, or the branch has no projection.
    """
    data = trained.pipeline.data
    datasets = [data.fpv] if viewpoint == "fpv" else data.tpv
    trained.branch(viewpoint)
    chosen = split or _split(workspace, datasets, viewpoint, data.eval_split, data.train_split)
    found = clips.load(workspace, datasets, viewpoint, chosen, pipeline=trained.pipeline)
    places, vectors = embed(trained, viewpoint, found, views)
    rows = found.rows[places].select(COLUMNS)
    return SearchSet(viewpoint, rows, [found.clips[i] for i in places], vectors, found.vocabularies)


def _split(
    workspace: Workspace, datasets: Sequence[str], viewpoint: str, wanted: str, otherwise: str
) -> str:
    there = (clips.splits(workspace, dataset, viewpoint) for dataset in datasets)
    if viewpoint == "fpv" or any(wanted in splits for splits in there):
        return wanted
    console.note(f"no {viewpoint} clips of split {wanted}: searching those of {otherwise}")
    return otherwise


def from_narrations(base: SearchSet, narrated: NarrationVectors) -> SearchSet:
    """Every distinct narration of the base's clips.

    Raises:
        SumlError: there is none.
    """
    rows = base.rows.filter(pl.col("narration") != "")
    if rows.is_empty():
        raise SumlError(
            "--query text",
            f"no {base.name} clip has a narration",
            got=f"{len(base.clips):,} clips without one",
            expected="texts to search for",
            fix="Give them with --text.",
        )
    rows = rows.unique("narration", keep="first", maintain_order=True)
    vectors = narrated.of(rows.get_column("narration").to_list())
    return SearchSet("text", rows, [], vectors, base.vocabularies)


def from_texts(
    texts: Sequence[str], base: SearchSet, narrated: NarrationVectors, encode: Encode
) -> SearchSet:
    """Texts of the user's own, which have no labels.

    Args:
        texts: the texts.
        base: where they will be searched.
        narrated: vectors that are known already.
        encode: makes those of other texts.
    """
    known = narrated.known(texts)
    new = list(dict.fromkeys(text for text, has in zip(texts, known, strict=True) if not has))
    made = dict(zip(new, encode(narrated.encoder, new), strict=True)) if new else {}
    vectors = narrated.of([text if has else "" for text, has in zip(texts, known, strict=True)])
    for i, text in enumerate(texts):
        vectors[i] = made.get(text, vectors[i])
    blank: dict[str, Any] = {"clip_id": "", "dataset": "", "verbs": [], "nouns": [], "actions": []}
    rows = pl.DataFrame([blank | {"narration": text} for text in texts], schema=base.rows.schema)
    return SearchSet("text", rows, [], vectors, {})
