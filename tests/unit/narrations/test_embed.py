"""`embed`: every distinct narration once, the same bits however the work was cut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from sumlctl import tables
from sumlctl.errors import SumlError
from sumlctl.narrations import choose
from sumlctl.narrations import embed as module
from sumlctl.narrations.embed import embed, is_latin
from sumlctl.narrations.encoders import hashed
from sumlctl.workspace import Workspace
from tests.builders import vectors_of, write_clips

HASHED = choose.choose("hashed")


def test_distinct_narrations_in_order_of_appearance(workspace: Workspace) -> None:
    write_clips(workspace, "a", ["open door", "close door", "open door", "", "открыть"])
    (done,) = embed(["a"], workspace, HASHED)
    table = tables.read(done.written, "narrations")
    assert table.column("text").to_pylist() == ["open door", "close door", "открыть"]
    assert (done.narrations, done.encoded, done.empty, done.non_latin) == (3, 3, 1, 1)


def test_vectors_have_unit_length_and_float32(workspace: Workspace) -> None:
    write_clips(workspace, "a", [f"word{i} again" for i in range(300)])
    (done,) = embed(["a"], workspace, HASHED)
    matrix = tables.vectors(tables.read(done.written, "narrations"))
    assert matrix.dtype == np.float32
    assert matrix.shape == (300, hashed.DIMENSION)
    assert np.allclose(np.linalg.norm(matrix.astype(np.float64), axis=1), 1, atol=1e-6)


def test_file_and_metadata_name_the_encoder(workspace: Workspace) -> None:
    write_clips(workspace, "a", ["open door"])
    (done,) = embed(["a"], workspace, HASHED)
    assert done.written.name == "narrations.hashed.parquet"
    made_by = tables.metadata(tables.read(done.written, "narrations"), "encoder")
    none = {"weights_sha256": "none", "fingerprint": "none", "prompt": ""}
    assert made_by == {"name": "hashed", "dimension": 64} | none


def test_second_run_encodes_nothing_and_leaves_the_file(workspace: Workspace) -> None:
    write_clips(workspace, "a", ["open door", "close door"])
    (first,) = embed(["a"], workspace, HASHED)
    before = first.written.stat().st_mtime_ns
    (second,) = embed(["a"], workspace, HASHED)
    assert second.encoded == 0
    assert second.written.stat().st_mtime_ns == before


def test_added_narrations_alone_are_encoded_and_gone_ones_dropped(workspace: Workspace) -> None:
    write_clips(workspace, "a", ["open door", "close door"])
    list(embed(["a"], workspace, HASHED))
    write_clips(workspace, "a", ["close door", "cut bread"])
    (done,) = embed(["a"], workspace, HASHED)
    assert done.encoded == 1
    assert list(vectors_of(done.written)) == ["close door", "cut bread"]


class Interrupting(hashed.Hashed):
    """Fails at the third length of texts, as a power cut would."""

    calls = 0

    def encode(self, texts: Sequence[str], batch_size: int) -> np.ndarray:
        type(self).calls += 1
        if self.calls == 3:
            raise KeyboardInterrupt
        return super().encode(texts, batch_size)


def test_interrupted_run_goes_on_where_it_stopped(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"{'x ' * (1 + i % 3)}{i}" for i in range(40)]
    write_clips(workspace, "a", texts)
    monkeypatch.setattr(module, "_BLOCK", 8)
    with monkeypatch.context() as patched:
        patched.setattr(hashed, "load", lambda *_: Interrupting())
        with pytest.raises(KeyboardInterrupt):
            list(embed(["a"], workspace, HASHED, batch_size=8))
    path = workspace.narrations("a", "hashed")
    assert not path.exists()
    assert workspace.encoders("a") == []
    module._loaded.cache_clear()
    (done,) = embed(["a"], workspace, HASHED, batch_size=8)
    assert 0 < done.encoded < len(texts)
    assert not workspace.units("embed a hashed").exists()
    assert [f.name for f in path.parent.glob("narrations*")] == [path.name]
    whole = vectors_of(path)
    for text in texts:
        alone = sum(map(hashed._signs, text.split()), np.zeros(64))
        assert np.allclose(whole[text], alone / np.linalg.norm(alone), atol=1e-6)


def test_broken_table_is_made_again(workspace: Workspace, capsys) -> None:
    write_clips(workspace, "a", ["open door"])
    (done,) = embed(["a"], workspace, HASHED)
    done.written.write_bytes(done.written.read_bytes()[:-20])
    (again,) = embed(["a"], workspace, HASHED)
    assert again.encoded == 1
    assert "starting over" in capsys.readouterr().err
    assert list(vectors_of(again.written)) == ["open door"]


def test_vectors_of_other_weights_are_not_kept(workspace: Workspace, capsys) -> None:
    write_clips(workspace, "a", ["open door"])
    list(embed(["a"], workspace, HASHED))
    other = choose.Choice("hashed", "hashed", None, "other weights")
    (done,) = embed(["a"], workspace, other)
    assert done.encoded == 1
    made_by = tables.metadata(tables.read(done.written, "narrations"), "encoder")
    assert made_by["weights_sha256"] == "other weights"


def test_nothing_to_embed_is_an_error(workspace: Workspace) -> None:
    write_clips(workspace, "a", ["", ""])
    with pytest.raises(SumlError, match="nothing to embed"):
        list(embed(["a"], workspace, HASHED))


@pytest.mark.parametrize(
    ("text", "latin"),
    [("open door", True), ("café crème", True), ("打开门", False), ("дверь", False), ("3×5", True)],
)
def test_scripts(text: str, latin: bool) -> None:
    assert is_latin(text) is latin
