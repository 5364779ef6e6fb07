"""Receipts: what still holds, what does not and why, without reading everything again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sumlctl import tables
from sumlctl.workflow import file_stamps, records
from sumlctl.workflow.file_stamps import file_stamp
from sumlctl.workflow.records import State
from sumlctl.workflow.step import Step
from sumlctl.workspace import Workspace

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # sha256 of `abc`


@pytest.fixture
def step(workspace: Workspace) -> Step:
    """A step that made `out` from `in` and a folder; its receipt is left."""
    root = workspace.root
    (root / "videos" / "deep").mkdir(parents=True)
    (root / "in").write_text("abc")
    (root / "videos" / "deep" / "a.mp4").write_text("a")
    (root / "out").write_text("made")
    made = make(workspace)
    records.commit(workspace, made)
    return made


def make(workspace: Workspace, **changed) -> Step:
    root = workspace.root
    values = {
        "kind": "embed",
        "about": "it",
        "words": ("embed", "it"),
        "receipt": workspace.receipt("embed", "it"),
        "inputs": (root / "in", root / "videos"),
        "outputs": (root / "out",),
        "settings": lambda: {"encoder": "a", "precision": "32-true"},
        "packages": ("numpy", "no-such-package"),
    }
    return Step(**(values | changed))


def reasons(workspace: Workspace, step: Step) -> tuple[str, ...]:
    return records.state(workspace, step).reasons


def test_a_receipt_says_what_was_done(workspace, step):
    left = records.read(step.receipt)
    assert left.inputs["in"].sha256 == ABC
    assert (left.command, left.settings["encoder"]) == (["embed", "it"], "a")
    assert (set(left.outputs), left.inputs["videos"].size) == ({"out"}, 1)
    assert set(left.packages) == {"python", "numpy"}
    assert records.state(workspace, step) == State(())


def test_files_of_the_same_size_and_time_are_not_read_again(workspace, step, monkeypatch):
    file_stamps._digest.cache_clear()
    monkeypatch.setattr(tables, "digest", lambda path: pytest.fail(f"{path} was read"))
    assert reasons(workspace, step) == ()


def test_a_file_that_was_only_touched_holds(workspace, step):
    os.utime(workspace.root / "in", ns=(1, 1))
    assert reasons(workspace, step) == ()


def test_a_file_of_the_same_size_and_other_content_does_not(workspace, step):
    (workspace.root / "in").write_text("xyz")
    os.utime(workspace.root / "in", ns=(1, 1))
    assert reasons(workspace, step) == ("input in changed",)


def test_each_reason_names_the_field_or_file(workspace, step):
    root = workspace.root
    (root / "in").unlink()
    (root / "videos" / "b.mp4").write_text("b")
    (root / "out").unlink()
    other = make(workspace, settings=lambda: {"encoder": "b", "seed": 3, "precision": "auto"})
    assert reasons(workspace, other) == (
        'setting encoder = "b", was "a"',
        "setting seed = 3, was nothing",
        "input in is gone",
        "input videos changed",
        "out is gone",
    )


def test_what_was_not_there_and_is_now(workspace, step):
    absent = make(workspace, inputs=(workspace.root / "later",))
    records.commit(workspace, absent)
    assert reasons(workspace, absent) == ()
    (workspace.root / "later").mkdir()
    assert reasons(workspace, absent) == ("input later is new",)


def test_an_edited_output_is_told_apart(workspace, step):
    (workspace.root / "out").write_text("edited")
    assert records.state(workspace, step) == State((), ("out",))


def test_hidden_files_in_a_folder_are_nobodys(workspace, step):
    (workspace.root / "videos" / ".b.mp4.1.tmp").write_text("half")
    assert reasons(workspace, step) == ()


def test_another_version_of_the_code(workspace, step, monkeypatch):
    monkeypatch.setattr(records, "__version__", "9.0.0")
    assert reasons(workspace, step) == ("sumlctl 9.0.0, was 0.1.0",)


def test_settings_said_alike_are_not_checked_one_by_one(workspace, step):
    asked = make(workspace, asked="x", settings=lambda: {"encoder": "a", "precision": "auto"})
    assert reasons(workspace, asked) == ()  # compared, and remembered
    never = make(workspace, asked="x", settings=lambda: pytest.fail("settings were compared"))
    assert reasons(workspace, never) == ()
    assert records.read(step.receipt).settings["precision"] == "32-true"


def test_an_input_counts_as_it_was_read(workspace, step):
    """Somebody edits it while the step is at work."""
    path = workspace.root / "in"
    late = make(workspace, as_read=lambda: {path: "0" * 64})
    records.commit(workspace, late)
    assert reasons(workspace, late) == ("input in changed",)


def test_outputs_in_a_folder_are_its_files(workspace, step):
    drawn = make(workspace, outputs=(workspace.root / "videos",))
    records.commit(workspace, drawn)
    assert set(records.read(drawn.receipt).outputs) == {"videos/deep/a.mp4"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "sumlctl.receipt/2"}', '{"a": 1}'])
def test_a_receipt_that_cannot_be_read_is_none(workspace, step, text):
    Path(step.receipt).write_text(text)
    assert reasons(workspace, step) == ("not done yet",)


def test_a_file_elsewhere_keeps_its_whole_path(workspace, step, tmp_path):
    elsewhere = tmp_path / "weights.pt"
    elsewhere.write_text("abc")
    one = make(workspace, inputs=(elsewhere,))
    records.commit(workspace, one)
    assert records.read(one.receipt).inputs == {str(elsewhere): file_stamp(elsewhere)}
    elsewhere.write_text("abcd")
    assert reasons(workspace, one) == (f"input {elsewhere} changed",)
