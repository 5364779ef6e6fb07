"""The pairs of a table for the pair browser: what both clips say, and what else was near."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from sumlctl import tables
from sumlctl.errors import SumlError
from sumlctl.mining.search import nearest
from sumlctl.mining.side import MiningSide
from sumlctl.tables.narration_vectors import NarrationVectors
from sumlctl.workspace import Workspace

MOST = 50_000  # pairs in a page
_CANDIDATES = 3
_THOUSANDTHS = 1000  # similarities are kept as whole thousandths: three decimals, few characters


@dataclass(frozen=True)
class Pairs:
    """The best pair of each first-person clip.

    Args:
        path: the pairs table.
        config: how it was made.
        rows: fpv_clip_id, tpv_clip_id, similarity, both narrations, shared_verb and shared_noun.
        total: pairs in the table, of any rank.
        best: those of rank 0, of which `rows` may be a part.
        similarity: of those of rank 0, float [best], descending.
    """

    path: Path
    config: dict[str, Any]
    rows: pl.DataFrame
    total: int
    best: int
    similarity: np.ndarray

    def above(self, threshold: float) -> int:
        """Return how many pairs of rank 0 exceed a similarity."""
        return int((self.similarity > threshold).sum())

    @property
    def partners(self) -> int:
        """How many third-person clips the pairs have."""
        return self.rows.get_column("tpv_clip_id").n_unique()

    @property
    def median(self) -> float:
        """Of the similarity."""
        return float(np.median(self.rows.get_column("similarity").to_numpy()))

    @property
    def split(self) -> str:
        """The split that the clips are of."""
        return self.config.get("split", "train")


def read(path: Path, most: int = MOST) -> Pairs:
    """The pairs of rank 0, the most similar first; of too many, some at even steps.

    Raises:
        SumlError: the table is missing, damaged or empty.
    """
    table = tables.read(path, "pairs")
    every = pl.DataFrame(pl.from_arrow(table))
    best = every.filter(pl.col("rank") == 0).sort(
        "similarity", descending=True, nulls_last=True, maintain_order=True
    )
    if best.is_empty():
        raise SumlError(
            path,
            "no pair in the table",
            got=f"{every.height:,} pairs of other ranks",
            expected="the best pair of each clip",
            fix="Make it again with `sumlctl mine-pairs`.",
        )
    rows = best[evenly(best.height, most)]
    made = tables.made_with(path, "pairs", table, "fpv", "tpv", "split", "encoder")
    similarity = best.get_column("similarity").to_numpy()
    return Pairs(path, made, rows, every.height, best.height, similarity)


def evenly(n: int, count: int) -> list[int]:
    """At most `count` of `n` places at even steps, the first and the last among them."""
    return np.unique(np.linspace(0, n - 1, min(count, n)).round().astype(int)).tolist()


def browsable(pairs: Pairs, near: dict[str, list[tuple[str, float]]]) -> dict[str, Any]:
    """The pairs as columns for the page's script; each narration is written once.

    Args:
        pairs: the pairs.
        near: first-person narration -> third-person narrations and similarities.

    Returns:
        said and told (the distinct narrations of both views), clips (id of each pair's
        first-person clip), partners (distinct third-person clips), said_at, told_at and
        partner_at (places in those lists), similarity and near's similarities in thousandths,
        verb and noun (1 the same, 0 another, -1 not labelled).
    """
    rows = pairs.rows
    partners, partner_at = _distinct(rows.get_column("tpv_clip_id").to_list())
    said, said_at = _distinct(rows.get_column("fpv_narration").to_list())
    candidates = [text for found in near.values() for text, _ in found]
    told, told_at = _distinct([*rows.get_column("tpv_narration").to_list(), *candidates])
    place = {text: i for i, text in enumerate(told)}
    return {
        "clips": rows.get_column("fpv_clip_id").to_list(),
        "partners": partners,
        "partner_at": partner_at,
        "said": said,
        "said_at": said_at,
        "told": told,
        "told_at": told_at[: rows.height],
        "similarity": [_thousandths(s) for s in rows.get_column("similarity")],
        **{
            kind: rows.get_column(f"shared_{kind}").cast(pl.Int8).fill_null(-1).to_list()
            for kind in ("verb", "noun")
        },
        "near": [[[place[t], _thousandths(s)] for t, s in near.get(text, ())] for text in said],
    }


def _distinct(values: Sequence[str]) -> tuple[list[str], list[int]]:
    place: dict[str, int] = {}
    at = [place.setdefault(value, len(place)) for value in values]
    return list(place), at


def _thousandths(similarity: float) -> int:
    return round(similarity * _THOUSANDTHS)


def candidates(workspace: Workspace, pairs: Pairs) -> dict[str, list[tuple[str, float]]]:
    """For each first-person narration the nearest third-person ones that its clips do not have.

    Args:
        workspace: where the clips and narrations tables are.
        pairs: the pairs.

    Raises:
        SumlError: a table that the pairs came from has gone.
    """
    made = pairs.config
    pool = MiningSide.load(workspace, made["tpv"], "tpv", pairs.split)
    vectors = NarrationVectors(workspace, [made["fpv"], *made["tpv"]], made["encoder"]["name"])
    taken: dict[str, set[str]] = {}
    for said, told in pairs.rows.select("fpv_narration", "tpv_narration").iter_rows():
        taken.setdefault(said, set()).add(told)
    texts = list(taken)
    most = max((len(partners) for partners in taken.values()), default=0)
    k = min(_CANDIDATES + most, len(pool.texts))
    similarity, rows = nearest(vectors.of(texts), vectors.of(pool.texts), k)
    return {
        text: [
            (told, float(s))
            for s, told in zip(similarity[i], pool.texts.gather(rows[i]), strict=True)
            if told not in taken[text]
        ][:_CANDIDATES]
        for i, text in enumerate(texts)
    }
