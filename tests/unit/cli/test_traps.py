"""Nothing that is typed or printed is dropped in silence, and every hint can be typed."""

from __future__ import annotations

import io
import json
import shlex
import shutil
import sys

import pytest

from sumlctl import tables
from sumlctl.cli import demo
from sumlctl.config import load
from sumlctl.errors import SumlError
from tests.unit.learning import small_world


@pytest.fixture
def small(workspace):
    small_world.build(workspace)
    return workspace


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252"])
@pytest.mark.parametrize("words", [["histogram", "--by", "clip"], ["pairs", "list"]])
def test_a_terminal_without_unicode_gets_ascii(small, monkeypatch, encoding, words):
    """`≥` and `█` have no place in these encodings; the command is done all the same."""
    from sumlctl.cli.app import main

    table = tables.read(small.pairs("ego", ["exo"]), "pairs")
    config = tables.metadata(table, "config")
    config |= {"fpv": "ego", "tpv": ["exo"], "clips_mined": 8}
    tables.write(table, small.pairs("ego", ["exo"]), "pairs", inputs={}, config=config)
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    monkeypatch.setattr(sys, "argv", ["sumlctl", *words, "--workspace", str(small.root)])
    with pytest.raises(SystemExit) as stopped:
        main()
    sys.stdout.flush()
    assert stopped.value.code in (0, None)
    shown = raw.getvalue().decode(encoding)
    if words[0] == "histogram":
        assert ">= 0.3" in shown
        assert "100.0% ##########" in shown


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_show_json_says_the_same_in_every_encoding(monkeypatch, encoding):
    """A document of JSON stays one: `é` as `\\xe9` or `→` as `->` would change it."""
    from sumlctl import console

    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    console.accept_any_text()
    told = {"narration": "coupe → café 😀", "naïve": "é"}
    console.show_json(told)
    sys.stdout.flush()
    assert json.loads(raw.getvalue().decode(encoding)) == told


def test_an_error_that_the_terminal_cannot_show_is_one_line(monkeypatch, tmp_path):
    from sumlctl.cli.app import main

    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, encoding="ascii", errors="strict"))
    monkeypatch.setattr(sys, "argv", ["sumlctl", "datasets", "show", "küche→"])
    with pytest.raises(SystemExit):
        main()
    sys.stderr.flush()
    assert (
        raw.getvalue()
        .decode("ascii")
        .startswith(r"error: command line: no such dataset, got 'k\xfcche->'; expected")
    )


def test_pairs_list_takes_a_pool_of_several_datasets(small, sumlctl):
    """As `mine-pairs --tpv A --tpv B`, whose table it is; one of the two is another table."""
    joint = small.pairs("ego", ["exo", "other"])
    shutil.copy(small.pairs("ego", ["exo"]), joint)
    shown = sumlctl("pairs", "list", "--tpv", "exo", "--tpv", "other")
    assert shown.out.startswith("ego--exo+other: ")
    assert sumlctl("pairs", "list", "--tpv", "exo+other").out == shown.out
    assert sumlctl("pairs", "list", "--tpv", "exo").out.startswith("ego--exo: ")
    refused = sumlctl("pairs", "list", "--tpv", "nothing", "--tpv", "exo")
    assert refused.code == 1
    assert "--tpv nothing+exo" in refused.err


def test_an_option_given_twice_is_said(small, sumlctl):
    done = sumlctl("pairs", "list", "--fpv", "nothing", "--fpv=ego", "--tpv", "exo")
    assert done.code == 0
    assert "warning: --fpv is given 2 times: the last one counts" in done.err
    assert "given" not in sumlctl("pairs", "list", "--fpv", "ego", "--tpv", "exo").err


def test_every_hint_of_the_demo_can_be_typed(workspace, sumlctl, tmp_path):
    """The clip is one of the demo's pairs; a workspace with a space in its name is quoted."""
    workspace = type(workspace)(tmp_path / "my demo")
    small_world.build(workspace)
    path = workspace.pairs("demo-fpv", ["demo-tpv"])
    shutil.copy(workspace.pairs("ego", ["exo"]), path)
    hints = demo.next_commands(workspace)
    assert f"sumlctl pairs show ego/0 --workspace '{workspace.root}'" in hints
    for hint in hints:
        words = shlex.split(hint)
        assert words[0] == "sumlctl"
        assert words[-2:] == ["--workspace", str(workspace.root)]


def pipeline(workspace, *overrides):
    return load(workspace.pipelines / "small.toml", overrides, own=workspace.pipelines)


def test_set_without_a_value_is_the_empty_string(small):
    given = pipeline(small, "encoders.init=weights.pt", "encoders.init=")
    assert given.encoders.init == ""
    assert pipeline(small, "encoders.init = ").encoders.init == ""


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        ("seed=", 'seed = "" is not a whole number'),
        ("stage_two.learning_rate=", 'stage_two.learning_rate = "" is not a number'),
        ("compile=", 'compile = "" is not true or false'),
        ("data.tpv=", 'data.tpv = "" is not a list'),
        ("precision=", 'precision = "" is not one of auto'),
        ("loss.name=", 'loss.name = "" does not exist'),
        ("=3", "=3 is not KEY=VALUE"),
        ("seed", "seed is not KEY=VALUE"),
    ],
)
def test_set_without_a_value_is_a_fault_for_what_is_no_text(small, override, fault):
    with pytest.raises(SumlError) as caught:
        pipeline(small, override)
    assert fault in str(caught.value)


def test_convert_finds_weights_of_the_workspace(workspace, sumlctl, tmp_path, monkeypatch):
    import torch

    from sumlctl.learning import backbones, checkpoints

    monkeypatch.chdir(tmp_path)
    encoder = backbones.build("tiny")
    whole = torch.nn.ModuleDict({"encoder": encoder})
    checkpoints.save(workspace.root / "data/weights/w.pt", whole, {"backbone": "tiny"})
    checkpoints.save(workspace.root / "runs/r/checkpoints/w2.pt", whole, {"backbone": "tiny"})
    for source in ("w.pt", "runs/r/checkpoints/w2.pt", str(workspace.root / "data/weights/w.pt")):
        done = sumlctl("convert", source, "out.pt", "--workspace", str(workspace.root))
        assert done.code == 0, done.err
        (tmp_path / "out.pt").unlink()
    assert sumlctl("convert", "absent.pt", "out.pt").code == 1


def test_every_command_takes_a_workspace():
    """The hints of the demo, and scripts, give it to each command alike."""
    from typer.main import get_command

    from sumlctl.cli.app import app

    def without(command, name):
        inside = getattr(command, "commands", None)
        if inside and not command.invoke_without_command:
            return [found for key, one in inside.items() for found in without(one, f"{name} {key}")]
        options = {option for param in command.params for option in param.opts}
        return [] if "--workspace" in options else [name]

    assert without(get_command(app), "sumlctl") == []
