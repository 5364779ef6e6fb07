"""Pipelines that extend others, and that ask for a version."""

from __future__ import annotations

import pytest

from sumlctl import config
from sumlctl.config import parsing
from sumlctl.errors import SumlError


@pytest.fixture
def own(tmp_path):
    """Writes pipelines into one folder and loads one of them."""

    def write(**files: str):
        for name, text in files.items():
            (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
        return config.load(tmp_path / f"{[*files][-1]}.toml")

    return write


def test_a_pipeline_extends_another_key_by_key(own):
    pipeline = own(
        grandparent="seed = 1\n[stage_two]\nepochs = 9\nbatch_size = 8\n[data]\ntpv = ['a', 'b']",
        parent='extends = "grandparent"\n[stage_two]\nepochs = 7',
        child='extends = "parent"\nseed = 3\n[data]\ntpv = ["c"]',
    )
    assert (pipeline.seed, pipeline.stage_two.epochs, pipeline.stage_two.batch_size) == (3, 7, 8)
    assert pipeline.data.tpv == ["c"]


def test_another_method_of_the_child_drops_the_options_of_the_parents(own):
    parent = '[loss]\nname = "sum-l"\nsigma = 0.2'
    assert own(p=parent, c='extends = "p"\n[loss]\nw_m = 0.3').loss.options["sigma"] == 0.2
    assert own(p=parent, c='extends = "p"\n[loss]\nname = "SumL"').loss.options["sigma"] == 0.2
    other = own(p=parent, c='extends = "p"\n[loss]\nname = "triplet"')
    options = {"margin": 0.1, "negative": "fpv", "w_t": 0.1, "w_a": 0.02}
    assert other.loss == parsing.Component("triplet", options)


def test_the_users_pipeline_shadows_the_shipped_one_that_is_extended(tmp_path):
    child = tmp_path / "elsewhere" / "child.toml"
    child.parent.mkdir()
    child.write_text('extends = "slowfast"')
    assert config.load(child).backbone.name == "slowfast50"
    (tmp_path / "slowfast.toml").write_text('[backbone]\nname = "x3d_s"')
    assert config.load(child, own=tmp_path).backbone.name == "x3d_s"


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"a": 'extends = "a"'}, "extend each other in a circle, got a → a;"),
        (
            {"c": 'extends = "a"', "b": 'extends = "c"', "a": 'extends = "b"'},
            "extend each other in a circle, got a → b → c → a;",
        ),
        ({"a": 'extends = "slowfst"'}, "no such pipeline, got 'slowfst'"),
        ({"a": "extends = 3"}, "no such pipeline, got '3'"),
        ({"a": 'requires = "9.1"\nnewer = 1'}, 'newer version, got requires = "9.1"'),
        ({"b": 'requires = "9"', "a": 'extends = "b"'}, 'newer version, got requires = "9"'),
        ({"a": "requires = 1.5"}, "requires is no version, got requires = 1.5"),
    ],
)
def test_extending_what_cannot_be_extended(own, files, told):
    with pytest.raises(SumlError) as caught:
        own(**files)
    assert told in str(caught.value)


def test_a_pipeline_may_ask_for_this_version(own):
    assert own(a='requires = "0.1"\nseed = 4').seed == 4
