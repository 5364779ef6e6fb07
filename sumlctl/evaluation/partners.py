"""The third-person clip that belongs to a first-person clip, as mining pairs them (Sec. 3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from sumlctl import tables
from sumlctl.evaluation.narrated import Narrated
from sumlctl.learning import clips
from sumlctl.learning.clips import Clip, ClipSet
from sumlctl.sections import Data
from sumlctl.workspace import Workspace


@dataclass(frozen=True)
class Partner:
    """A pseudo-pair's third-person side.

    Args:
        clip: where its frames are.
        row: its row of the clips table.
        similarity: cosine of both narrations.
        origin: `pairs table`, or `mined for it` where the table has no such narration.
    """

    clip: Clip
    row: Mapping[str, Any]
    similarity: float
    origin: str


def find(workspace: Workspace, data: Data, rows: pl.DataFrame) -> tuple[ClipSet, list[Partner]]:
    """The partner of each first-person clip.

    Mining looks at narrations alone, so a clip that the pairs table does not have (one that was
    not trained on) gets the partner of a clip that says the same, and else the clip whose
    narration is most similar to its own (Eq. 1).

    Args:
        workspace: where the tables are.
        data: the run's datasets and encoder.
        rows: clip_id and narration of the first-person clips.

    Returns:
        The third-person clips that can be decoded, and the partners.

    Raises:
        SumlError: a table is missing or does not fit.
    """
    path = workspace.pairs(data.fpv, data.tpv)
    table = tables.read(path, "pairs")
    split = (tables.metadata(table, "config") or {}).get("split", data.train_split)
    pool = clips.load(workspace, data.tpv, "tpv", split)
    place = {clip.clip_id: i for i, clip in enumerate(pool.clips)}
    known: dict[str, tuple[int, float]] = {}
    best = clips.frame(table).filter(pl.col("rank") == 0)
    columns = ("fpv_clip_id", "fpv_narration", "tpv_clip_id", "similarity")
    for clip_id, narration, partner, similarity in best.select(columns).iter_rows():
        if partner in place:
            known[clip_id] = place[partner], similarity
            known.setdefault(f"says {narration}", known[clip_id])
    nearest = _Nearest(workspace, data, pool)
    partners = []
    for clip_id, narration in rows.select("clip_id", "narration").iter_rows():
        found = known.get(clip_id) or known.get(f"says {narration}")
        at, similarity = found or nearest(narration)
        origin = "pairs table" if found else "mined for it"
        partners.append(Partner(pool.clips[at], pool.rows.row(at, named=True), similarity, origin))
    return pool, partners


class _Nearest:
    """Finds the clip with the most similar narration; reads vectors when first asked."""

    def __init__(self, workspace: Workspace, data: Data, pool: ClipSet) -> None:
        self._workspace, self._data, self._pool = workspace, data, pool
        self._read: tuple[Narrated, np.ndarray] | None = None

    def __call__(self, narration: str) -> tuple[int, float]:
        if self._read is None:
            datasets = [self._data.fpv, *self._data.tpv]
            narrated = Narrated(self._workspace, datasets, self._data.encoder)
            self._read = narrated, narrated.of(self._pool.rows.get_column("narration").to_list())
        narrated, pool = self._read
        cosines = pool @ narrated.of([narration])[0]
        return int(cosines.argmax()), float(cosines.max())
