"""Cards and pipelines that come with the package, and the user's own in front of them."""

from pathlib import Path

import pytest

from sumlctl.config import dataset, shipped
from sumlctl.errors import SumlError
from sumlctl.workspace import Workspace

NOWHERE = Path("nowhere")


def test_the_datasets_of_the_paper_are_shipped():
    names = set(shipped.available("manifests", NOWHERE))
    assert {"ek55", "ek100", "charades-ego", "lemma", "demo-fpv", "demo-tpv"} <= names


def test_every_shipped_card_is_sound(workspace):
    for name, path in shipped.available("manifests", NOWHERE).items():
        assert dataset.load(name, workspace).path == path


def test_the_users_card_shadows_the_shipped_one(tmp_path):
    own = tmp_path / "lemma.toml"
    own.write_text("")
    (tmp_path / "mine.toml").write_text("")
    found = shipped.available("manifests", tmp_path)
    assert found["lemma"] == own
    assert found["mine"] == tmp_path / "mine.toml"
    assert found["ek55"].parent != tmp_path
    assert shipped.find("manifests", "lemma", tmp_path) == own


@pytest.mark.parametrize(
    ("kind", "word"), [("manifests", "no such dataset"), ("pipelines", "no such pipeline")]
)
def test_an_unknown_name_gets_the_nearest(tmp_path, kind, word):
    (tmp_path / "my-kitchen.toml").write_text("")
    with pytest.raises(SumlError) as caught:
        shipped.find(kind, "my-kichen", tmp_path)
    text = str(caught.value)
    assert text.startswith(f"command line: {word}, got 'my-kichen'; expected one of ")
    assert "Did you mean my-kitchen" in text


def test_a_name_is_no_path(workspace):
    with pytest.raises(SumlError, match="no such dataset"):
        dataset.load("../manifests/ek55", Workspace(workspace.root))
