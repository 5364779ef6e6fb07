"""Commands that do others."""

from __future__ import annotations

import pytest
import typer

from sumlctl.cli.common import command_in, command_line
from sumlctl.learning.training import launch
from sumlctl.workspace import Workspace
from tests.unit.workflow import tiny


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()

    @app.command()
    def show(word: str, workspace: str = "") -> None:
        typer.echo(f"{word} {workspace} {' '.join(command_line())}")

    @app.command()
    def stop(workspace: str = "") -> None:
        raise KeyboardInterrupt

    @app.command()
    def fail(workspace: str = "") -> None:
        raise typer.Exit(3)

    return app


def test_a_command_is_shown_as_it_is_typed_and_done_in_the_workspace(app, capsys):
    command_in(app, Workspace("/w"))(["show", "two words"], "not done yet")
    assert capsys.readouterr().out.splitlines() == [
        "",
        "$ sumlctl show 'two words'  # not done yet",
        "two words /w show two words --workspace /w",
    ]


def test_an_interruption_ends_the_whole(app):
    with pytest.raises(KeyboardInterrupt):
        command_in(app, Workspace("/w"))(["stop"], "")


def test_a_command_that_fails_fails_the_whole(app):
    with pytest.raises(typer.Exit) as stopped:
        command_in(app, Workspace("/w"))(["fail"], "")
    assert stopped.value.exit_code == 3


def test_processes_repeat_the_step_and_not_the_run(workspace, sumlctl, monkeypatch):
    started = []
    monkeypatch.setattr(launch, "spawn", lambda pipeline, words, run: started.append(list(words)))
    tiny.build(workspace)
    sumlctl("run", "tiny", "--set", "devices=2")
    expected = ["train", "tiny", "--run", "tiny", "--set", "devices=2"]
    assert started == [[*expected, "--workspace", str(workspace.root)]]
