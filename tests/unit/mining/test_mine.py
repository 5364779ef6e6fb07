"""Pseudo-pairs worked by hand in two dimensions."""

from __future__ import annotations

import math
from collections import Counter

import polars as pl
import pytest

from sumlctl import tables
from sumlctl.errors import SumlError
from sumlctl.mining.mine import MiningSettings, mine
from sumlctl.mining.summary import summarise
from sumlctl.workspace import Workspace
from tests.builders import write_clips, write_vectors

FPV_WORDS = {"verbs": [["take", "get"], ["cut"]], "nouns": [["cup"], ["bread"]]}
TPV_WORDS = {"verbs": [["slice", "cut"], ["get"]], "nouns": [["bread", "loaf"], ["table"]]}


def at(degrees: float) -> tuple[float, float]:
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))


@pytest.fixture
def world(workspace: Workspace) -> Workspace:
    """Three first-person clips, two narrations; five third-person clips, three narrations."""
    write_clips(
        workspace,
        "ego",
        ["take cup", "cut bread", "take cup"],
        verbs=[[0], [1], [0]],
        nouns=[[0], [1], []],
        vocabulary=FPV_WORDS,
    )
    write_vectors(workspace, "ego", {"take cup": at(0), "cut bread": at(90)})
    write_clips(
        workspace,
        "exo",
        ["get mug", "slice loaf", "get mug", "wave", "get mug"],
        viewpoint=["tpv"] * 5,
        verbs=[[1], [0], [1], [], [1]],
        nouns=[[], [0], [], [], []],
        vocabulary=TPV_WORDS,
    )
    write_vectors(workspace, "exo", {"get mug": at(10), "slice loaf": at(60), "wave": at(180)})
    return workspace


def rows(mined) -> list[dict]:
    return pl.DataFrame(pl.from_arrow(tables.read(mined.written, "pairs"))).to_dicts()


def test_best_match_by_hand(world: Workspace) -> None:
    pairs = rows(mine("ego", ["exo"], world, MiningSettings(assign="first")))
    assert [p["fpv_clip_id"] for p in pairs] == ["ego/0", "ego/1", "ego/2"]
    assert [p["tpv_clip_id"] for p in pairs] == ["exo/0", "exo/1", "exo/0"]
    assert [p["rank"] for p in pairs] == [0, 0, 0]
    # cos 10 degrees, cos (90 - 60) degrees
    assert [p["similarity"] for p in pairs] == pytest.approx(
        [0.984808, 0.866025, 0.984808], abs=1e-6
    )


def test_labels_agree_by_words_not_by_ids(world: Workspace) -> None:
    first, second, third = rows(mine("ego", ["exo"], world, MiningSettings()))
    assert first["shared_verb"] is True  # take and get are one class of ego, get is one of exo
    assert first["shared_noun"] is None  # the third-person clip has no noun
    assert second["shared_verb"] is True and second["shared_noun"] is True
    assert third["shared_noun"] is None


def test_top_k_gives_ranks(world: Workspace) -> None:
    pairs = rows(mine("ego", ["exo"], world, MiningSettings(top_k=2)))
    said = [(p["fpv_clip_id"], p["rank"], p["tpv_narration"]) for p in pairs]
    assert said == [
        ("ego/0", 0, "get mug"),
        ("ego/0", 1, "slice loaf"),
        ("ego/1", 0, "slice loaf"),
        ("ego/1", 1, "get mug"),
        ("ego/2", 0, "get mug"),
        ("ego/2", 1, "slice loaf"),
    ]


def test_min_similarity_drops_and_counts(world: Workspace) -> None:
    mined = mine("ego", ["exo"], world, MiningSettings(min_similarity=0.9))
    assert [p["fpv_clip_id"] for p in rows(mined)] == ["ego/0", "ego/2"]
    assert summarise(mined)["fpv_clips_without_pair"] == 1


def test_spread_shares_reuse_evenly_and_by_seed(workspace: Workspace) -> None:
    write_clips(workspace, "ego", ["take cup"] * 11)
    write_vectors(workspace, "ego", {"take cup": at(0)})
    write_clips(workspace, "exo", ["get mug", "wave", *["get mug"] * 3], viewpoint=["tpv"] * 5)
    write_vectors(workspace, "exo", {"get mug": at(10), "wave": at(180)})

    def partners(seed: int) -> list[str]:
        mined = mine("ego", ["exo"], workspace, MiningSettings(assign="spread", seed=seed))
        return [p["tpv_clip_id"] for p in rows(mined)]

    used = Counter(partners(0))
    assert set(used) == {"exo/0", "exo/2", "exo/3", "exo/4"}
    assert sorted(used.values()) == [2, 3, 3, 3]  # 11 pairs over 4 clips
    assert partners(0) == partners(0)
    assert partners(0) != partners(1)


def test_mine_spreads_partners_unless_asked(world: Workspace) -> None:
    """Two clips say "take cup"; of the three clips that say "get mug" each gets one of its own."""
    partners = [p["tpv_clip_id"] for p in rows(mine("ego", ["exo"], world, MiningSettings()))]
    assert partners[1] == "exo/1"
    assert {partners[0], partners[2]} < {"exo/0", "exo/2", "exo/4"}
    assert partners[0] != partners[2]


def test_mine_avoids_the_twin_of_the_same_scene(workspace: Workspace) -> None:
    """AEGO and A were filmed of one scene: A's clips are no partners of AEGO's.

    "wash" is said by two third-person clips, of A and of B: the clip of AEGO always gets B's.
    "dry" is said by one of A alone: the clip of AEGO gets none, that of CEGO gets it.
    """
    write_clips(
        workspace,
        "both",
        ["wash", "dry", "dry", "wash", "dry", "wash"],
        viewpoint=["fpv", "fpv", "fpv", "tpv", "tpv", "tpv"],
        video_id=["AEGO", "AEGO", "CEGO", "A", "A", "B"],
        scene="^(.+?)(?:EGO)?$",
    )
    write_vectors(workspace, "both", {"wash": at(0), "dry": at(90)})
    for assign in ("first", "spread"):
        for seed in range(4):
            mined = mine("both", ["both"], workspace, MiningSettings(assign=assign, seed=seed))
            pairs = [(p["fpv_clip_id"], p["tpv_clip_id"]) for p in rows(mined)]
            assert pairs == [("both/0", "both/5"), ("both/2", "both/4")]
    assert summarise(mined)["fpv_clips_without_pair"] == 1


def test_several_datasets_are_one_pool(world: Workspace) -> None:
    write_clips(world, "web", ["take cup"], viewpoint=["tpv"])
    write_vectors(world, "web", {"take cup": at(0)})
    mined = mine("ego", ["exo", "web"], world, MiningSettings())
    assert mined.written.name == "ego--exo+web.parquet"
    assert [p["tpv_dataset"] for p in rows(mined)] == ["web", "exo", "web"]
    assert rows(mined)[0]["similarity"] == 1.0


def test_ties_go_to_the_alphabetically_first_narration(workspace: Workspace) -> None:
    write_clips(workspace, "ego", ["x"])
    write_vectors(workspace, "ego", {"x": at(0)})
    write_clips(workspace, "exo", ["zebra", "apple", "mango"], viewpoint=["tpv"] * 3)
    write_vectors(workspace, "exo", {"zebra": at(20), "apple": at(20), "mango": at(-20)})
    (pair,) = rows(mine("ego", ["exo"], workspace, MiningSettings()))
    assert pair["tpv_narration"] == "apple"


def test_summary_by_hand(world: Workspace) -> None:
    told = summarise(mine("ego", ["exo"], world, MiningSettings(assign="first")))
    assert (told["fpv_clips"], told["fpv_narrations"]) == (3, 2)
    assert (told["tpv_clips"], told["tpv_narrations"]) == (5, 3)
    assert (told["tpv_clips_used"], told["tpv_clips_unused"]) == (2, 3)
    assert told["most_reused"] == {"tpv_clip_id": "exo/0", "pairs": 2, "share": 2 / 3}
    assert told["certified"]["share"] == 1.0
    assert told["labelled_pairs"] == 1
    assert told["same"] == {"verb": 1.0, "noun": 1.0, "both": 1.0, "neither": 0.0}
    assert told["similarity"]["median"] == pytest.approx(math.cos(math.radians(10)), abs=1e-6)


def test_the_same_inputs_give_the_same_file(world: Workspace) -> None:
    once = mine("ego", ["exo"], world, MiningSettings(assign="spread")).written.read_bytes()
    again = mine("ego", ["exo"], world, MiningSettings(assign="spread")).written.read_bytes()
    assert once == again


def test_clips_without_video_take_part_only_where_no_clip_has_one(world: Workspace) -> None:
    write_clips(
        world,
        "exo",
        ["get mug", "slice loaf", "get mug"],
        viewpoint=["tpv"] * 3,
        status=["no_video", "ok", "truncated"],
    )
    mined = mine("ego", ["exo"], world, MiningSettings())
    assert [p["tpv_clip_id"] for p in rows(mined)] == ["exo/2", "exo/1", "exo/2"]
    assert mined.tpv.left_out == {"no usable video": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "val"}, "no fpv clips in split val"),
        ({"assign": "random"}, "--assign: impossible value"),
        ({"top_k": 9}, "top-k is out of range"),
        ({"index": "lsh"}, "unknown index"),
        ({"index": "ivf", "recall": 1.0}, "--recall: impossible value, got 1.0"),
        ({"min_similarity": 0.99}, "no pair is left, got 0.99; expected at most 0.985"),
    ],
)
def test_bad_settings(world: Workspace, change: dict, message: str) -> None:
    with pytest.raises(SumlError, match=message):
        mine("ego", ["exo"], world, MiningSettings(**change))
    assert world.all_pairs() == []


def test_vectors_of_another_encoder_are_refused(world: Workspace) -> None:
    write_vectors(world, "exo", {"get mug": at(10)}, weights_sha256="1")
    with pytest.raises(SumlError, match="embedded by another encoder"):
        mine("ego", ["exo"], world, MiningSettings())


def test_no_encoder_in_common(world: Workspace) -> None:
    world.narrations("exo", "test").unlink()
    write_vectors(world, "exo", {"get mug": at(10)}, name="other")
    with pytest.raises(SumlError, match="ego: test; exo: other"):
        mine("ego", ["exo"], world, MiningSettings())


def test_clips_indexed_anew_need_embedding_again(world: Workspace) -> None:
    write_clips(world, "ego", ["fold towel"])
    with pytest.raises(SumlError, match="1 narrations have no vector, got 'fold towel'"):
        mine("ego", ["exo"], world, MiningSettings())


def test_labels_first_takes_the_nearest_of_the_same_class(workspace: Workspace) -> None:
    """The same verb and noun come first, then the verb, then the noun, then all."""
    words = {"verbs": [["take"], ["cut"], ["stir"]], "nouns": [["cup"], ["bread"], ["pot"]]}
    first = {"take cup": at(0), "take bread": at(20), "stir cup": at(40), "open": at(60)}
    write_clips(
        workspace,
        "ego",
        list(first),
        verbs=[[0], [0], [2], []],
        nouns=[[0], [1], [0], []],
        vocabulary=words,
    )
    write_vectors(workspace, "ego", first)
    pool = {"wave": at(1), "lift pot": at(21), "lift mug": at(70), "fill mug": at(75)}
    clips = ["wave", "lift pot", "lift mug", "fill mug", "lift mug"]
    write_clips(
        workspace,
        "exo",
        clips,
        viewpoint=["tpv"] * 5,
        verbs=[[], [0], [0], [1], [1]],
        nouns=[[], [2], [0], [0], [0]],
        vocabulary=words,
    )
    write_vectors(workspace, "exo", pool)
    found = rows(mine("ego", ["exo"], workspace, MiningSettings(match="labels", top_k=2)))
    best = {p["fpv_narration"]: p["tpv_clip_id"] for p in found if p["rank"] == 0}
    assert best == {
        "take cup": "exo/2",  # both agree: the clip of "lift mug" that takes, not the one that cuts
        "take bread": "exo/1",  # of the clips that take, "lift pot" is nearer
        "stir cup": "exo/4",  # no clip stirs; "lift mug" is the nearest with a cup, as a cut first
        "open": "exo/4",  # nothing to go by but the text
    }
    second = {p["fpv_narration"]: p["tpv_clip_id"] for p in found if p["rank"] == 1}
    assert second["take cup"] == "exo/1"
    assert [p["similarity"] for p in found[:2]] == pytest.approx(
        [math.cos(math.radians(70)), math.cos(math.radians(21))]
    )
    assert (found[0]["shared_verb"], found[0]["shared_noun"]) == (True, True)


def test_labels_first_is_the_text_where_nothing_is_labelled(workspace: Workspace) -> None:
    write_clips(workspace, "ego", ["a", "b"])
    write_vectors(workspace, "ego", {"a": at(0), "b": at(90)})
    write_clips(workspace, "exo", ["x", "y", "x"], viewpoint=["tpv"] * 3)
    write_vectors(workspace, "exo", {"x": at(10), "y": at(80)})
    by_text = rows(mine("ego", ["exo"], workspace, MiningSettings(assign="spread")))
    by_label = rows(
        mine("ego", ["exo"], workspace, MiningSettings(assign="spread", match="labels"))
    )
    assert by_label == by_text
    with pytest.raises(SumlError, match="more partners than the pool has, got 3"):
        mine("ego", ["exo"], workspace, MiningSettings(match="labels", top_k=3))


def test_an_interrupted_search_goes_on(world: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks that were searched are kept until the pairs are written, and no longer."""
    whole = rows(mine("ego", ["exo"], world, MiningSettings()))
    world.pairs("ego", ["exo"]).unlink()

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    folder = world.units("mine-pairs ego--exo")
    with monkeypatch.context() as patch:
        patch.setattr("sumlctl.mining.mine._answers", dies)
        with pytest.raises(KeyboardInterrupt):
            mine("ego", ["exo"], world, MiningSettings())
    assert [path.name for path in folder.glob("*.json")] == ["exact.0000.0000.json"]
    with monkeypatch.context() as patch:
        patch.setattr("sumlctl.mining.search.blocks._search", dies)
        assert rows(mine("ego", ["exo"], world, MiningSettings())) == whole
    assert not folder.exists()


def test_what_another_table_gave_is_searched_anew(world: Workspace) -> None:
    with pytest.raises(SumlError, match="no pair is left"):
        mine("ego", ["exo"], world, MiningSettings(min_similarity=0.99))
    write_vectors(world, "exo", {"get mug": at(180), "slice loaf": at(60), "wave": at(10)})
    pairs = rows(mine("ego", ["exo"], world, MiningSettings()))
    assert [p["tpv_clip_id"] for p in pairs] == ["exo/3", "exo/1", "exo/3"]


def test_ivf_says_what_it_guarantees(world: Workspace) -> None:
    """Three narrations are one list, so that nothing is left out."""
    exact = rows(mine("ego", ["exo"], world, MiningSettings()))
    mined = mine("ego", ["exo"], world, MiningSettings(index="ivf", recall=0.9))
    assert rows(mined) == exact
    told = {
        "lists": 1,
        "probes": 1,
        "recall": 0.9,
        "certified": 1.0,
        "audited": 1,
        "right": 1,
        "at_least": 0.05,
    }
    table = tables.read(mined.written, "pairs")
    assert tables.metadata(table, "search") == told
    assert tables.metadata(table, "config")["recall"] == 0.9
    assert summarise(mined)["ivf"] == told
    assert summarise(mined)["certified"]["share"] == 1.0


def test_an_exact_table_says_nothing_of_ivf(world: Workspace) -> None:
    table = tables.read(mine("ego", ["exo"], world, MiningSettings()).written, "pairs")
    assert tables.metadata(table, "search") is None
    assert "recall" not in tables.metadata(table, "config")
