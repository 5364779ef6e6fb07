"""Parts are found by the names of their modules."""

import pytest

from sumlctl.config import registry
from sumlctl.datasets import charades_ego
from sumlctl.errors import SumlError


def test_readers_are_the_modules_that_read():
    expected = ["charades_ego", "epic", "lemma", "synthetic", "tabular"]
    assert sorted(registry.names("readers")) == expected


def test_encoders_are_the_modules_that_load():
    assert sorted(registry.names("encoders")) == ["hashed", "sbert"]


@pytest.mark.parametrize("name", ["charades_ego", "charades-ego", "CharadesEgo", "CHARADES_EGO"])
def test_spelling_with_hyphens_underscores_and_case_does_not_matter(name):
    assert registry.load("readers", name) is charades_ego.read


@pytest.mark.parametrize("helper", ["index", "survey", "annotations", "options", "vocabulary"])
def test_helper_modules_are_no_parts(helper):
    with pytest.raises(SumlError, match="no such reader"):
        registry.load("readers", helper)


@pytest.mark.parametrize(
    ("kind", "word", "name", "near"),
    [("readers", "reader", "epick", "epic"), ("encoders", "encoder", "sbrt", "sbert")],
)
def test_a_miss_names_the_nearest(kind, word, name, near):
    with pytest.raises(SumlError) as caught:
        registry.load(kind, name, "card.toml")
    text = str(caught.value)
    assert text.startswith(f"card.toml: no such {word}, got '{name}'; expected one of ")
    assert text.endswith(f"Did you mean {near}?")


def test_the_word_for_a_loss():
    with pytest.raises(SumlError, match="no such loss, got 'no-such-thing'"):
        registry.load("losses", "no-such-thing")
