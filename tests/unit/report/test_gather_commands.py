"""The commands that repeat a run."""

from __future__ import annotations

import shutil

from typer.testing import CliRunner

from sumlctl import tables
from sumlctl.cli.app import app
from sumlctl.report.content import commands
from sumlctl.report.content.subject import find


def test_each_step_with_what_differs_from_the_defaults(world) -> None:
    assert commands.gather(find(world, "mine")) == [
        "sumlctl index ego --annotations DIR",
        "sumlctl index exo --annotations DIR",
        "sumlctl embed ego exo --encoder test",
        "sumlctl mine-pairs --fpv ego --tpv exo --assign first --encoder test",
        "sumlctl histogram --fpv ego --tpv exo",
        "mkdir -p pipelines && cp runs/mine/pipeline.toml pipelines/mine.toml",
        "sumlctl train mine --run mine.again",
        "sumlctl eval mine.again --protocol top-k --views 2x3",
        "sumlctl report mine.again",
    ]


def test_words_that_a_shell_would_split_are_quoted(own_world) -> None:
    videos = own_world.table("ego", "videos")
    extra = {"videos_root": "/my videos/ego"}
    table = tables.read(videos, "videos")
    tables.write(table, videos, "videos", inputs={}, config={}, extra=extra)
    own_world.data("ego", "annotations").mkdir()
    first = commands.gather(find(own_world, "mine"))[0]
    assert first == "sumlctl index ego --videos '/my videos/ego'"


def test_what_cannot_be_read_is_left_out(own_world) -> None:
    shutil.rmtree(own_world.manifests / "pairs")
    (own_world.run("mine") / "metrics.parquet").unlink()
    found = commands.gather(find(own_world, "mine"))
    assert found[-1] == "sumlctl train mine --run mine.again"
    assert not any("mine-pairs" in line or "eval" in line for line in found)


def test_the_options_are_those_of_the_commands(world) -> None:
    for line in commands.gather(find(world, "mine")):
        program, command, *words = line.split()
        if program != "sumlctl":
            continue
        told = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output
        for word in words:
            assert not word.startswith("--") or word in told, line
