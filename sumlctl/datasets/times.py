"""Times of clips: how annotation files write them, and rows whose times are of no use."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from sumlctl.errors import SumlError

_TIMESTAMP = r"^(?:\d+:[0-5]?\d|\d+):[0-5]?\d(?:\.\d+)?$"
_DAYS = r"^(\d+) days? (\d+:\d+:\d+(?:\.\d+)?)$"  # as pandas writes a Timedelta
_NO_HOURS = r"^\d+:[^:]*$"
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


def parsed(column: pl.Series, decimal_comma: bool = False) -> pl.Series:
    """Return seconds as finite float64, null for what is no time.

    A time is `HH:MM:SS.ff`, `MM:SS.ff` (FFmpeg's way to write it), `D days HH:MM:SS.ff` (pandas'),
    a number of seconds, or a value of a time or duration column.
    """
    if column.dtype in (pl.Time, pl.Duration):
        spans = column.cast(pl.Duration("ns")).dt.total_nanoseconds().cast(pl.Float64)
        column = pl.Series(spans.to_numpy() / 1e9)  # polars takes times 1e-9, which is not the same
    elif not column.dtype.is_numeric():
        column = _from_texts(column.cast(pl.String).str.strip_chars(), decimal_comma)
    seconds = column.cast(pl.Float64)
    return seconds.set(~seconds.is_finite().fill_null(False), None)


def _from_texts(text: pl.Series, decimal_comma: bool) -> pl.Series:
    if decimal_comma:
        text = text.str.replace(",", ".", literal=True)
    in_days = text.str.contains(" day", literal=True).fill_null(False)
    if in_days.any():
        clocks = text.str.extract(_DAYS, 2).fill_null(text.set(in_days, None))
        days = text.str.extract(_DAYS, 1).cast(pl.Float64).fill_null(0)
        return _from_texts(clocks, False) + days * 86400
    is_clock = text.str.contains(_TIMESTAMP)
    if not is_clock.any():
        return text.cast(pl.Float64, strict=False)
    clock = text.set(~is_clock.fill_null(False), None)
    if (short := clock.str.contains(_NO_HOURS)).any():
        clock = pl.select(pl.when(short).then("0:" + clock).otherwise(clock)).to_series()
    # Splitting takes a fifth of the time that a pattern's groups take.
    parts = [part.cast(pl.Float64) for part in clock.str.splitn(":", 3).struct.unnest()]
    seconds = parts[0] * 3600 + parts[1] * 60 + parts[2]
    return seconds if is_clock.all() else seconds.fill_null(text.cast(pl.Float64, strict=False))


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
    starts = parsed(frame.get_column(start), decimal_comma)
    stops = (
        parsed(frame.get_column(stop), decimal_comma)
        if stop
        else pl.repeat(None, frame.height, dtype=pl.Float64, eager=True)
    )
    timed = pl.select(start_s=starts, stop_s=stops, _point=pl.lit(points))
    if stop and points:
        text = pl.col(stop).cast(pl.String).str.strip_chars().fill_null("")
        same = (timed["stop_s"] == timed["start_s"]).fill_null(False)
        timed = timed.with_columns(_point=frame.select(text.is_in(MISSING)).to_series() | same)
    timed = timed.with_columns(stop_s=pl.when(~pl.col("_point")).then("stop_s"))
    faults = (
        (pl.col("start_s").is_null(), f"bad timestamp in {start}", EXPECTED),
        (~pl.col("_point") & pl.col("stop_s").is_null(), f"bad timestamp in {stop}", EXPECTED),
        (pl.col("start_s") < 0, "start before the video", "0 or later"),
        (pl.col("stop_s") <= pl.col("start_s"), "stop is not after start", "start < stop"),
    )
    whichever = pl.coalesce(pl.when(bad).then(pl.lit(i)) for i, (bad, *_) in enumerate(faults))
    fault = timed.select(whichever).to_series()
    rows = frame.with_columns(timed["start_s"], timed["stop_s"])
    if fault.null_count() == rows.height:
        return rows, NOTHING
    errors = []
    for place in fault.is_not_null().arg_true().head(_MOST_NAMED):
        _, what, expected = faults[fault[place]]
        from_s, to_s = timed["start_s"][place], timed["stop_s"][place]
        got = (frame[start][place], frame[stop or start][place], from_s, f"{from_s} to {to_s} s")
        errors.append(
            SumlError(
                frame["_source"][place],
                what,
                got=repr(got[fault[place]]),
                expected=expected,
                fix="Correct the row.",
            )
        )
    return rows.filter(fault.is_null()), LeftOut(len(fault) - fault.null_count(), tuple(errors))
