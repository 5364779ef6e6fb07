"""Pseudo-pairs to train on: the pairs table joined with clips and narration vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from sumlctl import console, tables
from sumlctl.config import Pipeline
from sumlctl.config.sections import Data
from sumlctl.errors import SumlError
from sumlctl.learning.data import clips
from sumlctl.learning.data.clips import ClipSet
from sumlctl.tables.narration_vectors import NarrationVectors, described, differences
from sumlctl.video import quarantine
from sumlctl.video.quarantine import Quarantined
from sumlctl.workspace import Workspace

_SAME_COSINE = 1e-3  # devices differ by 1e-5


@dataclass(frozen=True)
class PairSet:
    """The best pair of each FPV clip; row i of every array is pair i.

    Args:
        fpv: first-person clips.
        tpv: third-person clips; None for a method that does not look at them.
        fpv_rows: int64 [n], places in `fpv`.
        tpv_rows: int64 [n], places in `tpv`; zeros without it.
        d_f: unit-norm narration vectors of the FPV clips, float32 [n, d]; [n, 0] without `tpv`.
        d_t: unit-norm narration vectors of the TPV clips, float32 [n, d].
        similarity: cosine of both narrations, as mined, float32 [n].
        inputs: path in the workspace -> sha256 of every table that was read, of each store too.
        ranks: number of ranks in the pairs table, of which the first is used.
    """

    fpv: ClipSet
    tpv: ClipSet | None
    fpv_rows: np.ndarray
    tpv_rows: np.ndarray
    d_f: np.ndarray
    d_t: np.ndarray
    similarity: np.ndarray
    inputs: dict[str, str]
    ranks: int = 1


def choose(workspace: Workspace, data: Data, uses_tpv: bool = True) -> Data:
    """Fills in what `data` leaves empty from the newest pairs table that fits, and says so.

    Args:
        workspace: where the tables are.
        data: what was asked for.
        uses_tpv: whether pairs are needed; without, a named first-person dataset is enough.

    Raises:
        SumlError: no pairs table fits, or it was made with another encoder or another way.
    """
    if data.fpv and not uses_tpv:
        return data
    given = bool(data.fpv and data.tpv)
    fpv, tpv = (data.fpv, data.tpv) if given else _newest(workspace, data)
    path = workspace.pairs(fpv, tpv)
    table = tables.read(path, "pairs")
    encoder = _encoder(table, path)["name"]
    match = (tables.metadata(table, "config") or {}).get("match", "text")
    if uses_tpv and match != data.match:
        raise SumlError(
            path,
            "pairs were mined another way",
            got=f"--match {match}",
            expected=f"--match {data.match}",
            fix=f"Run `sumlctl mine-pairs --match {data.match}` or `--set data.match={match}`.",
        )
    if data.encoder and data.encoder != encoder:
        raise SumlError(
            path,
            "pairs of another encoder",
            got=encoder,
            expected=data.encoder,
            fix=f"Run `sumlctl mine-pairs --encoder {data.encoder}` or change data.encoder.",
        )
    return replace(data, fpv=fpv, tpv=tpv, encoder=encoder)


def _newest(workspace: Workspace, data: Data) -> tuple[str, list[str]]:
    fitting = []
    for path in workspace.all_pairs():
        fpv, _, pool = path.stem.partition("--")
        tpv = pool.split("+")
        if data.fpv in ("", fpv) and data.tpv in ([], tpv):
            fitting.append((path.stat().st_mtime_ns, fpv, tpv))
    if not fitting:
        raise SumlError(
            workspace.manifests / "pairs",
            f"no pairs table of --fpv {data.fpv or 'any'} and --tpv {'+'.join(data.tpv) or 'any'}",
            got=f"{len(workspace.all_pairs())} others",
            expected="one that fits",
            fix="Make it with `sumlctl mine-pairs`.",
        )
    _, fpv, tpv = max(fitting)
    chosen = workspace.relative(workspace.pairs(fpv, tpv))
    console.note(f"pairs: {chosen}" + (f", newest of {len(fitting)}" if len(fitting) > 1 else ""))
    return fpv, tpv


def load(
    workspace: Workspace,
    data: Data,
    uses_tpv: bool = True,
    quarantined: Quarantined | None = None,
    pipeline: Pipeline | None = None,
) -> PairSet:
    """Reads the pairs whose clips can be decoded; without `uses_tpv`, all first-person clips.

    Args:
        workspace: where the tables are.
        data: which tables.
        uses_tpv: whether third-person clips are looked at.
        quarantined, pipeline: as for `clips.load`.

    Raises:
        SumlError: a table is missing, tables do not fit each other, or no pair is left.
    """
    how = quarantined, pipeline
    fpv = clips.load(workspace, [data.fpv], "fpv", data.train_split, *how)
    if uses_tpv:
        tpv = clips.load(workspace, data.tpv, "tpv", data.train_split, *how)
        return _paired(workspace, data, fpv, tpv)
    console.note(f"training on {len(fpv):,} FPV clips")
    n, nothing = len(fpv), np.empty((len(fpv), 0), np.float32)
    inputs = _digests(workspace, [data.fpv])
    zeros = np.zeros(n, np.float32)
    return PairSet(fpv, None, np.arange(n), np.zeros(n, int), nothing, nothing, zeros, inputs)


def _paired(workspace: Workspace, data: Data, fpv: ClipSet, tpv: ClipSet) -> PairSet:
    path = workspace.pairs(data.fpv, data.tpv)
    table = tables.read(path, "pairs")
    pairs = clips.frame(table)
    ranks = pairs.get_column("rank").n_unique()
    pairs = pairs.filter(pl.col("rank") == 0)
    for viewpoint, clip_set in (("fpv", fpv), ("tpv", tpv)):
        _check_clips(path, pairs, viewpoint, clip_set)
        places = _places(pairs[f"{viewpoint}_clip_id"], clip_set)
        pairs = pairs.with_columns(places.alias(f"{viewpoint}_row"))
    decodable = pairs.drop_nulls(["fpv_row", "tpv_row"])
    _say_left_out(path, len(fpv), pairs.height, decodable.height)
    encoder = _encoder(table, path)
    narrated = _narrated(workspace, [data.fpv, *data.tpv], encoder)
    found = PairSet(
        fpv,
        tpv,
        decodable["fpv_row"].to_numpy().astype(np.int64),
        decodable["tpv_row"].to_numpy().astype(np.int64),
        narrated.of(decodable["fpv_narration"].to_list()),
        narrated.of(decodable["tpv_narration"].to_list()),
        decodable["similarity"].to_numpy(),
        _digests(workspace, [data.fpv, *data.tpv], encoder["name"], path),
        ranks,
    )
    _check_similarity(path, found)
    return found


def _digests(
    workspace: Workspace, datasets: Sequence[str], encoder: str = "", pairs: Path | None = None
) -> dict[str, str]:
    paths = [*([pairs] if pairs else []), *clips.read_from(workspace, datasets)]
    paths += [workspace.narrations(name, encoder) for name in datasets] if encoder else []
    # Not resolved: a workspace whose folders are links has the same names.
    return {
        path.relative_to(workspace.root).as_posix(): quarantine.digest(path)
        for path in dict.fromkeys(paths)
    }


def _check_clips(path: Path, pairs: pl.DataFrame, viewpoint: str, clip_set: ClipSet) -> None:
    """Raises a SumlError if the pairs are of other clips than the clips tables hold now."""
    told = pairs.select(clip_id=f"{viewpoint}_clip_id", said=f"{viewpoint}_narration")
    now = clip_set.annotated.select("clip_id", "narration")
    joined = told.unique(maintain_order=True).join(
        now, "clip_id", "left", maintain_order="left", coalesce=True
    )
    other = joined.filter(pl.col("said") != pl.col("narration").fill_null(""))
    if other.height:
        clip_id, said, narration = other.row(0)
        raise SumlError(
            path,
            f"pairs of other {viewpoint} clips than are indexed now",
            got=f"{other.height:,} such clips, first {clip_id} ({said!r})",
            expected=repr(narration) if narration is not None else "clips of the clips table",
            fix="Run `sumlctl embed` and `sumlctl mine-pairs` again.",
        )


def _places(clip_ids: pl.Series, clip_set: ClipSet) -> pl.Series:
    """Where each clip is in the set; null where it is not."""
    ids = clip_set.rows.select("clip_id").with_row_index("place")
    joined = clip_ids.to_frame("clip_id").join(ids, "clip_id", "left", maintain_order="left")
    return joined.get_column("place")


def _say_left_out(path: Path, fpv_clips: int, pairs: int, decodable: int) -> None:
    if decodable < 2:
        raise SumlError(
            path,
            "no pairs to train on",
            got=f"{decodable} of {pairs:,} whose clips can be decoded",
            expected="at least 2",
            fix="Index the datasets with their videos, then run `sumlctl mine-pairs` again.",
        )
    if decodable < pairs:
        console.warn(f"{path.name}: {pairs - decodable:,} pairs left out, no video of theirs")
    console.note(f"training on {decodable:,} pairs ({fpv_clips:,} FPV clips can be decoded)")


def _encoder(table: Any, path: Path) -> Mapping[str, Any]:
    encoder = (tables.metadata(table, "config") or {}).get("encoder")
    if not isinstance(encoder, dict) or not {"name", "weights_sha256"} <= encoder.keys():
        raise SumlError(
            path,
            "pairs table names no encoder",
            got=repr(encoder),
            expected="its name and weights_sha256",
            fix="Make it again with `sumlctl mine-pairs`.",
        )
    return encoder


def _narrated(
    workspace: Workspace, datasets: Sequence[str], encoder: Mapping[str, Any]
) -> NarrationVectors:
    """Vectors of narrations, after checking that the pairs' encoder made them."""
    narrated = NarrationVectors(workspace, datasets, encoder["name"])
    if other := differences(narrated.encoder, encoder):
        raise SumlError(
            narrated.sources[0],
            f"narrations of another encoder than the pairs' (other {' and '.join(other)})",
            got=described(narrated.encoder),
            expected=described(encoder),
            fix="Run `sumlctl embed` and `sumlctl mine-pairs` again with one encoder.",
        )
    return narrated


def _check_similarity(path: Path, pairs: PairSet) -> None:
    """Refuses pairs that were mined from other vectors than those of their narrations now.

    Tables from before encoders had fingerprints cannot be told apart otherwise.
    """
    now = (pairs.d_f * pairs.d_t).sum(1)  # [n]
    off = np.abs(now - pairs.similarity)
    if off.max(initial=0.0) > _SAME_COSINE:
        worst = int(off.argmax())
        raise SumlError(
            path,
            "pairs were mined from other vectors than the narrations have now",
            got=f"similarity {pairs.similarity[worst]:.3f} of pair {worst}",
            expected=f"{now[worst]:.3f}",
            fix="Run `sumlctl mine-pairs` again.",
        )
