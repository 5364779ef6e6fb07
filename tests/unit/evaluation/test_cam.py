"""The command `cam`: which clips it shows beside each other, and what it leaves out."""

from __future__ import annotations

import polars as pl
import pytest

from sumlctl import tables
from sumlctl.config.sections import Data
from sumlctl.errors import SumlError
from sumlctl.evaluation.cam import partners
from sumlctl.evaluation.cam.examples import cam
from tests.unit.evaluation import trained_world
from tests.unit.learning import small_world


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return trained_world.build(tmp_path_factory.mktemp("cam") / "workspace")


def test_a_clip_beside_another_run_and_its_pair(world):
    (example,) = cam(world, "sum-l", against="fpv-only", clip_ids=["ego/5"])
    assert (example.clip_id, example.narration) == ("ego/5", "colour 5")
    told = [
        (p.task, p.run, p.viewpoint, p.clip_id, p.class_name, p.of, p.similarity)
        for p in example.panels
    ]
    assert told == [
        (task, run, view, clip, name, "truth", similarity)
        for task, name in (("verb", "bright"), ("noun", "colour 5"))
        for run, view, clip, similarity in (
            ("fpv-only", "fpv", "ego/5", None),
            ("sum-l", "fpv", "ego/5", None),
            ("sum-l", "tpv", "exo/5", 1.0),
        )
    ]
    for panel in example.panels:
        assert panel.exact
        assert sum(float(m.mean()) for m in panel.maps) + panel.bias == pytest.approx(panel.score)
        assert 0 < panel.probability <= 1
        assert panel.heat(48, 80).shape == (4, 48, 80)
        assert "window" not in panel.describe()


def test_clips_are_spread_over_the_split_and_may_show_the_predicted_class(world):
    found = list(cam(world, "sum-l", count=3, of="predicted"))
    assert [example.clip_id for example in found] == ["ego/0", "ego/4", "ego/7"]
    for panel in (p for example in found for p in example.panels):
        assert panel.of == "predicted"
        others = panel.probability if panel.task == "verb" else 1 / 8
        assert panel.viewpoint == "tpv" or panel.probability >= max(others, 1 / 8)


def test_clips_in_no_pair_get_the_clip_that_says_nearly_the_same(world, tmp_path, capsys):
    copied = trained_world.copy(world, tmp_path / "copy")
    small_world.write_pairs(copied, n=4)
    (example,) = cam(copied, "sum-l", clip_ids=["ego/6"])
    assert {p.clip_id for p in example.panels} == {"ego/6", "exo/6"}
    assert "1 of 1 clips are in no pair" in capsys.readouterr().err


def test_a_pair_of_the_clip_comes_before_one_of_its_narration_and_that_before_mining(
    world, tmp_path
):
    copied = trained_world.copy(world, tmp_path / "copy")
    path = small_world.write_pairs(copied)
    table = tables.read(path, "pairs")
    rows = pl.DataFrame(table).filter(pl.col("rank") == 0).head(3)
    rows = rows.with_columns(
        fpv_clip_id=pl.Series(["ego/0", "ego/1", "ego/else"]),
        fpv_narration=pl.Series(["colour 1", "colour 1", "colour 2"]),
        tpv_clip_id=pl.Series(["exo/4", "exo/5", "exo/6"]),
    )
    settings = tables.metadata(table, "config")
    tables.write(rows.to_arrow(), path, "pairs", inputs={}, config=settings)
    asked = pl.DataFrame({"clip_id": [f"ego/{i}" for i in range(5)]})
    said = pl.Series([*small_world.NAMES[:4], ""])
    data = Data(fpv="ego", tpv=["exo"], encoder="test")
    pool, found = partners.find(copied, data, asked.with_columns(narration=said))
    places = [(pool.clips[one.place].clip_id, one.in_table) if one else None for one in found]
    assert places == [("exo/4", True), ("exo/5", True), ("exo/6", True), ("exo/3", False), None]


def test_the_pair_shows_the_label_that_means_the_same(world, tmp_path):
    copied = trained_world.copy(world, tmp_path / "copy")
    trained_world.rewrite(copied, "exo", nouns=pl.lit([2, 5, 6], pl.List(pl.Int32)))
    (example,) = cam(copied, "sum-l", clip_ids=["ego/5"])
    assert [p.class_name for p in example.panels if p.viewpoint == "tpv"] == ["bright", "colour 5"]
    (example,) = cam(copied, "sum-l", clip_ids=["ego/4"])
    assert [p.class_name for p in example.panels if p.viewpoint == "tpv"] == ["bright", "colour 2"]


def test_without_labels_the_predicted_class_is_shown(world, tmp_path):
    copied = trained_world.copy(world, tmp_path / "copy")
    trained_world.rewrite(copied, "ego", nouns=pl.lit([], pl.List(pl.Int32)))
    (example,) = cam(copied, "fpv-only", clip_ids=["ego/1"])
    assert [(p.task, p.of) for p in example.panels] == [("verb", "truth"), ("noun", "predicted")]


def test_no_third_person_branch_or_table_leaves_its_rows_out(world, tmp_path, capsys):
    (example,) = cam(world, "fpv-only", count=1)
    assert {p.viewpoint for p in example.panels} == {"fpv"}
    assert "no third-person rows: stage_two.pt of fpv-only" in capsys.readouterr().err
    copied = trained_world.copy(world, tmp_path / "copy")
    copied.pairs("ego", ["exo"]).unlink()
    (example,) = cam(copied, "sum-l", count=1)
    assert {p.viewpoint for p in example.panels} == {"fpv"}
    assert "table is missing" in capsys.readouterr().err


def test_videos_that_break_are_named_and_all_of_them_are_an_error(world, tmp_path, capsys):
    copied = trained_world.copy(world, tmp_path / "copy")
    for dataset, video in (("ego", "v1"), ("exo", "v2")):
        (copied.data(dataset, "videos") / f"{video}.mp4").write_bytes(b"broken")
    found = list(cam(copied, "sum-l", against="fpv-only", clip_ids=["ego/1", "ego/2"]))
    assert [e.clip_id for e in found] == ["ego/2"]
    assert {p.viewpoint for p in found[0].panels} == {"fpv"}
    said = capsys.readouterr().err
    assert said.count("ego/1 cannot be shown") == 1
    assert said.count("exo/2 cannot be shown") == 1
    with pytest.raises(SumlError, match="not one clip can be decoded, got 1 failures"):
        list(cam(copied, "sum-l", clip_ids=["ego/1"]))


def test_faults(world, tmp_path):
    with pytest.raises(SumlError, match=r"RUN: no such run, got 'sum'.*Did you mean sum-l"):
        cam(world, "sum")
    with pytest.raises(SumlError, match=r"--clip: no such first-person clip.*got 'ego/9'"):
        cam(world, "sum-l", clip_ids=["ego/9"])
    with pytest.raises(SumlError, match=r"--of: no such choice"):
        cam(world, "sum-l", of="true")
    with pytest.raises(SumlError, match="no first-person branch, got tpv weights"):
        cam(world, "sum-l", checkpoint="stage_one.pt")
    with pytest.raises(SumlError, match="checkpoint is missing"):
        cam(world, "sum-l", checkpoint="none.pt")
    copied = trained_world.copy(world, tmp_path / "copy")
    trained_world.rewrite(copied, "ego", verbs=[["dark"], ["bright"], ["new"]])
    with pytest.raises(SumlError, match=r"got 2 verb classes of ego.*expected 3 verb classes"):
        cam(copied, "sum-l")
