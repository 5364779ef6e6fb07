"""Dataset cards: what a sound one says and what each fault of one is called."""

import re
from pathlib import Path

import pytest

from sumlctl.config import dataset, shipped
from sumlctl.errors import SumlError

SOUND = """
title = "Kitchens"
viewpoints = ["fpv", "tpv"]
homepage = "https://example.org"
licence = "CC0"
citation = "Nobody. 2024."

[reader]
name = "tabular"
files = { train = "train.csv" }

[videos]
paths = ["{participant}/{video_id}.mp4", "{video_id}.mp4"]

[vocabulary]
verbs = { names = ["take", "put"] }
nouns = { size = 3, file = "nouns.csv", id = "number", name = "noun", forms = "words" }

[expected]
train = { fpv = 10, tpv = 20, videos = 4 }
"v1.val" = { fpv = 5 }
"""


def parse(tmp_path, text):
    path = tmp_path / "kitchens.toml"
    path.write_text(text)
    return dataset.parse(path)


def fault(tmp_path, text):
    with pytest.raises(SumlError) as caught:
        parse(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'kitchens.toml'}: ")
    assert message.endswith("Correct the file; README has every key.")
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize(
    ("fps", "rates"),
    [
        ("fps = 24", [24.0, 24.0, 24.0]),
        ('fps = { "P??_??" = 60, "P??_???" = 50.5 }', [60.0, 50.5, None]),
        ("", [None, None, None]),
    ],
)
def test_the_rate_of_folders_of_frames(tmp_path, fps, rates):
    found = parse(tmp_path, SOUND.replace("[vocabulary]", f"{fps}\n[vocabulary]"))
    assert [found.folder_fps(video) for video in ("P01_02", "P01_102", "kitchen")] == rates


@pytest.mark.parametrize("fps", ["'fast'", "0", "-1", "true", "inf", "[24]", "{ P01 = 'x' }"])
def test_a_rate_that_is_none_is_a_fault(tmp_path, fps):
    text = SOUND.replace("[vocabulary]", f"fps = {fps}\n[vocabulary]")
    assert "videos.fps, got" in fault(tmp_path, text)


def test_the_rates_of_the_published_folders():
    epic, lemma = (
        dataset.parse(shipped.available("manifests", Path("none"))[name])
        for name in ("ek100", "lemma")
    )
    assert (epic.folder_fps("P01_01"), epic.folder_fps("P01_101")) == (60.0, 50.0)
    assert lemma.folder_fps("12-1-4") == 24.0


def test_a_sound_card(tmp_path):
    found = parse(tmp_path, SOUND)
    assert (found.name, found.title, found.licence) == ("kitchens", "Kitchens", "CC0")
    assert (found.homepage, found.citation) == ("https://example.org", "Nobody. 2024.")
    assert found.viewpoints == ("fpv", "tpv")
    assert (found.reader, found.options) == ("tabular", {"files": {"train": "train.csv"}})
    assert found.videos == ("{participant}/{video_id}.mp4", "{video_id}.mp4")
    assert found.vocabulary["verbs"] == dataset.VocabularySource(size=2, names=("take", "put"))
    assert found.vocabulary["nouns"] == dataset.VocabularySource(
        size=3, file="nouns.csv", id="number", name="noun", forms="words"
    )
    assert found.expected == {
        "train": {"fpv": 10, "tpv": 20, "videos": 4},
        "v1.val": {"fpv": 5},
    }


def test_vocabulary_and_expected_counts_are_optional(tmp_path):
    found = parse(tmp_path, SOUND.partition("[vocabulary]")[0])
    assert (found.vocabulary, found.expected) == ({}, {})


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('title = "Kitchens"', "title = Kitchens", "not valid TOML"),
        ("licence = ", "lisence = ", "unknown key, got 'lisence'; expected licence"),
        ('["fpv", "tpv"]', '["first"]', "unknown viewpoint, got ['first']; expected a list of fpv"),
        ('["fpv", "tpv"]', "[]", "unknown viewpoint, got []"),
        ('["fpv", "tpv"]', '"fpv"', "unknown viewpoint, got 'fpv'"),
        ('["fpv", "tpv"]', "3", "unknown viewpoint, got 3"),
        ('name = "tabular"\n', "", "reader has no name, got None"),
        ('name = "tabular"\n', "name = 3\n", "reader has no name, got 3"),
        ("paths = ", "path = ", "videos has no paths"),
        ('["{participant}/', '[3, "{participant}/', "videos has no paths"),
        (
            '"{participant}/{video_id}.mp4"',
            '"{camera}/{video_id}.mp4"',
            "unknown field in a path, got '{camera}/{video_id}.mp4'; "
            "expected {video_id} and {participant} only",
        ),
        ('"{participant}/{video_id}.mp4"', '"{}.mp4"', "unknown field in a path, got '{}.mp4'"),
        ('"{participant}/{video_id}.mp4"', '"{video_id"', "unknown field in a path"),
        ('"{participant}/{video_id}.mp4"', '"{video_id.x}"', "unknown field in a path"),
        ("verbs = {", "verb = {", "unknown vocabulary, got 'verb'; expected verbs, nouns, actions"),
        ('["take", "put"] }', '["take", "put"], size = 3 }', "vocabulary.verbs.size, got 3"),
        (
            '["take", "put"] }',
            '["take", "put"], column = "x" }',
            "unknown key, got 'vocabulary.verbs.column'",
        ),
        ('{ names = ["take", "put"] }', "{ file = 'v.csv' }", "vocabulary.verbs.size is missing"),
        (
            '["fpv", "tpv"]',
            '["fpv"]\nredistribute = "some"',
            "redistribute, got 'some'; expected all",
        ),
        (
            "[videos]",
            "[videos]\npatths = 3",
            "unknown key, got 'videos.patths'; expected videos.paths",
        ),
        ("[videos]", "[videos]\nscene = '('", "videos.scene, got '('; expected a pattern with"),
        ('{ names = ["take", "put"] }', "3", "vocabulary.verbs, got"),
        ('["take", "put"]', '["take", 2]', "vocabulary.verbs, got"),
        ("size = 3,", 'size = "3",', "vocabulary.nouns, got"),
        ("videos = 4", "clips = 4", "expected.train, got {'fpv': 10, 'tpv': 20, 'clips': 4}"),
        ("fpv = 10", 'fpv = "ten"', "expected.train, got"),
        ("train = { fpv", "test = 3\ntrain = { fpv", "expected.test, got 3"),
    ],
)
def test_faults(tmp_path, old, new, words):
    assert SOUND.count(old) == 1
    assert words in fault(tmp_path, SOUND.replace(old, new))


def test_parse_names_all_faults_at_once(tmp_path):
    """Three slips in one file are one error of one line, each with what would be right."""
    text = SOUND.replace("licence", "lisence").replace('["fpv", "tpv"]', '["first"]')
    message = fault(tmp_path, text.replace("videos = 4", "clips = 4"))
    assert "3 faults in the dataset configuration" in message
    assert "unknown key: 'lisence', not licence" in message
    assert "unknown viewpoint: ['first'], not a list of fpv, tpv or both" in message
    assert "expected.train: {'fpv': 10, 'tpv': 20, 'clips': 4}, not" in message


def test_parse_refuses_titles_that_are_no_text(tmp_path):
    text = "title = 3\nhomepage = ['a']\n" + re.sub("(?m)^(title|homepage) = .*\n", "", SOUND)
    message = fault(tmp_path, text)
    assert "title: 3, not a text; homepage: ['a'], not a text" in message


def test_parse_needs_viewpoints_reader_and_videos_alone(tmp_path):
    """Title, homepage, licence and citation may be missing; nothing may then be passed on."""
    found = parse(
        tmp_path,
        'viewpoints = ["tpv"]\n[reader]\nname = "tabular"\n[videos]\npaths = ["{video_id}.mp4"]',
    )
    assert (found.title, found.homepage, found.licence, found.citation) == ("kitchens", "", "", "")
    assert found.redistribute == "none"


def test_parse_takes_class_names_from_the_table(tmp_path):
    found = parse(tmp_path, SOUND.replace('{ names = ["take", "put"] }', '"table"'))
    assert found.vocabulary["verbs"].from_table
    assert not found.vocabulary["nouns"].from_table


@pytest.mark.parametrize("table", ["reader", "videos", "vocabulary", "expected"])
def test_a_key_where_a_table_belongs(tmp_path, table):
    sections = SOUND.split("\n[")
    others = "\n[".join(s for s in sections if not s.startswith(f"{table}]"))
    text = fault(tmp_path, f"{table} = 3\n{others}")
    assert f"{table} is no table, got 3; expected [{table}]" in text


def test_a_card_that_is_not_text(tmp_path):
    path = tmp_path / "kitchens.toml"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\xff")
    with pytest.raises(SumlError, match="not valid TOML"):
        dataset.parse(path)


def test_an_unknown_dataset_gets_the_nearest_names(workspace):
    with pytest.raises(SumlError) as caught:
        dataset.load("ek5", workspace)
    assert str(caught.value).startswith("command line: no such dataset, got 'ek5'; expected one of")
    assert "Did you mean ek55" in str(caught.value)


def test_the_workspaces_card_comes_first(workspace):
    workspace.manifests.mkdir(parents=True)
    (workspace.manifests / "ek55.toml").write_text(SOUND)
    assert dataset.load("ek55", workspace).title == "Kitchens"
    assert dataset.load("ek100", workspace).title == "EPIC-KITCHENS-100"


@pytest.mark.parametrize(
    ("name", "sizes", "expected"),
    [
        (
            "ek55",
            {"verbs": 125, "nouns": 352},
            {"train": {"fpv": 26074, "videos": 258}, "val": {"fpv": 2398, "videos": 14}},
        ),
        (
            "ek100",
            {"verbs": 97, "nouns": 300},
            {"train": {"fpv": 67217}, "val": {"fpv": 9668}},
        ),
        ("lemma", {"verbs": 25, "nouns": 64, "actions": 863}, {}),
        (
            "charades-ego",
            {"verbs": 33, "nouns": 38, "actions": 157},
            {"v0.train": {"fpv": 49809, "tpv": 49809}, "v0.test": {"fpv": 883, "tpv": 16691}},
        ),
    ],
)
def test_the_papers_datasets_have_their_published_numbers(name, sizes, expected):
    found = dataset.parse(shipped.find("manifests", name, Path("nowhere")))
    assert {kind: source.size for kind, source in found.vocabulary.items()} == sizes
    assert found.expected == expected


def test_ek55_holds_out_the_videos_of_the_literature():
    found = dataset.parse(shipped.find("manifests", "ek55", Path("nowhere")))
    assert sorted(found.options["validation_videos"]) == [
        *("P01_18", "P02_09", "P03_27", "P04_04", "P07_07", "P08_20", "P15_01"),
        *("P22_08", "P24_03", "P25_01", "P26_05", "P28_02", "P30_04", "P31_04"),
    ]
