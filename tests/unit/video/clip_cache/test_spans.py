"""Stretches by hand, in milliseconds."""

from __future__ import annotations

import random
from itertools import pairwise

from sumlctl.video.clip_cache.spans import Span, around, whole


def test_overlapping_clips_are_one_stretch():
    found = list(around([(5.0, 6.0), (1.0, 2.0), (1.5, 3.2004)], 0.5, 10.0))
    assert found == [Span(500, 3701), Span(4500, 6500)]


def test_margins_that_meet_are_one_stretch():
    assert list(around([(1.0, 2.0), (3.0, 4.0)], 0.5, 10.0)) == [Span(500, 4500)]


def test_no_stretch_leaves_its_video():
    assert list(around([(0.2, 9.9)], 1.0, 10.0)) == [Span(0, 10_000)]


def test_long_ones_are_cut_at_even_times_but_not_into_slivers():
    starts = (10_000, 30_000, 60_000, 90_000)
    expected = list(map(Span, starts, (*starts[1:], 95_000)))
    assert list(around([(10.0, 95.0)], 0.0, 200.0)) == expected
    assert list(around([(29.5, 60.5)], 0.0, 200.0)) == [Span(29_500, 60_500)]
    assert list(whole(61.2)) == [Span(0, 30_000), Span(30_000, 60_000), Span(60_000, 61_200)]


def test_any_clips_are_held_whole_by_adjoining_stretches():
    draw = random.Random(0)
    for _ in range(200):
        starts = [draw.uniform(0, 100) for _ in range(draw.randint(1, 12))]
        clips = [(start, start + draw.uniform(0, 40)) for start in starts]
        duration_s = max(stop for _, stop in clips)
        found = list(around(clips, draw.uniform(0, 2), duration_s))
        assert all(a.stop_ms <= b.start_ms for a, b in pairwise(found))
        for start, stop in clips:
            held = [s for s in found if s.stop_s > start and s.start_s < stop]
            assert held[0].start_s <= start
            assert held[-1].stop_s >= min(stop, duration_s)
            assert all(a.stop_ms == b.start_ms for a, b in pairwise(held))
