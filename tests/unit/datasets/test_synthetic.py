"""The generated datasets as a user meets them: cards, files, rows."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import polars as pl
import pytest

from sumlctl.config import dataset as cards
from sumlctl.config import shipped
from sumlctl.datasets import annotations as an
from sumlctl.datasets import synthetic, world
from sumlctl.errors import SumlError

DEMOS = ("demo-fpv", "demo-tpv")


def shipped_card(name):
    return cards.parse(shipped.find("manifests", name, Path("nowhere")))


def small(name):
    """The demo's card with a handful of small videos."""
    card = shipped_card(name)
    options = {**card.options, "clips": {"train": 13, "val": 5}, "size": [48, 36], "fps": 8}
    return replace(card, options=options)


def folders(root, name):
    return root / name / "annotations", root / name / "videos"


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    return root, {n: synthetic.read(small(n), *folders(root, n)) for n in DEMOS}


@pytest.mark.parametrize("name", DEMOS)
def test_card_expects_what_the_world_holds(name):
    card = shipped_card(name)
    settings = card.options
    (viewpoint,) = card.viewpoints
    filmed = world.videos(viewpoint, settings["seed"], settings["overlap"], settings["clips"])
    clips = Counter(video.split for video in filmed for _ in video.segments)
    videos = Counter(video.split for video in filmed)
    assert card.expected == {s: {viewpoint: clips[s], "videos": videos[s]} for s in clips}
    told = [segment.action for video in filmed for segment in video.segments]
    assert set(card.vocabulary["verbs"].names) == {action.verb for action in told}
    assert set(card.vocabulary["nouns"].names) == {action.noun for action in told}


STUDY = [path.stem for path in sorted(Path("manifests").glob("study-*.toml"))]


@pytest.mark.parametrize("name", STUDY)
def test_the_study_s_cards_expect_what_their_world_holds(name):
    card = shipped_card(name)
    (viewpoint,), made = card.viewpoints, card.options
    world_of = made["seed"], made["overlap"], made["clips"], made["hobby"]
    filmed = world.videos(viewpoint, *world_of)
    clips = Counter(video.split for video in filmed for _ in video.segments)
    videos = Counter(video.split for video in filmed)
    assert card.expected == {s: {viewpoint: clips[s], "videos": videos[s]} for s in clips}
    assert made["seed"] == (100 if "tune" in name else 1)
    if viewpoint == "tpv":
        assert name.endswith(f"-{made['overlap'] * 100:.0f}")


def test_only_the_first_clips_of_train_are_labelled(tmp_path):
    card = small("demo-fpv")
    card = replace(card, options={**card.options, "labelled": 5})
    rows = synthetic.read(card, *folders(tmp_path, "demo-fpv")).rows
    labelled = rows.with_columns(n=pl.col("verbs").list.len() * pl.col("nouns").list.len())
    assert labelled.filter(pl.col("split") == "train")["n"].to_list() == [1] * 5 + [0] * 8
    assert labelled.filter(pl.col("split") == "val")["n"].to_list() == [1] * 5
    assert (rows["narration"].str.len_chars() > 0).all()


def test_demo_cards_are_of_one_world():
    fpv, tpv = (shipped_card(name).options for name in DEMOS)
    assert (fpv["seed"], fpv["overlap"]) == (tpv["seed"], tpv["overlap"])


@pytest.mark.parametrize("name", DEMOS)
def test_rows_are_whole(generated, name):
    _, told = generated
    rows, card = told[name].rows, small(name)
    assert dict(rows.schema) == an.COLUMNS
    an.check(rows, {kind: source.size for kind, source in card.vocabulary.items()})
    assert set(rows["viewpoint"]) == set(card.viewpoints)
    assert Counter(rows["split"]) == {"train": 13, "val": 5}
    assert rows["_source"].to_list() == [f"clips.csv row {i}" for i in range(2, 20)]


@pytest.mark.parametrize("name", DEMOS)
def test_class_ids_name_what_the_world_shows(generated, name):
    _, told = generated
    card = small(name)
    filmed = world.videos(card.viewpoints[0], 0, 0.2, {"train": 13, "val": 5})
    shown = [(s.action.verb, s.action.noun) for video in filmed for s in video.segments]
    verbs, nouns = card.vocabulary["verbs"].names, card.vocabulary["nouns"].names
    ids = told[name].rows.select("verbs", "nouns").iter_rows()
    assert [(verbs[v], nouns[n]) for (v,), (n,) in ids] == shown


@pytest.mark.parametrize("name", DEMOS)
def test_every_clip_is_in_its_video_and_shows_something(generated, name):
    root, told = generated
    _, videos = folders(root, name)
    for video_id, clips in told[name].rows.group_by("video_id"):
        with av.open(str(videos / f"{video_id[0]}.mp4")) as container:
            frames = [(f.time, f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]
        for start_s, stop_s in clips.select("start_s", "stop_s").iter_rows():
            assert frames[0][0] <= start_s < stop_s < frames[-1][0] + 1 / 8
            middle = min(frames, key=lambda f, t=(start_s + stop_s) / 2: abs(f[0] - t))[1]
            assert middle.std() > 15


def test_reading_again_makes_nothing(generated):
    root, told = generated
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
    again = synthetic.read(small("demo-fpv"), *folders(root, "demo-fpv"))
    assert again.rows.equals(told["demo-fpv"].rows)
    after = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
    assert before == after


def test_goes_on_after_an_interruption(tmp_path):
    card, (annotations, videos) = small("demo-fpv"), folders(tmp_path, "x")
    first = synthetic.read(card, annotations, videos)
    lost, *kept = sorted(videos.iterdir())
    whole = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in kept}
    picture = lost.read_bytes()
    lost.unlink()
    (annotations / "clips.csv").unlink()
    again = synthetic.read(card, annotations, videos)
    assert again.rows.equals(first.rows)
    assert lost.read_bytes() == picture
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in kept} == whole


def test_videos_of_unknown_origin_are_rendered_anew(tmp_path):
    card, (annotations, videos) = small("demo-tpv"), folders(tmp_path, "x")
    videos.mkdir(parents=True)
    (videos / "T01_1.mp4").write_bytes(b"of another world")
    synthetic.read(card, annotations, videos)
    with av.open(str(videos / "T01_1.mp4")) as container:
        assert np.ptp(next(container.decode(video=0)).to_ndarray(format="gray")) > 50


@pytest.mark.parametrize(
    ("option", "value"),
    [("seed", 1), ("overlap", 0.5), ("clips", {"train": 7}), ("size", [64, 48]), ("fps", 10)],
)
def test_other_options_than_the_files_were_made_with(generated, option, value):
    root, _ = generated
    card = small("demo-fpv")
    other = replace(card, options={**card.options, option: value})
    with pytest.raises(SumlError, match=rf"another {option}, got .*Delete the folders"):
        synthetic.read(other, *folders(root, "demo-fpv"))


def test_other_class_names_than_the_files_were_made_with(generated):
    root, _ = generated
    card = small("demo-fpv")
    names = card.vocabulary["verbs"].names[::-1]
    verbs = replace(card.vocabulary["verbs"], names=names)
    other = replace(card, vocabulary={**card.vocabulary, "verbs": verbs})
    with pytest.raises(SumlError, match="another verbs"):
        synthetic.read(other, *folders(root, "demo-fpv"))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"overlap": 1.5}, "bad reader.overlap, got 1.5; expected 0.0 to 1.0"),
        ({"size": [95, 72]}, "bad reader.size, got .95, 72."),
        ({"size": [96]}, "bad reader.size"),
        ({"clips": {}}, "bad reader.clips"),
        ({"clips": {"train": 0}}, "bad reader.clips"),
        ({"fps": 0}, "bad reader.fps"),
        ({"seed": -1}, "bad reader.seed"),
        ({"seed": "zero"}, "reader.seed is of another type"),
        ({"overlaps": 0.5}, "no such option of reader synthetic.*Did you mean overlap"),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(tmp_path, options, complaint):
    card = small("demo-fpv")
    bad = replace(card, options={**card.options, **options})
    with pytest.raises(SumlError, match=complaint):
        synthetic.read(bad, *folders(tmp_path, "x"))
    assert list(tmp_path.iterdir()) == []


def test_class_that_the_card_does_not_name(tmp_path):
    card = small("demo-tpv")
    wider = replace(card, options={**card.options, "overlap": 1.0, "clips": {"train": 24}})
    with pytest.raises(SumlError, match=r"vocabulary\.(verbs|nouns) lacks .* Add it"):
        synthetic.read(wider, *folders(tmp_path, "x"))
    assert list(tmp_path.iterdir()) == []


def test_files_say_what_they_are(generated):
    root, told = generated
    annotations, _ = folders(root, "demo-fpv")
    assert told["demo-fpv"].files == (annotations / "clips.csv", annotations / "world.json")
    assert json.loads((annotations / "world.json").read_text())["overlap"] == 0.2
    header, *_ = (annotations / "clips.csv").read_text().splitlines()
    assert header == "clip_id,video_id,participant,split,start_s,stop_s,narration,verb,noun"
