"""`pairs show` and `pairs list` on a pool of eight narrations at known angles."""

from __future__ import annotations

import math

import pytest

from sumlctl.errors import SumlError
from sumlctl.mining import explain
from sumlctl.mining.mine import MiningSettings, mine
from sumlctl.workspace import Workspace
from tests.builders import write_clips, write_vectors


@pytest.fixture
def mined(workspace: Workspace) -> Workspace:
    write_clips(workspace, "ego", ["cut bread", "open door", "cut bread"])
    write_vectors(workspace, "ego", {"cut bread": (1, 0), "open door": (0, 1)})
    angles = {f"pool {d:02d}": math.radians(d) for d in (10, 20, 30, 40, 50, 60, 70, 80)}
    write_clips(workspace, "exo", [*angles, "pool 10"], viewpoint=["tpv"] * 9)
    write_vectors(workspace, "exo", {t: (math.cos(a), math.sin(a)) for t, a in angles.items()})
    mine("ego", ["exo"], workspace, MiningSettings(assign="first"))
    return workspace


def test_show_by_hand(mined: Workspace) -> None:
    told = explain.show(mined.all_pairs()[0], "ego/0", mined)
    assert told["fpv_narration"] == "cut bread"
    assert told["winner"]["narration"] == "pool 10"
    assert told["winner"]["clips"] == 2
    assert [n["narration"] for n in told["next"]] == [f"pool {d}" for d in (20, 30, 40, 50, 60)]
    margin = math.cos(math.radians(10)) - math.cos(math.radians(20))
    assert told["margin"] == pytest.approx(margin, abs=1e-6)
    assert told["fpv_clips_with_this_narration"] == 2
    assert [p["tpv_clip_id"] for p in told["pairs"]] == ["exo/0"]


def test_show_unknown_clip(mined: Workspace) -> None:
    with pytest.raises(SumlError, match="no such clip, got 'ego/7'"):
        explain.show(mined.all_pairs()[0], "ego/7", mined)


def test_list_sorts_filters_and_limits(mined: Workspace) -> None:
    table = mined.all_pairs()[0]

    def ids(**options) -> list[str]:
        return explain.listing(table, **options)[0].get_column("fpv_clip_id").to_list()

    assert ids(sort="clip") == ["ego/0", "ego/1", "ego/2"]
    assert ids(contains="DOOR") == ["ego/1"]
    assert ids(contains="pool 10") == ["ego/0", "ego/2"]
    assert ids(limit=1, sort="clip") == ["ego/0"]
    assert explain.listing(table, limit=1)[1] == 3
    assert ids(low=0.99) == []
    with pytest.raises(SumlError, match="unknown order"):
        ids(sort="random")
