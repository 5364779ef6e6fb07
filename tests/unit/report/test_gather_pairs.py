"""What the pair browser is given."""

from __future__ import annotations

import pytest

from sumlctl import tables
from sumlctl.errors import SumlError
from sumlctl.mining.mine import MiningSettings, mine
from sumlctl.report.content import pairs
from tests.builders import write_clips, write_vectors


@pytest.fixture
def mined(workspace):
    """Three first-person clips of two narrations; the third-person pool has four."""
    write_clips(workspace, "ego", ["open door", "cut bread", "open door"])
    pool = ["shut door", "open a door", "slice bread", "walk"]
    write_clips(workspace, "exo", pool, viewpoint=["tpv"] * 4)
    write_vectors(workspace, "ego", {"open door": (1, 0, 0), "cut bread": (0, 1, 0)})
    vectors = {
        "shut door": (0.8, 0, 0.6),
        "open a door": (0.96, 0, 0.28),
        "slice bread": (0.28, 0.96, 0),
        "walk": (0, 0.6, 0.8),
    }
    write_vectors(workspace, "exo", vectors)
    return mine("ego", ["exo"], workspace, MiningSettings()).written, workspace


def test_columns_name_each_narration_once(mined) -> None:
    path, workspace = mined
    found = pairs.read(path)
    near = pairs.candidates(workspace, found)
    assert [text for text, _ in near["open door"]] == ["shut door", "slice bread", "walk"]
    assert [cosine for _, cosine in near["open door"]] == pytest.approx([0.8, 0.28, 0], abs=1e-6)
    assert [text for text, _ in near["cut bread"]] == ["walk", "open a door", "shut door"]
    told = pairs.browsable(found, near)
    said = [told["said"][i] for i in told["said_at"]]
    answers = [told["told"][i] for i in told["told_at"]]
    partners = [told["partners"][i] for i in told["partner_at"]]
    assert list(zip(told["clips"], said, answers, partners, told["similarity"], strict=True)) == [
        ("ego/0", "open door", "open a door", "exo/1", 960),
        ("ego/1", "cut bread", "slice bread", "exo/2", 960),
        ("ego/2", "open door", "open a door", "exo/1", 960),
    ]
    assert len(set(told["said"])) == len(told["said"]) == 2
    assert len(set(told["told"])) == len(told["told"]) == 4
    assert told["verb"] == told["noun"] == [-1, -1, -1]
    best = [[(told["told"][i], s) for i, s in found] for found in told["near"]]
    assert best[0] == [("shut door", 800), ("slice bread", 280), ("walk", 0)]


def test_without_candidates_the_pairs_are_told_all_the_same(mined) -> None:
    path, workspace = mined
    workspace.narrations("exo", "test").unlink()
    found = pairs.read(path)
    with pytest.raises(SumlError, match=r"table is missing.*sumlctl embed"):
        pairs.candidates(workspace, found)
    told = pairs.browsable(found, {})
    assert told["near"] == [[], []]
    assert len(told["clips"]) == 3


def test_the_best_of_each_clip_and_even_steps_of_too_many(world) -> None:
    path = world.pairs("ego", ["exo"])
    every = pairs.read(path)
    assert every.rows["similarity"].to_list() == sorted(every.rows["similarity"], reverse=True)
    few = pairs.read(path, most=3)
    assert (few.total, few.best, few.partners) == (8, 8, 3)
    assert few.median == pytest.approx(0.5)
    assert few.rows["fpv_clip_id"].to_list() == ["ego/0", "ego/4", "ego/7"]


def test_a_table_without_pairs(own_world) -> None:
    path = own_world.pairs("ego", ["exo"])
    empty = tables.read(path, "pairs").slice(0, 0)
    tables.write(empty, path, "pairs", inputs={}, config={})
    with pytest.raises(SumlError, match="no pair in the table"):
        pairs.read(path)


@pytest.mark.parametrize(
    ("n", "count", "places"),
    [(5, 9, [0, 1, 2, 3, 4]), (101, 3, [0, 50, 100]), (7, 1, [0]), (7, 0, []), (0, 3, [])],
)
def test_even_steps(n, count, places) -> None:
    assert pairs.evenly(n, count) == places
