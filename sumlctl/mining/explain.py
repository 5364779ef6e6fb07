"""`sumlctl pairs`: why a clip has the partner it has, and lists of pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from sumlctl import tables
from sumlctl.errors import SumlError, unknown_name
from sumlctl.mining.search import nearest
from sumlctl.mining.side import MiningSide, narrated
from sumlctl.workspace import Workspace

_NEXT_BEST = 5
SORTS = ("similarity", "-similarity", "clip")


def show(path: Path, clip_id: str, workspace: Workspace) -> dict[str, Any]:
    """One pair and its competition: the winner, the next five narrations, the margin.

    Args:
        path: the pairs table.
        clip_id: the first-person clip.
        workspace: where the tables that the pairs came from are.

    Raises:
        SumlError: no such clip, or a table has gone.
    """
    table = tables.read(path, "pairs")
    config = tables.made_with(path, "pairs", table, "fpv", "tpv", "split", "encoder")
    encoder = config["encoder"]["name"]
    first = MiningSide.load(workspace, [config["fpv"]], "fpv", config["split"])
    clip = first.clips.filter(pl.col("clip_id") == clip_id)
    if clip.is_empty():
        ids = first.clips.get_column("clip_id").to_list()
        raise unknown_name(path.name, "clip", clip_id, ids)
    pool = MiningSide.load(workspace, config["tpv"], "tpv", config["split"])
    vectors = narrated(workspace, [config["fpv"], *config["tpv"]], encoder)
    narration = clip.item(0, "narration")
    k = min(_NEXT_BEST + 1, len(pool.texts))
    similarity, rows = nearest(vectors.of([narration]), vectors.of(pool.texts), k)
    ranked = [
        {
            "narration": text,
            "similarity": float(s),
            "clips": pool.clips.filter(pl.col("narration") == text).height,
        }
        for s, text in zip(similarity[0], pool.texts.gather(rows[0]), strict=True)
    ]
    mined = pl.DataFrame(pl.from_arrow(table)).filter(pl.col("fpv_clip_id") == clip_id)
    return {
        "fpv_clip_id": clip_id,
        "fpv_narration": narration,
        "encoder": encoder,
        "pairs": mined.sort("rank").drop("fpv_clip_id", "fpv_narration").to_dicts(),
        "winner": ranked[0],
        "next": ranked[1:],
        "margin": ranked[0]["similarity"] - ranked[1]["similarity"] if k > 1 else None,
        "fpv_clips_with_this_narration": first.clips.filter(
            pl.col("narration") == narration
        ).height,
    }


def listing(
    path: Path,
    *,
    sort: str = "similarity",
    contains: str = "",
    low: float = -1.0,
    high: float = 1.0,
    verb: bool | None = None,
    noun: bool | None = None,
    limit: int = 20,
) -> tuple[pl.DataFrame, int]:
    """Pairs of a table, sorted and filtered.

    Args:
        path: the pairs table.
        sort: `similarity` (best first), `-similarity`, or `clip` (the table's order).
        contains: text that either narration holds.
        low: least similarity.
        high: greatest similarity.
        verb: only pairs that share a verb (True) or do not (False).
        noun: the same for nouns.
        limit: rows returned; 0 for all.

    Returns:
        The rows, and how many there are before the limit.
    """
    if sort not in SORTS:
        fix = "Correct the option."
        raise SumlError("--sort", "unknown order", got=sort, expected=" or ".join(SORTS), fix=fix)
    rows = pl.DataFrame(pl.from_arrow(tables.read(path, "pairs")))
    rows = rows.filter(pl.col("similarity").is_between(low, high))
    if contains:
        said = pl.concat_str("fpv_narration", pl.lit("\n"), "tpv_narration")
        rows = rows.filter(said.str.contains(contains.lower(), literal=True))
    for column, wanted in (("shared_verb", verb), ("shared_noun", noun)):
        if wanted is not None:
            rows = rows.filter(pl.col(column) == wanted)
    if sort != "clip":
        keys = ["similarity", "fpv_clip_id"]
        rows = rows.sort(keys, descending=[sort == "similarity", False], maintain_order=True)
    return (rows.head(limit) if limit else rows), rows.height
