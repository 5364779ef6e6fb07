"""The third-person clip that belongs to a first-person clip, as mining pairs them (Sec. 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from sumlctl import tables
from sumlctl.config import Pipeline
from sumlctl.config.sections import Data
from sumlctl.learning.data import clips
from sumlctl.learning.data.clips import ClipSet
from sumlctl.tables.narration_vectors import NarrationVectors
from sumlctl.workspace import Workspace


@dataclass(frozen=True)
class Partner:
    """A pseudo-pair's third-person side.

    Args:
        place: of the clip in the pool.
        similarity: cosine of both narrations.
        in_table: whether the pairs table says so; otherwise it was mined now.
    """

    place: int
    similarity: float
    in_table: bool


def find(
    workspace: Workspace, data: Data, rows: pl.DataFrame, pipeline: Pipeline | None = None
) -> tuple[ClipSet, list[Partner | None]]:
    """The partner of each first-person clip.

    A clip that the pairs table does not have (one that was not trained on) gets the partner of a
    clip that says the same, and else the clip whose narration is most similar to its own (Eq. 1).

    Args:
        workspace: where the tables are.
        data: the run's datasets and encoder.
        rows: clip_id and narration of the first-person clips.
        pipeline: as for `clips.load`.

    Returns:
        The pool of third-person clips that can be decoded, and the partners; none for a clip
        without a narration.

    Raises:
        SumlError: a table is missing or does not fit.
    """
    path = workspace.pairs(data.fpv, data.tpv)
    table = tables.read(path, "pairs")
    split = (tables.metadata(table, "config") or {}).get("split", data.train_split)
    pool = clips.load(workspace, data.tpv, "tpv", split, pipeline=pipeline)
    place = {clip.clip_id: i for i, clip in enumerate(pool.clips)}
    known: dict[str, tuple[int, float]] = {}
    by_text: dict[str, tuple[int, float]] = {}
    best = clips.frame(table).filter(pl.col("rank") == 0)
    columns = ("fpv_clip_id", "fpv_narration", "tpv_clip_id", "similarity")
    for clip_id, narration, partner, similarity in best.select(columns).iter_rows():
        if partner in place:
            known[clip_id] = place[partner], similarity
            by_text.setdefault(narration, known[clip_id])
    nearest = _Nearest(workspace, data, pool)
    partners: list[Partner | None] = []
    for clip_id, narration in rows.select("clip_id", "narration").iter_rows():
        if not narration:
            partners.append(None)
            continue
        found = known.get(clip_id) or by_text.get(narration)
        at, similarity = found or nearest(narration)
        partners.append(Partner(at, similarity, found is not None))
    return pool, partners


class _Nearest:
    """Finds the clip with the most similar narration; reads vectors when first asked."""

    def __init__(self, workspace: Workspace, data: Data, pool: ClipSet) -> None:
        self._workspace, self._data = workspace, data
        texts = np.array(pool.rows.get_column("narration").to_list(), dtype=object)
        self._told = np.flatnonzero(texts != "")
        self._texts = texts[self._told].tolist()
        self._read: tuple[NarrationVectors, np.ndarray] | None = None

    def __call__(self, narration: str) -> tuple[int, float]:
        if self._read is None:
            datasets = [self._data.fpv, *self._data.tpv]
            narrated = NarrationVectors(self._workspace, datasets, self._data.encoder)
            self._read = narrated, narrated.of(self._texts)
        narrated, pool = self._read
        cosines = pool @ narrated.of([narration])[0]
        return int(self._told[cosines.argmax()]), float(cosines.max())
