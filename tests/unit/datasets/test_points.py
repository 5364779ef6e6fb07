"""Windows around points in time, by hand and against NumPy."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumlctl.datasets.points import with_windows

PROPERTY = settings(max_examples=80, deadline=None, derandomize=True)


def table(*rows):
    schema = {"video_id": pl.String, "start_s": pl.Float64, "stop_s": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def spans(rows, point):
    return with_windows(rows, point)[0].select("start_s", "stop_s").rows()


def test_with_windows_of_a_length_are_centred_and_begin_at_zero_at_the_earliest():
    rows = table(("a", 1.0, None), ("a", 10.0, None), ("a", 5.0, 6.0))
    assert spans(rows, 4.0) == [(0.0, 3.0), (8.0, 12.0), (5.0, 6.0)]
    assert with_windows(rows, 4.0)[1] == "2 points in time became windows: 4 s each"


def test_with_windows_egovlp_by_hand():
    """Gaps 2 and 4 make beta 3 in a; gap 1 makes beta 1 in b; alpha is 2; c has one point."""
    rows = table(
        *(("a", t, None) for t in (6.0, 0.0, 2.0)),
        *(("b", t, None) for t in (7.0, 8.0)),
        ("c", 9.0, None),
        ("c", 3.0, 4.0),
    )
    assert spans(rows, "egovlp") == [
        (5.25, 6.75),
        (0.0, 0.75),
        (1.25, 2.75),
        (6.75, 7.25),
        (7.75, 8.25),
        (8.5, 9.5),
        (3.0, 4.0),
    ]
    assert with_windows(rows, "egovlp")[1] == (
        "6 points in time became windows: 0.5 to 1.5 s by EgoVLP's rule, alpha 2 s; "
        "1 s in 1 of 3 videos, which have one time alone"
    )


@pytest.mark.parametrize("times", [[5.0], [5.0, 5.0]])
def test_with_windows_egovlp_without_any_gap(times):
    rows = table(*(("a", t, None) for t in times))
    assert spans(rows, "egovlp") == [(4.5, 5.5)] * len(times)


def test_with_windows_without_points():
    rows = table(("a", 1.0, 2.0))
    assert with_windows(rows, "egovlp")[0].equals(rows)


@PROPERTY
@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.integers(0, 10**6).map(lambda t: t / 1000)),
        min_size=1,
        max_size=40,
    )
)
def test_with_windows_egovlp_against_numpy(points):
    videos = {name: np.sort([t for v, t in points if v == name]) for name, _ in points}
    beta = {name: np.diff(t).mean() for name, t in videos.items() if np.ptp(t) > 0}
    alpha = np.mean([*beta.values()]) if beta else 1.0
    half = [beta.get(name, alpha) / (2 * alpha) for name, _ in points]
    wanted = [(max(t - h, 0), t + h) for (_, t), h in zip(points, half, strict=True)]
    found = spans(table(*((v, t, None) for v, t in points)), "egovlp")
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)
