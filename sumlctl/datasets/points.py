"""Windows around narrations that are points in time, as Ego4D and Ego-Exo4D have them."""

from __future__ import annotations

import polars as pl

EGOVLP = "egovlp"
_USUAL = 0.5  # seconds to either side in a video of the mean density


def with_windows(rows: pl.DataFrame, point: float | str) -> tuple[pl.DataFrame, str]:
    """Give every row without a stop a window around its start.

    A length is centred at the time. EgoVLP's rule (Lin et al., Egocentric Video-Language
    Pretraining, NeurIPS 2022, section 3) is t ± beta / (2 alpha): beta is the mean gap between
    neighbouring points of the video, alpha the mean of the betas of all videos. A video whose
    points are all at one time has no gap: it counts as one of the mean density, so its windows are
    t ± 0.5 s, and it has no part in alpha. No window starts before 0.

    Args:
        rows: with `video_id`, `start_s` and `stop_s`; where `stop_s` is null, `start_s` is the
            point.
        point: length of the windows in seconds, or `egovlp`.

    Returns:
        The rows in their order with both times, and a remark on the windows.
    """
    points = rows.filter(pl.col("stop_s").is_null())
    if points.is_empty():
        return rows, "no row is a point in time"
    if point == EGOVLP:
        halves, remark = _egovlp(points)
        half = pl.col("video_id").replace_strict(
            halves["video_id"], halves["half"], default=_USUAL, return_dtype=pl.Float64
        )
    else:
        half, remark = pl.lit(float(point) / 2), f"{point:g} s each"
    time, is_point = pl.col("start_s"), pl.col("stop_s").is_null()
    placed = rows.with_columns(
        start_s=pl.when(is_point).then((time - half).clip(0)).otherwise("start_s"),
        stop_s=pl.when(is_point).then(time + half).otherwise("stop_s"),
    )
    return placed, f"{points.height:,} points in time became windows: {remark}"


def _egovlp(points: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """Return half the length of the windows of each video that has two different times."""
    time = pl.col("start_s")
    videos = points.group_by("video_id", maintain_order=True).agg(
        span=time.max() - time.min(), gaps=pl.len() - 1
    )
    dense = videos.filter(pl.col("span") > 0).with_columns(beta=pl.col("span") / pl.col("gaps"))
    single = videos.height - dense.height
    if dense.is_empty():
        return dense.select("video_id", half=pl.lit(_USUAL)), "1 s each, no video has two times"
    # In the order of the videos, so that the sum is the same bit for bit.
    alpha = sum(dense["beta"]) / dense.height
    halves = dense.select("video_id", half=pl.col("beta") / (2 * alpha))
    widths = (2 * halves["half"]).to_list()
    remark = f"{min(widths):.3g} to {max(widths):.3g} s by EgoVLP's rule, alpha {alpha:.4g} s"
    return halves, remark + (
        f"; 1 s in {single:,} of {videos.height:,} videos, which have one time alone"
        if single
        else ""
    )
