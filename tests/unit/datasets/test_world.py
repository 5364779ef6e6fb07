"""The generated world's actions, phrases and timetable."""

from collections import Counter
from random import Random

import pytest

from sumlctl.datasets import world

# What a reader of English would accept as a word for each thing.
NAMED = {
    "fridge": {"fridge", "refrigerator"},
    "bottle": {"bottle"},
    "pan": {"pan", "skillet"},
    "bowl": {"bowl"},
    "tomato": {"tomato"},
    "box": {"box"},
    "jar": {"jar"},
    "kettle": {"kettle"},
    "lemon": {"lemon"},
    "bread": {"bread", "loaf"},
    "drawer": {"drawer"},
    "cup": {"cup", "mug"},
    "plate": {"plate", "dish"},
}


def told_actions(viewpoint: str, overlap: float, seed: int = 3) -> set[tuple[str, str]]:
    """Verb and noun of everything that happens in enough clips to show every action."""
    filmed = world.videos(viewpoint, seed, overlap, {"train": 100})
    return {(s.action.verb, s.action.noun) for video in filmed for s in video.segments}


@pytest.mark.parametrize(("overlap", "shared"), [(0.0, 0), (0.25, 6), (0.5, 12), (1.0, 24)])
def test_overlap_is_the_share_of_first_person_actions_seen_in_third_person(overlap, shared):
    fpv, tpv = told_actions("fpv", overlap), told_actions("tpv", overlap)
    assert len(fpv) == 24
    assert len(fpv & tpv) == shared


def test_identical_at_overlap_one():
    assert told_actions("fpv", 1.0) == told_actions("tpv", 1.0)


def test_overlap_leaves_first_person_videos_alone():
    clips = {"train": 21, "val": 7}
    assert world.videos("fpv", 5, 0.0, clips) == world.videos("fpv", 5, 0.9, clips)


@pytest.mark.parametrize(("overlap", "shared"), [(0.0, 0), (0.25, 6), (0.75, 18), (1.0, 24)])
def test_nothing_done_in_the_kitchen_resembles_the_hobby_room(overlap, shared):
    found = world.actions(3, overlap, hobby=0.5)
    fpv, tpv = found["fpv"], found["tpv"]
    hobby = [action for action in fpv if action.verb in world.HOBBY_SUITS]
    assert (len(fpv), len(tpv), len(hobby)) == (24, 24, 12)
    assert len(set(fpv) & set(tpv)) == shared
    filmed_twice = [action for action in hobby if action in tpv]
    assert len(filmed_twice) == max(shared - 12, 0)  # they come last
    kitchen = [action for action in (*fpv, *tpv) if action not in hobby]
    assert not {a.verb for a in kitchen} & {a.verb for a in hobby}
    assert not {a.noun for a in kitchen} & {a.noun for a in hobby}


def test_most_actions_share_only_a_verb_or_a_noun_with_third_person():
    fpv, tpv = told_actions("fpv", 0.2, seed=0), told_actions("tpv", 0.2, seed=0)
    verbs, nouns = {verb for verb, _ in tpv}, {noun for _, noun in tpv}
    identical = fpv & tpv
    nothing = {(v, n) for v, n in fpv if v not in verbs and n not in nouns}
    partial = fpv - identical - nothing
    assert 0 < len(identical) < len(fpv) / 3
    assert nothing
    assert len(partial) > len(fpv) / 2


def test_one_seed_one_world():
    clips = {"train": 30, "val": 9}
    once, again, other = (world.videos("tpv", seed, 0.2, clips) for seed in (1, 1, 2))
    assert once == again
    assert once != other


def test_classes_are_balanced():
    actions = world.actions(11, 0.2)["fpv"]
    verbs = Counter(action.verb for action in actions)
    assert set(verbs.values()) == {3}
    clips = world.videos("fpv", 11, 0.2, {"train": 100})
    seen = Counter(s.action for video in clips for s in video.segments)
    assert max(seen.values()) - min(seen.values()) <= 1


@pytest.mark.parametrize("viewpoint", ["fpv", "tpv"])
def test_timetable(viewpoint):
    filmed = world.videos(viewpoint, 0, 0.2, {"train": 50, "val": 16})
    splits = Counter(video.split for video in filmed for _ in video.segments)
    assert splits == {"train": 50, "val": 16}
    assert len({video.video_id for video in filmed}) == len(filmed) == 8 + 3
    for video in filmed:
        times = [t for s in video.segments for t in (s.start_s, s.stop_s)]
        assert times == sorted(times)
        assert times[0] > 0 and times[-1] < video.duration_s
        assert all(1.48 <= s.stop_s - s.start_s <= 2.52 for s in video.segments)


def test_nobody_is_in_two_splits_or_viewpoints():
    people = [
        (video.participant, (viewpoint, video.split))
        for viewpoint in ("fpv", "tpv")
        for video in world.videos(viewpoint, 0, 0.2, {"train": 70, "val": 30})
    ]
    assert len(dict(people)) == len(set(people))


def test_narrations_mention_their_noun_in_several_ways():
    rng = Random(0)
    for action in {a for known in world.actions(0, 0.2).values() for a in known}:
        told = {world.narrate(action, rng) for _ in range(60)}
        assert len(told) >= 8
        assert all(NAMED[action.noun] & set(narration.split()) for narration in told)
