"""Fig. 2: how similar the best third-person match is, over action classes or over clips."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from sumlctl import tables
from sumlctl.errors import SumlError
from sumlctl.workspace import Workspace

EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # the ranges of Fig. 2; below the first counts with it


@dataclass(frozen=True)
class Distribution:
    """The similarity of one pairs table.

    Args:
        fpv: first-person dataset.
        tpv: third-person pool, joined by `+`.
        by: what is counted, `class` or `clip`.
        n: how many classes or clips.
        without: how many clips the table has no pair for (`--min-similarity`, no narration).
        shares: fraction of the n per range of `edges`.
        mean: mean similarity.
        coverage: (similarity s, fraction of clips with a pair at or above s), s ascending.
        edges: limits of the ranges.
    """

    fpv: str
    tpv: str
    by: str
    n: int
    without: int
    shares: list[float]
    mean: float
    coverage: list[tuple[float, float]]
    edges: tuple[float, ...]

    @property
    def label(self) -> str:
        return f"{self.fpv} → {self.tpv}"


def distribution(
    path: Path,
    workspace: Workspace,
    *,
    by: str = "class",
    class_stat: str = "mean",
    edges: Sequence[float] = EDGES,
) -> Distribution:
    """Counts the pairs of rank 0 in a pairs table.

    An action class is the main (verb, noun) of a clip, or its action where the dataset has a
    vocabulary of actions. The similarity of a class is the mean over its clips.

    Args:
        path: the pairs table.
        workspace: where the first-person clips table is.
        by: `class` (the paper's Fig. 2) or `clip`.
        class_stat: `mean` or `max` over the clips of a class.
        edges: limits of the ranges; the last range includes its upper limit.

    Raises:
        SumlError: a table is missing, the pairs belong to other clips, or no clip has a class.
    """
    table = tables.read(path, "pairs", ["fpv_clip_id", "rank", "similarity"])
    config = tables.made_with(path, "pairs", table, "fpv", "tpv", "clips_mined")
    clips = _classes(workspace.table(config["fpv"], "clips"))
    pairs = pl.DataFrame(pl.from_arrow(table)).filter(pl.col("rank") == 0)
    joined = pairs.join(clips, left_on="fpv_clip_id", right_on="clip_id", how="inner")
    if joined.height != pairs.height or pairs.is_empty():
        raise SumlError(
            path,
            "pairs do not fit the clips table",
            got=f"{joined.height:,} of {pairs.height:,} pairs with a clip of {config['fpv']}",
            expected="pairs of the clips as they are indexed now",
            fix="Run `sumlctl mine-pairs` again.",
        )
    similarity = pl.col("similarity").cast(pl.Float64)
    if by == "class":
        stat = similarity.max() if class_stat == "max" else similarity.mean()
        labelled = joined.drop_nulls("class")
        values = labelled.group_by("class").agg(stat).get_column("similarity")
    else:
        values = joined.select(similarity).get_column("similarity")
    if values.is_empty():
        raise SumlError(
            workspace.table(config["fpv"], "clips"),
            "no clip has an action class",
            got="clips without labels",
            expected="verbs, nouns or actions",
            fix="Use --by clip, or map the label columns in the dataset's card.",
        )
    limits = [-np.inf, *edges[1:-1], np.inf]  # left-closed; the last range takes its upper limit
    shares = np.histogram(values.to_numpy(), bins=limits)[0] / len(values)
    return Distribution(
        fpv=config["fpv"],
        tpv="+".join(config["tpv"]),
        by=by,
        n=len(values),
        without=config["clips_mined"] - pairs.height,
        shares=shares.tolist(),
        mean=float(values.mean()),  # type: ignore[arg-type]
        coverage=_coverage(joined.get_column("similarity").cast(pl.Float64)),
        edges=tuple(edges),
    )


def _classes(clips: Path) -> pl.DataFrame:
    """clip_id and the class it counts for, null for a clip without labels."""
    table = tables.read(clips, "clips", ["clip_id", "verbs", "nouns", "actions"])
    frame = pl.DataFrame(pl.from_arrow(table))
    has_actions = "actions" in (tables.metadata(table, "vocabulary") or {})
    names = ["actions"] if has_actions else ["verbs", "nouns"]
    main = [pl.col(name).list.get(0, null_on_oob=True) for name in names]
    labelled = pl.any_horizontal(label.is_not_null() for label in main)
    return frame.select("clip_id", pl.when(labelled).then(pl.concat_list(main)).alias("class"))


def _coverage(similarity: pl.Series, steps: int = 100) -> list[tuple[float, float]]:
    """Fraction of clips at or above each similarity from 0 to 1."""
    levels = [i / steps for i in range(steps + 1)]
    ordered = similarity.sort()
    below = ordered.search_sorted(pl.Series(levels), side="left")
    return [(s, 1 - int(b) / len(ordered)) for s, b in zip(levels, below, strict=True)]


def range_names(edges: Sequence[float]) -> list[str]:
    """Names of the ranges, such as `[0.2, 0.4)`; the last one is closed."""
    pairs = list(itertools.pairwise(edges))
    names = [f"[{low:g}, {high:g})" for low, high in pairs]
    names[-1] = names[-1][:-1] + "]"
    names[0] = f"< {edges[1]:g}"
    return names


def tables_of(workspace: Workspace, fpv: Sequence[str], tpv: Sequence[str]) -> list[Path]:
    """Pairs tables for the datasets asked for, every one there is when nothing is asked for.

    They come in the order asked for, else small pools before large ones.

    Args:
        fpv: first-person datasets.
        tpv: third-person pools; several datasets of one pool are joined by `+`.

    Raises:
        SumlError: there is no such table.
    """
    every = {tuple(path.stem.split("--", 1)): path for path in workspace.all_pairs()}
    small_first = sorted(every, key=lambda key: (key[1].count("+"), key))
    firsts = fpv or list(dict.fromkeys(key[0] for key in small_first))
    pools = tpv or list(dict.fromkeys(key[1] for key in small_first))
    chosen = [every[first, pool] for first in firsts for pool in pools if (first, pool) in every]
    if not chosen:
        raise SumlError(
            workspace.manifests / "pairs",
            "no such pairs table",
            got=f"--fpv {' '.join(fpv) or 'any'} --tpv {' '.join(tpv) or 'any'}",
            expected=", ".join("--".join(key) for key in every) or "at least one pairs table",
            fix="Make it with `sumlctl mine-pairs --fpv NAME --tpv NAME`.",
        )
    return chosen
