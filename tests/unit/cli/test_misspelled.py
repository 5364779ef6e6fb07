"""A name that is misspelled is an error and nothing else: no folder, no lock, no record."""

from __future__ import annotations

import pytest

COMMANDS = (
    "index ek5",
    "index lemma ek5",
    "decode ek5",
    "embed ek5",
    "mine-pairs --fpv ek5 --tpv lemma",
    "histogram --fpv ek5 --out figure.png",
    "pairs list --fpv ek5",
    "pairs show ek5/1",
    "train --fpv ek5 --tpv lemma --run r",
    "train --fpv ek5 --method fpv-only --run r",
    "eval ek5",
    "eval --checkpoint weights.pt --fpv ek5",
    "cam ek5",
    "retrieve ek5",
    "report ek5",
    "run table-1-ek55 --set data.fpv=ek5",
    "datasets show ek5",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_misspelled_name_leaves_nothing_behind(command, sumlctl, workspace, monkeypatch):
    workspace.root.mkdir()
    monkeypatch.chdir(workspace.root)
    refused = sumlctl(*command.split())
    assert refused.code == 1
    assert refused.err.splitlines()[-1].startswith("error: ")
    assert "ek5" in refused.err
    assert [*workspace.root.iterdir()] == []
