"""Which pairs are trained on, and tables that do not fit each other."""

from __future__ import annotations

import os

import numpy as np
import polars as pl
import pytest

import sumlctl.tables
from sumlctl.config.sections import Data
from sumlctl.errors import SumlError
from sumlctl.learning.data import pairs
from tests.builders import write_clips, write_vectors
from tests.unit.learning import small_world

DATA = Data(fpv="ego", tpv=["exo"], encoder="test")
VECTORS = dict(zip(small_world.NAMES, np.eye(8).tolist(), strict=True))


@pytest.fixture
def tables(workspace):
    """Tables without videos; exo's clip 3 cannot be decoded."""
    for dataset, viewpoint in (("ego", "fpv"), ("exo", "tpv")):
        small_world.write_videos_table(workspace, dataset, workspace.root)
        status = ["ok"] * 8
        if dataset == "exo":
            status[3] = "out_of_range"
        write_clips(
            workspace,
            dataset,
            small_world.NAMES,
            viewpoint=[viewpoint] * 8,
            video_id=[f"v{i}" for i in range(8)],
            status=status,
        )
        write_vectors(workspace, dataset, VECTORS)
    small_world.write_pairs(workspace)
    return workspace


def test_best_partner_of_each_clip_with_both_vectors(tables, capsys):
    found = pairs.load(tables, DATA)
    fpv = [found.fpv.clips[row].clip_id for row in found.fpv_rows]
    tpv = [found.tpv.clips[row].clip_id for row in found.tpv_rows]
    kept = [0, 1, 2, 4, 5, 6, 7]
    assert fpv == [f"ego/{i}" for i in kept]
    assert tpv == [f"exo/{i}" for i in kept]
    np.testing.assert_array_equal(found.d_f, np.eye(8, dtype=np.float32)[kept])
    np.testing.assert_array_equal(found.d_t, found.d_f)
    assert found.similarity.tolist() == [1.0] * 7
    assert len(found.inputs) == 7
    assert "1 pairs left out" in capsys.readouterr().err


def test_a_method_without_tpv_keeps_every_clip(tables):
    tables.pairs("ego", ["exo"]).unlink()
    alone = pairs.choose(tables, Data(fpv="ego"), uses_tpv=False)
    found = pairs.load(tables, alone, uses_tpv=False)
    assert found.tpv is None
    assert len(found.fpv_rows) == 8
    assert {path.split("/")[1] for path in found.inputs} == {"ego"}


def test_the_newest_fitting_table_is_chosen_and_named(tables, capsys):
    old = small_world.write_pairs(tables)
    other = tables.pairs("ego", ["exo", "more"])
    other.write_bytes(old.read_bytes())
    os.utime(old, ns=(1, 1))
    assert pairs.choose(tables, Data()) == Data(fpv="ego", tpv=["exo", "more"], encoder="test")
    assert "ego--exo+more.parquet, newest of 2" in capsys.readouterr().err
    assert pairs.choose(tables, Data(tpv=["exo"])) == DATA


def test_no_pairs_table_fits(tables):
    with pytest.raises(SumlError, match="no pairs table of --fpv ek55 and --tpv any, got 1 others"):
        pairs.choose(tables, Data(fpv="ek55"))


def test_pairs_of_another_encoder(tables):
    with pytest.raises(SumlError, match="pairs of another encoder, got test; expected mpnet"):
        pairs.choose(tables, Data(encoder="mpnet"))


def test_narrations_of_other_weights(tables):
    write_vectors(tables, "exo", VECTORS, weights_sha256="1")
    with pytest.raises(SumlError, match="embedded by another encoder, got test 1; expected test 0"):
        pairs.load(tables, DATA)


def test_load_refuses_narrations_of_another_fingerprint_or_prompt(tables):
    """Of the same weights, but of another pooling, tokenizer or prompt than the pairs."""
    for made_by in ({"fingerprint": "a", "prompt": ""}, {"fingerprint": "b", "prompt": "query: "}):
        for dataset in ("ego", "exo"):
            write_vectors(tables, dataset, VECTORS, **made_by)
        small_world.write_pairs(tables, **made_by)
        pairs.load(tables, DATA)
        small_world.write_pairs(tables, fingerprint="b", prompt="")
        with pytest.raises(SumlError, match="narrations of another encoder than the pairs'"):
            pairs.load(tables, DATA)


def test_load_refuses_pairs_of_other_vectors_where_fingerprints_cannot_tell(tables):
    """Pairs from before fingerprints whose narrations were encoded otherwise since then."""
    path = tables.pairs("ego", ["exo"])
    table = sumlctl.tables.read(path, "pairs")
    mined = pl.DataFrame(pl.from_arrow(table)).with_columns(similarity=pl.lit(0.5, pl.Float32))
    config = sumlctl.tables.metadata(table, "config")
    sumlctl.tables.write(mined.to_arrow(), path, "pairs", inputs={}, config=config)
    with pytest.raises(SumlError, match=r"from other vectors .* got similarity 0.500 of pair 0"):
        pairs.load(tables, DATA)


def test_narration_without_a_vector(tables):
    for dataset in ("ego", "exo"):
        write_vectors(tables, dataset, {"colour 0": [1.0, 0, 0, 0, 0, 0, 0, 0]})
    with pytest.raises(SumlError, match="narrations have no vector, got 'colour 1'"):
        pairs.load(tables, DATA)


def test_pairs_of_other_clips(tables):
    write_clips(
        tables, "ego", ["a"] * 8, clip_id=list("abcdefgh"), video_id=["v0"] * 8, status=["ok"] * 8
    )
    with pytest.raises(SumlError, match=r"other fpv clips .* got 8 such clips, first ego/0"):
        pairs.load(tables, DATA)


def test_pairs_of_clips_that_say_something_else_now(tables):
    said = [*small_world.NAMES[:7], "another colour"]
    write_clips(
        tables,
        "exo",
        said,
        viewpoint=["tpv"] * 8,
        video_id=[f"v{i}" for i in range(8)],
        status=["ok"] * 8,
    )
    with pytest.raises(SumlError, match=r"exo/7 \('colour 7'\); expected 'another colour'"):
        pairs.load(tables, DATA)


def test_no_pair_is_left(tables):
    for dataset, viewpoint in (("ego", "fpv"), ("exo", "tpv")):
        status = ["ok", *["no_video"] * 7] if dataset == "ego" else ["ok"] * 8
        write_clips(
            tables,
            dataset,
            small_world.NAMES,
            viewpoint=[viewpoint] * 8,
            video_id=[f"v{i}" for i in range(8)],
            status=status,
        )
    with pytest.raises(SumlError, match="no pairs to train on, got 1 of 8"):
        pairs.load(tables, DATA)
