"""Times that are read, and rows whose times are of no use."""

import datetime as dt
import math

import polars as pl
import pytest

from sumlctl.datasets.times import MISSING, usable


def table(starts, stops, **more):
    sources = [f"x.csv row {i}" for i in range(2, len(starts) + 2)]
    return pl.DataFrame({"a": starts, "b": stops, "_source": sources} | more, strict=False)


def test_usable_leaves_out_what_has_no_length_and_names_it():
    starts = ["0", "soon", "3", "4", "nan", "-1", "", "6"]
    stops = ["1.5", "2", "2", "4", "5", "1", "9", None]
    rows, left_out = usable(table(starts, stops), "a", "b")
    assert rows.select("start_s", "stop_s", "_source").rows() == [(0.0, 1.5, "x.csv row 2")]
    assert left_out.count == 7
    assert left_out.named == [
        "x.csv row 3: bad timestamp in a, got 'soon'",
        "x.csv row 4: stop is not after start, got '3.0 to 2.0 s'",
        "x.csv row 5: stop is not after start, got '4.0 to 4.0 s'",
        "x.csv row 6: bad timestamp in a, got 'nan'",
        "x.csv row 7: start before the video, got -1.0",
        "x.csv row 8: bad timestamp in a, got ''",
        "x.csv row 9: bad timestamp in b, got None",
    ]


def test_usable_timedeltas_as_pandas_writes_them():
    """`to_csv` writes a Timedelta as `0 days 00:00:01.500000`; a day has 86,400 s."""
    starts = ["0 days 00:00:01.500000", "1 days 00:00:01", "0 days", "2 days ago"]
    rows, left_out = usable(table(starts, ["1 day 00:00:02.250000"] * 4), "a", "b")
    assert rows.select("start_s", "stop_s").rows() == [
        (1.5, 86402.25),
        (86401.0, 86402.25),
    ]
    assert left_out.count == 2


def test_usable_names_ten_and_counts_all():
    _, left_out = usable(table(["x"] * 25, ["1"] * 25), "a", "b")
    assert (left_out.count, len(left_out.first)) == (25, 10)
    both = left_out + usable(table(["y"] * 3, ["1"] * 3), "a", "b")[1]
    assert (both.count, both.named) == (28, left_out.named)


def test_usable_numbers_and_columns_of_times():
    rows, left_out = usable(table([0.5, math.nan, 1.0], [1, 2, math.inf]), "a", "b")
    assert rows.select("start_s", "stop_s").rows() == [(0.5, 1.0)]
    assert left_out.count == 2
    spans = table([dt.timedelta(seconds=61.5)], [dt.time(0, 1, 2, 250_000)])
    rows, _ = usable(spans, "a", "b")
    assert rows.select("start_s", "stop_s").rows() == [(61.5, 62.25)]


def test_usable_decimal_commas_where_they_are_asked_for():
    rows, _ = usable(table(["1,5"], ["00:00:02,25"]), "a", "b", decimal_comma=True)
    assert rows.select("start_s", "stop_s").rows() == [(1.5, 2.25)]
    assert usable(table(["1,5"], ["2"]), "a", "b")[1].count == 1


@pytest.mark.parametrize("missing", [*MISSING, None, " ", "4", "0:04"])
def test_usable_points_have_no_stop_or_their_start_again(missing):
    rows, left_out = usable(table(["4", "1"], [missing, "2"]), "a", "b", points=True)
    assert rows.select("start_s", "stop_s").rows() == [(4.0, None), (1.0, 2.0)]
    assert left_out.count == 0


def test_usable_points_with_times_of_no_use():
    rows, left_out = usable(table(["4", "-1", "x"], ["3", "", ""]), "a", "b", points=True)
    assert (rows.height, left_out.count) == (0, 3)
    rows, left_out = usable(table(["4", "x"], ["", ""]), "a", None, points=True)
    assert (rows["start_s"].to_list(), rows["stop_s"].to_list()) == ([4.0], [None])
    assert left_out.count == 1
