"""Which run, pairs and other runs a page is about."""

from __future__ import annotations

import shutil

import pytest

from sumlctl.errors import SumlError
from sumlctl.report.content.subject import find
from tests.builders import write_clips


def test_the_newest_run_beside_the_evaluated_others(world, capsys) -> None:
    subject = find(world)
    assert subject.run is not None and subject.run.name == "mine"
    assert "runs/mine, the newest of 2" in capsys.readouterr().err
    assert subject.datasets == ["ego", "exo"]
    assert [path.name for path in subject.others] == ["other"]
    assert subject.page == world.run("mine") / "report.html"
    assert subject.outcome().name == "metrics.parquet"
    assert [path.name for path in find(world, "other").others] == ["mine"]


def test_runs_that_do_not_compare_are_left_out(own_world, capsys) -> None:
    (own_world.run("other") / "predictions.parquet").unlink()
    assert find(own_world, "mine").others == []
    (own_world.run("other") / "pipeline.toml").write_text("nonsense = [", encoding="utf-8")
    shutil.copy(own_world.run("mine") / "predictions.parquet", own_world.run("other"))
    assert find(own_world, "mine").others == []
    assert "not compared with other" in capsys.readouterr().err


def test_without_a_run_the_newest_pairs(own_world) -> None:
    shutil.rmtree(own_world.root / "runs")
    subject = find(own_world)
    assert (subject.run, subject.pipeline, subject.others) == (None, None, [])
    assert subject.datasets == ["ego", "exo"]
    assert subject.page == own_world.root / "report.html"
    assert subject.outcome() == own_world.pairs("ego", ["exo"])


def test_without_pairs_every_indexed_dataset(workspace) -> None:
    write_clips(workspace, "b", ["open door"])
    write_clips(workspace, "a", ["open door"])
    subject = find(workspace)
    assert (subject.datasets, subject.pairs) == (["a", "b"], [])
    with pytest.raises(SumlError, match=r"no pairs yet.*mine-pairs"):
        subject.outcome()


@pytest.mark.parametrize(
    ("run", "against", "said"),
    [
        ("mime", (), "RUN: no such run, got 'mime'.*Did you mean mine"),
        (None, ("othr",), "--against: no such run.*Did you mean other"),
    ],
)
def test_a_misspelt_run(world, run, against, said) -> None:
    with pytest.raises(SumlError, match=said):
        find(world, run, against)


def test_nothing_at_all(workspace) -> None:
    with pytest.raises(SumlError, match=r"nothing to report.*sumlctl index"):
        find(workspace)
    with pytest.raises(SumlError, match="--against: no such run"):
        find(workspace, None, ["x"])
