"""What `mine-pairs` reports of the pairs that it found."""

from __future__ import annotations

from typing import Any

import polars as pl

from sumlctl.console import note
from sumlctl.mining.mine import Mined
from sumlctl.mining.side import MiningSide


def summarise(mined: Mined) -> dict[str, Any]:
    """What `mine-pairs` reports; counts and shares over rank 0, the pseudo-pairs of Sec. 3.1."""
    best, kept = (p.filter(pl.col("rank") == 0) for p in (mined.pairs, mined.kept))
    similarity = best.get_column("similarity").cast(pl.Float64)
    reuse = kept.group_by("tpv_clip_id").len().sort("len", "tpv_clip_id", descending=[True, False])
    labelled = kept.drop_nulls(["shared_verb", "shared_noun"])
    verb, noun = labelled.get_column("shared_verb"), labelled.get_column("shared_noun")
    agree = {"verb": verb, "noun": noun, "both": verb & noun, "neither": ~(verb | noun)}
    n_pool = mined.tpv.clips.height
    return {
        "fpv_clips": mined.fpv.clips.height,
        "tpv_clips": n_pool,
        "fpv_narrations": len(mined.fpv.texts),
        "tpv_narrations": len(mined.tpv.texts),
        "fpv_clips_without_pair": mined.fpv.clips.height - kept.height,
        "certified": {
            "share": mined.guarantee.certified if mined.guarantee else 1.0,
            "at_once": float(mined.search.at_once.mean()) if mined.search else 1.0,
            "widened": mined.search.widened if mined.search else 0,
        },
        "ivf": mined.guarantee._asdict() if mined.guarantee else None,
        "similarity": {
            name: similarity.quantile(q, interpolation="linear")
            for name, q in (("min", 0.0), ("q1", 0.25), ("median", 0.5), ("q3", 0.75), ("max", 1.0))
        },
        "tpv_clips_used": reuse.height,
        "tpv_clips_unused": n_pool - reuse.height,
        "most_reused": None
        if reuse.is_empty()
        else {
            "tpv_clip_id": reuse.item(0, "tpv_clip_id"),
            "pairs": reuse.item(0, "len"),
            "share": reuse.item(0, "len") / kept.height,
        },
        "labelled_pairs": labelled.height,
        "same": {key: s.cast(pl.Float64).mean() for key, s in agree.items()},
    }


def say_left_out(side: MiningSide) -> None:
    """Tells which clips a side leaves out and why."""
    for reason, n in side.left_out.items():
        note(f"{side.viewpoint} side leaves out {n:,} clips: {reason}")
