"""Sentence-BERT: our batches give what sentence-transformers gives, and the same bits always."""

from __future__ import annotations

import numpy as np
import pytest

from sumlctl import tables
from sumlctl.narrations import choose
from sumlctl.narrations.embed import embed
from sumlctl.workspace import Workspace
from tests.builders import vectors_of, write_clips

TEXTS = [
    "open door",
    "close the refrigerator door",
    "cut watermelon",
    "打开冰箱",
    "pick up the very large red frying pan from the left hob and put it down in the sink " * 3,
    *(f"take {noun}" for noun in ("cup", "plate", "fork", "spoon", "onion", "garlic press")),
]


@pytest.fixture(scope="module")
def packaged() -> choose.Choice:
    if choose.packaged() is None:
        pytest.skip("the extra `offline` is not installed")
    return choose.choose(choose.PACKAGED)


@pytest.fixture(scope="module")
def embedded(packaged: choose.Choice, tmp_path_factory) -> dict[str, np.ndarray]:
    workspace = Workspace(tmp_path_factory.mktemp("sbert"))
    write_clips(workspace, "a", TEXTS)
    (done,) = embed(["a"], workspace, packaged)
    assert done.narrations == len(TEXTS)
    return vectors_of(done.written)


def test_agrees_with_sentence_transformers(packaged, embedded) -> None:
    from sentence_transformers import SentenceTransformer

    peer = SentenceTransformer(str(packaged.folder), device="cpu")
    theirs = peer.encode(TEXTS, normalize_embeddings=True)
    ours = np.stack([embedded[text] for text in TEXTS])
    assert np.abs(ours - theirs).max() < 2e-6


def test_a_vector_does_not_depend_on_the_other_narrations(packaged, embedded, workspace) -> None:
    write_clips(workspace, "b", [TEXTS[4], TEXTS[1], TEXTS[7]])
    list(embed(["b"], workspace, packaged))
    alone = vectors_of(workspace.narrations("b", packaged.name))
    for text, vector in alone.items():
        assert np.array_equal(vector, embedded[text])


def test_means_something(embedded) -> None:
    def similarity(a: str, b: str) -> float:
        return float(embedded[a] @ embedded[b])

    assert similarity("take cup", "take plate") > similarity("take cup", "cut watermelon")
    assert similarity("open door", "close the refrigerator door") > 0.5


def test_cut_narrations_are_counted(packaged, workspace, capsys) -> None:
    write_clips(workspace, "a", ["word " * 400, "open door"])
    (done,) = embed(["a"], workspace, packaged)
    assert done.cut == 1


def test_metadata_holds_the_digest(packaged, workspace) -> None:
    write_clips(workspace, "a", ["open door"])
    (done,) = embed(["a"], workspace, packaged)
    assert done.written.name == "narrations.all-MiniLM-L6-v2.parquet"
    made_by = tables.metadata(tables.read(done.written, "narrations"), "encoder")
    assert made_by["weights_sha256"] == choose.PACKAGED_SHA256
    assert made_by["dimension"] == 384
