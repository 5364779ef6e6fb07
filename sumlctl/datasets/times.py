"""Times of clips: how annotation files write them, and rows whose times are of no use."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from sumlctl.errors import SumlError

_TIMESTAMP = r"^(?:(\d+):([0-5]?\d)|(\d+)):([0-5]?\d(?:\.\d+)?)$"
EXPECTED = "HH:MM:SS.ff or seconds"
# What programs write for a value that is missing.
MISSING = ("", "nan", "NaN", "None", "null", "NULL", "<NA>", "NA", "N/A", "#N/A")
_MOST_NAMED = 10  # rows of no use that are named one by one


@dataclass(frozen=True)
class LeftOut:
    """Rows that cannot be used.

    Args:
        count: how many.
        first: what is wrong with the first of them.
    """

    count: int = 0
    first: tuple[SumlError, ...] = ()

    def __add__(self, more: LeftOut) -> LeftOut:
        return LeftOut(self.count + more.count, (*self.first, *more.first)[:_MOST_NAMED])

    @property
    def named(self) -> list[str]:
        """Such as `train.csv row 3: bad timestamp in start, got 'soon'`."""
        return [f"{error.where}: {error.what}, got {error.got}" for error in self.first]


NOTHING = LeftOut()


def parsed(frame: pl.DataFrame, column: str, decimal_comma: bool = False) -> pl.Expr:
    """Return seconds as finite float64, null for what is no time.

    A time is `HH:MM:SS.ff`, `MM:SS.ff` (FFmpeg's way to write it), a number of seconds, or a
    value of a time or duration column.
    """
    dtype = frame.schema[column]
    if dtype in (pl.Time, pl.Duration):
        span = pl.col(column).cast(pl.Duration("ns")).dt.total_nanoseconds()
        return span.cast(pl.Float64) / 1e9
    text = pl.col(column).cast(pl.String).str.strip_chars()
    if decimal_comma:
        text = text.str.replace(",", ".", literal=True)
    clock = text.str.extract_groups(_TIMESTAMP).struct
    hours, of_hour, minutes, rest = (clock.field(str(i)).cast(pl.Float64) for i in (1, 2, 3, 4))
    value = hours.fill_null(0.0) * 3600 + of_hour.fill_null(minutes) * 60 + rest
    value = value.fill_null(text.cast(pl.Float64, strict=False))
    return pl.when(value.is_finite()).then(value)


def usable(
    frame: pl.DataFrame,
    start: str,
    stop: str | None,
    *,
    points: bool = False,
    decimal_comma: bool = False,
) -> tuple[pl.DataFrame, LeftOut]:
    """Turn columns of times into float64 seconds and leave out the rows that have no length.

    Args:
        frame: rows with a `_source` column.
        start: the column of starts.
        stop: the column of stops, where there is one.
        points: whether a row may be a point in time: without a stop, or with one that is its start.
        decimal_comma: whether `1,5` is a time.

    Returns:
        The rows with `start_s` and `stop_s` (null for points), and what was left out.
    """
    starts = parsed(frame, start, decimal_comma)
    stops = parsed(frame, stop, decimal_comma) if stop else pl.lit(None, pl.Float64)
    timed = frame.with_columns(start_s=starts, stop_s=stops)
    no_stop = pl.lit(points)
    if stop and points:
        text = pl.col(stop).cast(pl.String).str.strip_chars().fill_null("")
        no_stop = text.is_in(MISSING) | (pl.col("stop_s") == pl.col("start_s")).fill_null(False)
    timed = timed.with_columns(stop_s=pl.when(~no_stop).then("stop_s"))
    no_time = ~no_stop & pl.col("stop_s").is_null()
    span = pl.format("{} to {} s", "start_s", "stop_s")
    faults = [
        (pl.col("start_s").is_null(), f"bad timestamp in {start}", pl.col(start), EXPECTED),
        (no_time, f"bad timestamp in {stop}", pl.col(stop or start), EXPECTED),
        (pl.col("start_s") < 0, "start before the video", pl.col("start_s"), "0 or later"),
        (pl.col("stop_s") <= pl.col("start_s"), "stop is not after start", span, "start < stop"),
    ]
    fault = pl.coalesce(pl.when(bad).then(pl.lit(i)) for i, (bad, *_) in enumerate(faults))
    timed = timed.with_columns(_fault=fault)
    bad = timed.filter(pl.col("_fault").is_not_null())
    first = bad.head(_MOST_NAMED)
    got = [first.select(value).to_series().to_list() for _, _, value, _ in faults]
    errors = [
        SumlError(
            source,
            faults[i][1],
            got=repr(got[i][place]),
            expected=faults[i][3],
            fix="Correct the row.",
        )
        for place, (source, i) in enumerate(first.select("_source", "_fault").iter_rows())
    ]
    sound = timed.filter(pl.col("_fault").is_null()).drop("_fault")
    return sound, LeftOut(bad.height, tuple(errors))
