"""What windows are labelled with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sumlctl.learning.data.clips import Clip, ClipSet
from sumlctl.learning.data.labels import targets
from sumlctl.learning.tasks import Block, Task

ACTION = Task("action", False, (Block("ce", "actions", ("a", "b", "c", "d")),))
VERB = Task("verb", True, (Block("ce", "verbs", ("x", "y")),))


def clip_set(rows: list[tuple[str, float, float, int]], decodable: list[int]) -> ClipSet:
    """Rows are video, start, stop and action."""
    annotated = pl.DataFrame(
        {
            "dataset": ["ce"] * len(rows),
            "video_id": [r[0] for r in rows],
            "start_s": [r[1] for r in rows],
            "stop_s": [r[2] for r in rows],
            "actions": [[r[3]] for r in rows],
            "verbs": [[r[3] % 2] for r in rows],
        }
    )
    clips = [Clip(str(i), Path("v"), rows[i][1], rows[i][2], 10.0) for i in decodable]
    return ClipSet(clips, annotated[decodable], annotated, {}, {})


def test_every_action_that_overlaps_the_window_counts():
    rows = [
        ("v", 0.0, 10.0, 0),
        ("v", 4.0, 6.0, 1),
        ("v", 9.0, 20.0, 2),  # without frames, but seen in the first clip
        ("w", 0.0, 10.0, 3),
    ]
    found = targets(ACTION, clip_set(rows, decodable=[0, 1, 3]))
    assert found.at(0, np.array([0.0, 3.9])).tolist() == [1, 0, 0, 0]
    assert found.at(0, np.array([0.0, 4.0])).tolist() == [1, 1, 0, 0]
    assert found.at(0, np.array([6.0, 8.0])).tolist() == [1, 0, 0, 0]  # an end is no overlap
    assert found.at(0, np.array([3.0, 7.0])).tolist() == [1, 1, 0, 0]
    assert found.at(0, np.array([6.1, 9.5])).tolist() == [1, 0, 1, 0]
    assert found.at(0, np.array([5.0, 9.5])).tolist() == [1, 1, 1, 0]
    assert found.at(1, np.array([4.5, 5.5])).tolist() == [1, 1, 0, 0]
    assert found.at(2, np.array([5.0, 9.5])).tolist() == [0, 0, 0, 1]


def test_an_exclusive_task_takes_the_clips_own_class():
    rows = [("v", 0.0, 10.0, 0), ("v", 4.0, 6.0, 1)]
    found = targets(VERB, clip_set(rows, decodable=[0, 1]))
    assert found.at(0, np.array([4.0, 6.0])) == 0
    assert found.at(1, np.array([4.0, 6.0])) == 1


@pytest.mark.parametrize("seed", range(3))
def test_many_random_windows_agree_with_a_loop_over_all_rows(seed):
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(60):
        start, length = random.uniform(0, 50), random.uniform(0.1, 20)
        rows.append((f"v{random.integers(3)}", start, start + length, int(random.integers(4))))
    decodable = sorted(random.choice(60, 40, replace=False).tolist())
    found = targets(ACTION, clip_set(rows, decodable))
    for place, row in enumerate(decodable):
        video, start, stop, _ = rows[row]
        first, last = np.sort(random.uniform(start, stop, 2))
        expected = [0] * 4
        for other, begin, end, action in rows:
            if other == video and begin <= last and end >= first:
                expected[action] = 1
        assert found.at(place, np.array([first, last])).tolist() == expected
