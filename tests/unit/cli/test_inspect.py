"""`cam` and `retrieve` as they are typed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from sumlctl.cli import app, inspect
from sumlctl.errors import SumlError
from tests.unit.evaluation import trained_world


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return trained_world.build(tmp_path_factory.mktemp("inspect") / "workspace", epochs=4)


@pytest.fixture
def command(sumlctl, world):
    """Runs a command in the trained world, whether or not the program lists it yet."""
    listed = {c.name or c.callback.__name__ for c in app.app.registered_commands}
    if "cam" not in listed:
        inspect.register(app.app)
    return lambda *words: sumlctl(*words, "--workspace", str(world.root))


def test_cam_draws_and_tells(command, world, tmp_path):
    done = command("cam", "sum-l", "--against", "fpv-only", "--count", "2", "--json")
    assert done.code == 0, done.err
    shown = json.loads(done.out)
    assert [one["clip_id"] for one in shown] == ["ego/0", "ego/7"]
    folder = world.run("sum-l") / "figures" / "cam"
    assert {path.name for path in folder.iterdir()} == {
        f"ego_{i}.{ending}" for i in (0, 7) for ending in ("png", "webp")
    }
    assert Image.open(shown[0]["strip"]).format == "PNG"
    assert Image.open(shown[0]["animation"]).format == "WEBP"
    panel = shown[1]["panels"][0]
    assert (panel["run"], panel["class_name"], len(panel["times_s"])) == ("fpv-only", "bright", 4)
    out = tmp_path / "here"
    done = command(
        "cam", "sum-l", "--clip", "ego/3", "--of", "predicted", "--relative", "--out", str(out)
    )
    assert done.code == 0, done.err
    assert {path.suffix for path in out.iterdir()} == {".png", ".webp"}
    assert "ego/3" in done.out and "predicted" in done.out
    assert "wrote 1 strips (.png) and animations (.webp)" in done.err


def test_retrieve_measures_and_draws(command, tmp_path):
    sheet = tmp_path / "sheet.png"
    done = command("retrieve", "sum-l", "--k", "1,3", "--sheet", str(sheet), "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert {row["k"] for row in told["metrics"]} == {1, 3, None}
    assert {row["subset"] for row in told["metrics"]} == {"verb", "noun", "both", "iou"}
    assert all(0 <= row["chance"] <= 1 for row in told["metrics"])
    assert [query["clip_id"] for query in told["queries"]] == [f"ego/{i}" for i in range(8)]
    assert Image.open(sheet).format == "PNG"
    done = command("retrieve", "sum-l", "--query", "tpv", "--relevant", "noun")
    assert "tpv->fpv, 8 fpv clips" in done.out
    assert "chance" in done.out and "verb" not in done.out


def test_a_text_is_cleaned_and_searched_for(command):
    done = command("retrieve", "sum-l", "--text", "Colour  3", "--base", "fpv")
    assert done.code == 0, done.err
    assert "“colour 3” in 8 fpv clips" in done.out
    assert "recall" not in done.out


def test_a_new_text_needs_the_encoder_that_made_the_vectors(world, sumlctl, command, tmp_path):
    done = command("retrieve", "sum-l", "--text", "something else")
    assert done.code == 1
    assert "encoder test: not on this machine" in done.err
    with pytest.raises(SumlError, match="other weights than those that made"):
        inspect._encoded({"name": "hashed", "weights_sha256": "0"}, ["x"], None)
    with pytest.raises(SumlError, match="other pooling, tokenizer or other model file than those"):
        inspect._encoded({"name": "hashed", "fingerprint": "1"}, ["x"], None)
    made_by = {"name": "hashed", "weights_sha256": "none"}
    vectors = inspect._encoded(made_by, ["open door", "door open", "cup"], None)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(vectors[0], vectors[1])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("cam", "sum-x"), 1, "error: RUN: no such run, got 'sum-x'"),
        (("cam", "sum-l", "--clip", "ego/77"), 1, "error: --clip: no such first-person clip"),
        (("cam", "sum-l", "--of", "both"), 1, "error: --of: no such choice"),
        (("cam", "sum-l", "--count", "0"), 2, "--count"),
        (("retrieve", "fpv-only"), 1, "no third-person branch, got fpv weights of fpv-only"),
        (("retrieve", "sum-l", "--k", "1,x"), 2, "not ranks such as 1,5,10"),
        (("retrieve", "sum-l", "--text", " "), 2, "nothing to search for"),
        (("retrieve", "sum-l", "--relevant", "action"), 1, "no clip is relevant to any query"),
    ],
)
def test_faults_are_one_line(command, words, code, said):
    done = command(*words)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    if code == 1:
        assert len([line for line in done.err.splitlines() if line.startswith("error: ")]) == 1
