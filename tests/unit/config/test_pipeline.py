"""Pipelines: defaults, overrides, and every fault at once."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from sumlctl import config
from sumlctl.config import parsing, shipped
from sumlctl.errors import SumlError

OTHER_LOSS = {"margin": 0.3, "negative": "fpv", "w_t": 0.1, "w_a": 0.02}


@pytest.fixture
def load(tmp_path):
    def load(text: str = "", *overrides: str) -> config.Pipeline:
        path = tmp_path / "p.toml"
        path.write_text(text, encoding="utf-8")
        return config.load(path, overrides)

    return load


def faults(load, text: str, *overrides: str) -> list[str]:
    with pytest.raises(SumlError) as caught:
        load(text, *overrides)
    assert str(caught.value).endswith("Correct the file or the --set options.")
    return caught.value.got.split("; ")


def test_defaults_are_the_papers_and_every_option_is_written_out(load):
    pipeline = load()
    assert (pipeline.stage_two.learning_rate, pipeline.stage_two.batch_size) == (0.01, 64)
    assert (pipeline.stage_two.epochs, pipeline.optimiser.momentum) == (30, 0.9)
    assert pipeline.loss.name == "sum-l"
    assert pipeline.loss.options == {
        "temperature": 0.06,
        "sigma": 0.1,
        "threshold": 0.5,
        "weighted": True,
        "negatives": "cross",
        "w_t": 0.1,
        "w_aw": 0.02,
        "w_m": 0.1,
    }


def test_file_then_overrides_in_order(load):
    text = 'seed = 3\n[stage_two]\nepochs = 5\n[data]\ntpv = ["a"]'
    overrides = ("stage_two.epochs=6", "stage_two.epochs=7", 'data.tpv=["b", "c"]', "data.fpv=ek55")
    pipeline = load(text, *overrides)
    assert (pipeline.seed, pipeline.stage_two.epochs) == (3, 7)
    assert (pipeline.data.tpv, pipeline.data.fpv) == (["b", "c"], "ek55")


def test_whole_numbers_serve_as_numbers(load):
    rate = load("", "stage_one.learning_rate=1").stage_one.learning_rate
    assert rate == 1.0 and isinstance(rate, float)


def test_another_method_drops_the_options_of_the_former(load):
    text = '[loss]\nname = "sum-l"\nsigma = 0.2'
    assert load(text).loss.options["sigma"] == 0.2
    assert load(text, "loss.name=sum-l").loss.options["sigma"] == 0.2
    expected = parsing.Component("triplet", OTHER_LOSS)
    assert load(text, "loss.name=triplet", "loss.margin=0.3").loss == expected
    assert load(text, "loss.margin=0.3", "loss.name=triplet").loss == expected


def test_a_name_outside_any_section_is_unknown(load):
    (fault,) = faults(load, "", "name=foo")
    assert fault.startswith("name is unknown, known: title, profile, seed")


def test_every_fault_is_told_at_once(load):
    text = """
    sede = 1
    input = 3
    precision = "fp8"
    [backbone]
    name = "r3d5"
    [loss]
    temperatures = 0.1
    [stage_one]
    batch_size = 1
    epochs = "ten"
    learning_rate = -1
    [optimiser]
    steps = [20, 10]
    momentum = true
    [data]
    tpv = "exo"
    """
    told = faults(load, text, "head.dropout", "stage_two.epochs=1 2")
    assert sorted(told) == sorted(
        [
            "head.dropout is not KEY=VALUE",
            "stage_two.epochs=1 2 has a value that is not TOML",
            "sede is unknown, did you mean seed?",
            "input = 3 is not a section",
            'precision = "fp8" is not one of auto, 32-true, bf16-mixed, 16-mixed',
            'backbone.name = "r3d5" does not exist. Did you mean r3d50?',
            "loss.temperatures is unknown, did you mean temperature?",
            "stage_one.batch_size = 1 is not at least 2",
            'stage_one.epochs = "ten" is not a whole number',
            "stage_one.learning_rate = -1.0 is not above 0",
            "optimiser.momentum = true is not a number",
            'data.tpv = "exo" is not a list',
        ]
    )


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        ("loss.temperature=0", "loss.temperature = 0.0 is not above 0"),
        ("loss.sigma=nan", "loss.sigma = nan is not finite"),
        ("loss.negatives=all", "loss.negatives = 'all' is not cross or cross+intra"),
        (
            "encoders.tpv=melted",
            'encoders.tpv = "melted" is not one of original, frozen, shared, same-init',
        ),
        ("profile=mine", 'profile = "mine" is not one of paper, released-code'),
        ("loss.threshold=1.5", "loss.threshold = 1.5 is not a cosine, from -1 to 1"),
        ('loss.w_t="x"', 'loss.w_t = "x" is not a number'),
        ("input.crop=300", "input.crop = 300 is larger than the short side 256"),
        ("input.short_side=[320, 256]", "input.short_side = [320, 256] is not [smallest, largest]"),
        ("input.short_side=[0, 256]", "input.short_side = 0 is not at least 1"),
        ("optimiser.steps=[9, 5]", "optimiser.steps = [9.0, 5.0] does not ascend"),
        ("stage_one.learning_rate=nan", "stage_one.learning_rate = nan is not finite"),
        ("loss.temperature=inf", "loss.temperature = inf is not finite"),
        ("optimiser.momentum=1.0", "optimiser.momentum = 1.0 is not at most 0.9999"),
        ("seed.deep=1", "seed.deep=1: seed is not a section"),
        ("loss=1", 'loss is not a section with name = "..."'),
    ],
)
def test_impossible_values(load, override, fault):
    assert faults(load, "seed = 1", override) == [fault]


def disagreements(pipeline):
    return (
        pipeline.data.match,
        pipeline.encoders.tpv,
        pipeline.projection.unit_features,
        pipeline.loss.options["weighted"],
        pipeline.loss.options["negatives"],
    )


PAPER = ("text", "original", False, True, "cross")
RELEASED = ("labels", "same-init", True, False, "cross+intra")


def test_a_profile_sets_every_disagreement(tmp_path):
    path = tmp_path / "p.toml"
    path.write_text("")
    assert disagreements(config.load(path)) == PAPER
    assert disagreements(config.load(path, profile="released-code")) == RELEASED
    one = config.load(path, ["loss.weighted=true"], profile="released-code")
    assert disagreements(one) == ("labels", "same-init", True, True, "cross+intra")
    assert one.profile == "released-code"


def test_a_profile_of_the_file_yields_to_its_keys_one_of_the_command_does_not(tmp_path):
    path = tmp_path / "p.toml"
    path.write_text('profile = "released-code"\n[loss]\nweighted = true')
    assert disagreements(config.load(path)) == ("labels", "same-init", True, True, "cross+intra")
    assert disagreements(config.load(path, profile="released-code")) == RELEASED
    assert disagreements(config.load(path, profile="paper")) == PAPER


def test_a_profile_can_be_set_too(tmp_path):
    path = tmp_path / "p.toml"
    path.write_text("")
    assert disagreements(config.load(path, ["profile=released-code"])) == RELEASED
    one = config.load(path, ['profile = "released-code"', "loss.negatives=cross"])
    assert disagreements(one) == (*RELEASED[:4], "cross")


def test_another_spelling_of_a_method_is_the_same_method(load):
    assert load("", "loss.sigma=0.3", "loss.name=suml").loss.options["sigma"] == 0.3
    text = '[loss]\nname = "sum-l"\nsigma = 0.2'
    assert load(text, "loss.name=SUM_L").loss.options["sigma"] == 0.2


def test_a_profile_leaves_alone_what_a_method_does_not_have(tmp_path):
    path = tmp_path / "p.toml"
    path.write_text("")
    for method in ("fpv-only", "typical-cl", "triplet"):
        loaded = config.load(path, [f"loss.name={method}"], profile="released-code")
        negatives = loaded.loss.options.get("negatives")
        assert negatives == ("cross+intra" if method == "typical-cl" else None)
        assert "weighted" not in loaded.loss.options


def told(before, after) -> list[str]:
    return parsing.changes(parsing.flat(before), parsing.flat(after))


def test_changes_name_the_settings_but_not_neutral_ones(load):
    before = load("", "loss.sigma=0.1")
    after = load("", "loss.sigma=0.2", "stage_two.epochs=31", "workers=9", "log.every=3")
    assert told(before, after) == [
        "loss.sigma = 0.2, was 0.1",
        "stage_two.epochs = 31, was 30",
    ]
    other = load("", "loss.name=triplet", 'data.tpv=["a"]')
    assert told(before, other) == [
        'data.tpv = ["a"], was []',
        'loss.name = "triplet", was "sum-l"',
    ]


def test_not_toml(load):
    with pytest.raises(SumlError, match="not valid TOML"):
        load("seed = ")


@pytest.mark.parametrize("name", sorted(shipped.available("pipelines", Path("none"))))
def test_shipped_pipelines_load_and_survive_a_round_trip(name, tmp_path):
    pipeline = config.load(shipped.find("pipelines", name, Path("none")))
    path = tmp_path / "again.toml"
    path.write_text(parsing.dump(pipeline), encoding="utf-8")
    assert config.load(path) == pipeline


def test_strings_survive_a_round_trip(load, tmp_path):
    odd = 'a "quoted" \\ name\twith ü and 😀'
    dumped = parsing.dump(load(f"[data]\nfpv = {parsing.toml(odd)}"))
    assert tomllib.loads(dumped)["data"]["fpv"] == odd


def test_options_of_a_command_become_overrides():
    options = {"data.fpv": "ek55", "data.tpv": ["a", "b"], "devices": None, "seed": 2}
    assert config.overrides(options) == ['data.fpv="ek55"', 'data.tpv=["a", "b"]', "seed=2"]


def test_training_leaves_aside_what_is_for_run(load):
    text = 'steps = ["fly"]\nmatrix = 3\npaper = 1\nmining = 2\nhistogram = 1\ncam = 7\nseed = 5'
    assert load(text).seed == 5


def test_rate_is_a_number_or_a_word(load):
    assert load("").input.rate == 0.0
    assert load("", "input.rate=60").input.rate == 60.0
    assert load("", "input.rate=published").input.rate == "published"
    assert faults(load, "", "input.rate=-1") == ["input.rate = -1.0 is not at least 0"]
    assert faults(load, "", "input.rate=fast") == ['input.rate = "fast" is not one of published']
    assert faults(load, "", "input.rate=[1]") == ["input.rate = [1] is not a number"]
    assert faults(load, "", "decoder=ffmpeg") == [
        'decoder = "ffmpeg" is not one of auto, decord, pyav'
    ]


def test_fingerprints_of_settings_that_came_later(load):
    """At their defaults these are as if they were not there, as in what earlier versions wrote."""
    usual = parsing.flat(load(""))
    assert "decoder" not in usual and "input.rate" not in usual
    assert set(parsing.section_facts(load("").input)) == {
        "frames",
        "stride",
        "short_side",
        "crop",
        "flip",
    }
    other = parsing.flat(load("", "decoder=pyav", "input.rate=60"))
    assert parsing.changes(usual, other) == [
        'decoder = "pyav", was nothing',
        "input.rate = 60.0, was nothing",
    ]
    assert 'decoder = "auto"' in parsing.dump(load(""))
