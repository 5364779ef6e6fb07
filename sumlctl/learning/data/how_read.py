"""How a pipeline has videos read: by which decoder, and windows counted at which rate."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import polars as pl

from sumlctl import console
from sumlctl.config import Pipeline
from sumlctl.config import dataset as card
from sumlctl.config.sections import PUBLISHED
from sumlctl.video.read import require
from sumlctl.workspace import Workspace

# 60 and 59.94 frames per second are one rate: of 64 frames they differ by a millisecond.
_SAME_RATE = 0.01
_MOST_NAMED = 3


def how_read(workspace: Workspace, pipeline: Pipeline, datasets: Sequence[str]) -> dict[str, Any]:
    """Return what of this shapes frames, for a fingerprint: nothing where all is as by default.

    Raises:
        SumlError: a dataset configuration is missing or has a fault.
    """
    facts: dict[str, Any] = {}
    rate = pipeline.input.rate
    if rate == PUBLISHED:
        facts["rate"] = {name: card.load(name, workspace).fps for name in datasets}
    elif rate:
        facts["rate"] = rate
    return facts | ({"decoder": pipeline.decoder} if pipeline.decoder != "auto" else {})


def with_rates(
    workspace: Workspace, dataset: str, videos: pl.DataFrame, pipeline: Pipeline | None
) -> pl.DataFrame:
    """Add the column `rate` to videos: the frames per second that windows count in; 0, their own.

    Raises:
        SumlError: the dataset configuration is missing or has a fault.
    """
    rate = pipeline.input.rate if pipeline else 0.0
    if rate == PUBLISHED:
        published = card.load(dataset, workspace).folder_fps
        rates = [published(name) for name in videos.get_column("video_id")]
        column = pl.Series("rate", rates, pl.Float64)
        return videos.with_columns(column.fill_null(0.0))
    return videos.with_columns(rate=pl.lit(rate))


def say_other_rates(where: str, rows: pl.DataFrame) -> None:
    """Log how many clips have windows counted at another rate than their video's own.

    Args:
        where: whose clips.
        rows: video_id, fps and rate of clips.
    """
    apart = (pl.col("rate") / pl.col("fps") - 1).abs()
    other = rows.filter((pl.col("rate") > 0) & (apart > _SAME_RATE))
    if other.is_empty():
        return
    videos = other.get_column("video_id").n_unique()
    counted, own = (
        "/".join(f"{rate:.5g}" for rate in other.get_column(name).unique().sort()[:_MOST_NAMED])
        for name in ("rate", "fps")
    )
    _say_once(
        f"{where}: windows of {other.height:,} of {rows.height:,} clips ({videos:,} videos) are "
        f"counted at {counted} Hz, where their videos have {own}"
    )


def without_doubted(dataset: str, videos: pl.DataFrame, pipeline: Pipeline | None) -> pl.Expr:
    """Return which videos the pipeline's decoder may read; those that it may not are named.

    Raises:
        SumlError: decord is asked for and not installed.
    """
    if pipeline is None or pipeline.decoder == "auto":
        return pl.lit(True)
    require(pipeline.decoder)
    if pipeline.decoder != "decord":
        return pl.lit(True)
    doubted = pl.col("decord").eq_missing("doubted")
    names = videos.filter(doubted & (pl.col("status") == "ok")).get_column("video_id").to_list()
    if names:
        more = ", ..." if len(names) > _MOST_NAMED else ""
        _warn_once(
            f"{dataset}: decord is not trusted with {len(names):,} of {videos.height:,} videos, "
            f"which are left out ({', '.join(names[:_MOST_NAMED])}{more}); `--decoder auto` reads "
            "them, and the column `decord` of the videos table names them all"
        )
    return ~doubted


@cache
def _say_once(text: str) -> None:
    console.note(text)


@cache
def _warn_once(text: str) -> None:
    console.warn(text)
