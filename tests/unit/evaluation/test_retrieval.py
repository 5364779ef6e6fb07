"""Search across views: measures by definition, relevance by hand, and a trained run's answers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, ndcg_score

from sumlctl.errors import SumlError
from sumlctl.evaluation.retrieval.ranking import Ranking, Tally
from sumlctl.evaluation.retrieval.relevance import Labels, Relevance
from sumlctl.evaluation.retrieval.search import Answer, Question, retrieve
from tests.unit.evaluation import trained_world
from tests.unit.learning import small_world

GAINS = (0.0, 0.0, 0.25, 0.5, 1.0, 1.0)
_IDS = pl.List(pl.Int32)


def refuse(made_by, texts):
    raise AssertionError(f"{texts} have vectors")


# One ranking after the other, measured as the definitions read.


def recall(ranked, k: int) -> float:
    return float(any(gain == 1 for gain in ranked[:k]))


def precision(ranked, graded: bool) -> float:
    found, total, wanted = 0.0, 0.0, ranked.count(1)
    for place, gain in enumerate(ranked, start=1):
        found += gain if graded else gain == 1
        total += found / place if gain == 1 else 0
    return total / wanted


def ndcg(ranked) -> float:
    last = sum(gain > 0 for gain in ranked)
    best = sorted(ranked, reverse=True)
    own, ideal = (
        sum(gain / math.log2(place + 1) for place, gain in enumerate(row[:last], start=1))
        for row in (ranked, best)
    )
    return own / ideal


@pytest.mark.parametrize("seed", range(8))
def test_measures_are_means_over_all_orders_of_ties(seed):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 1 + seed % 4, size=6) / 8
    gains = rng.permutation(GAINS)
    ways = [
        [float(gains[i]) for i in order]
        for order in itertools.permutations(range(6))
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))
    ]
    ranking = Ranking(scores)
    for k in (1, 2, 3, 5, 6, 10):
        assert abs(ranking.recall(gains, k) - np.mean([recall(w, k) for w in ways])) < 1e-9
    for graded in (False, True):
        expected = np.mean([precision(w, graded) for w in ways])
        assert abs(ranking.average_precision(gains, graded) - expected) < 1e-9
    assert abs(ranking.ndcg(gains) - np.mean([ndcg(w) for w in ways])) < 1e-9


def test_measures_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    for _ in range(20):
        scores, gains = rng.permutation(60) / 64, rng.choice(GAINS, size=60)
        ranking = Ranking(scores)
        expected = average_precision_score(gains == 1, scores)
        assert abs(ranking.average_precision(gains) - expected) < 1e-9
        tied = rng.integers(0, 9, size=60) / 8
        expected = ndcg_score([gains], [tied], k=int((gains > 0).sum()))
        assert abs(Ranking(tied).ndcg(gains) - expected) < 1e-9


def test_chance_is_the_mean_of_random_rankings():
    gains = np.array([1.0] * 4 + [0.0] * 26)
    tally = Tally(30, (1, 5), graded=False)
    tally.add(Ranking(-np.arange(30.0)), gains)
    rows = {(r["metric"], r["k"]): r for r in tally.rows()}
    assert rows["recall", 5]["chance"] == pytest.approx(1 - math.comb(26, 5) / math.comb(30, 5))
    assert rows["recall", 1]["chance"] == pytest.approx(4 / 30)
    rng = np.random.default_rng(0)
    drawn = [precision(rng.permutation(gains).tolist(), False) for _ in range(4000)]
    assert rows["mAP", None]["chance"] == pytest.approx(np.mean(drawn), abs=0.01)
    assert [rows[key]["value"] for key in rows] == [1.0] * 4


def test_queries_with_nothing_to_find_do_not_count():
    tally = Tally(3, (1,), graded=True)
    tally.add(Ranking(np.array([0.1, 0.2, 0.3])), np.array([0.0, 0.0, 0.0]))
    assert tally.rows() == []
    tally.add(Ranking(np.array([0.1, 0.2, 0.3])), np.array([0.0, 0.5, 0.0]))
    (row,) = tally.rows()
    assert (row["metric"], row["value"], row["n_clips"]) == ("nDCG", 0.0, 1)


def rows_of(dataset: str, verbs: list[list[int]], nouns: list[list[int]]) -> pl.DataFrame:
    empty = [[] for _ in verbs]
    columns = {"dataset": [dataset] * len(verbs), "verbs": verbs, "nouns": nouns, "actions": empty}
    return pl.DataFrame(
        columns, schema_overrides=dict.fromkeys(("verbs", "nouns", "actions"), _IDS)
    )


VOCABULARIES = {
    "ego": {
        "verbs": [["take", "pick up"], ["cut"]],
        "nouns": [["cup"], ["tap", "faucet"], ["knife"], []],
    },
    "exo": {
        "verbs": [["wash"], ["get", "pick up"]],
        "nouns": [["faucet"], ["mug", "cup"], ["spoon"], [], ["tap"]],
    },
}
QUERIES = rows_of("ego", [[0], [1], [], [0, 1]], [[0, 1], [2], [0], [3]])
BASE = rows_of("exo", [[1], [0], [1, 0], [0]], [[1], [0, 1, 2], [3], [0, 4]])


def test_labels_of_different_datasets_compare_by_words():
    verbs, nouns = (Labels(c, QUERIES, BASE, VOCABULARIES) for c in ("verbs", "nouns"))
    every = slice(0, 4)
    assert verbs.shared(every).tolist() == [[1, 0, 1, 0], [0] * 4, [0] * 4, [1, 0, 1, 0]]
    # Cup and tap against mug; against faucet, mug and spoon; against faucet and tap, of which
    # one has a partner in a single tap. Clip 2 has a class without words.
    assert nouns.shared(every).tolist() == [[1, 1, 0, 1], [0] * 4, [1, 1, 0, 0], [0] * 4]
    overlap = [[1 / 2, 2 / 3, 0, 1 / 3], [0] * 4, [1, 1 / 3, 0, 0], [0] * 4]
    np.testing.assert_allclose(nouns.overlap(every), overlap, atol=1e-9)
    np.testing.assert_allclose(verbs.overlap(every)[3], [1 / 2, 0, 1 / 3, 0], atol=1e-9)
    relevance = Relevance(QUERIES, BASE, VOCABULARIES, None, 0.5)
    assert relevance.kinds == ["verb", "noun", "both", "iou"]
    assert relevance.gains("both", slice(0, 1)).tolist() == [[1, 0, 0, 0]]
    mean = (verbs.overlap(every) + nouns.overlap(every)) / 2
    np.testing.assert_allclose(relevance.gains("iou", every), mean, atol=1e-9)


def test_labels_of_one_dataset_compare_by_class_as_the_challenge_has_it():
    rng = np.random.default_rng(1)
    sets = [
        [sorted(set(rng.integers(0, 6, size=rng.integers(1, 4)).tolist())) for _ in range(9)]
        for _ in range(2)
    ]
    queries, base = (rows_of("ek", [[0]] * 9, nouns) for nouns in sets)
    words = {"ek": {"nouns": [["thing"]] * 6}}
    found = Labels("nouns", queries, base, words).overlap(slice(0, 9))
    expected = [[len(set(a) & set(b)) / len(set(a) | set(b)) for b in sets[1]] for a in sets[0]]
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return trained_world.build(tmp_path_factory.mktemp("retrieval") / "workspace", epochs=50)


def ranked(answer: Answer, i: int) -> list[int]:
    """Places in the base by a query's cosines."""
    cosines = answer.base.vectors.astype(float) @ answer.queries.vectors[i].astype(float)
    return np.argsort(-cosines, kind="stable").tolist()


@pytest.mark.parametrize("query", ["fpv", "tpv"])
def test_clips_find_the_same_colour_in_the_other_view(world, query):
    answer = retrieve(world, "sum-l", Question(query, ks=(1, 3), shown=3), refuse)
    base = "tpv" if query == "fpv" else "fpv"
    assert {(r["protocol"], r["task"], r["n_views"]) for r in answer.metrics} == {
        ("retrieval", f"{query}->{base}", 1)
    }
    by = {(r["subset"], r["metric"], r["k"]): r for r in answer.metrics}
    # Clip i of each view has noun i and verb i // 4.
    orders = [[place // 4 == i // 4 for place in ranked(answer, i)] for i in range(8)]
    expected = np.mean([precision([float(hit) for hit in order], False) for order in orders])
    assert by["verb", "mAP", None]["value"] == pytest.approx(expected, abs=1e-9)
    firsts = np.mean([ranked(answer, i)[0] == i for i in range(8)])
    assert by["noun", "recall", 1]["value"] == pytest.approx(firsts)
    assert by["noun", "recall", 1]["chance"] == pytest.approx(1 / 8)
    assert firsts >= 0.5
    assert by["both", "mAP", None] | {"subset": "noun"} == by["noun", "mAP", None]
    assert by["iou", "nDCG", None]["n_clips"] == 8
    assert answer.row.tolist() == [ranked(answer, i)[:3] for i in range(8)]
    assert answer.relevant.tolist() == [[at == i for at in answer.row[i]] for i in range(8)]
    assert answer.to_find.tolist() == [1] * 8
    first = answer.results()[5]
    assert first["narration"] == "colour 5"
    assert [r["clip_id"] for r in first["results"]] == [
        answer.base.clips[at].clip_id for at in answer.row[5]
    ]


def test_features_are_those_of_the_branch_averaged_over_views(world):
    one, several = (
        retrieve(world, "sum-l", Question(views=views), refuse).base.vectors
        for views in ("1x1", "2x3")
    )
    np.testing.assert_allclose(np.linalg.norm(several, axis=1), 1, rtol=1e-6)
    assert ((one * several).sum(axis=1) > 0.9).all()


def test_texts_find_clips(world):
    said = retrieve(world, "sum-l", Question("text", "fpv"), refuse)
    assert said.queries.narrations == small_world.NAMES
    by = {(r["subset"], r["metric"], r["k"]): r["value"] for r in said.metrics}
    assert by["noun", "recall", 1] > 0.5

    def encode(made_by, texts):
        assert (made_by["name"], texts) == ("test", ["new"])
        return np.eye(8, dtype=np.float32)[[2]]

    asked = Question("text", "fpv", texts=["new", "colour 2"], shown=1, ks=(1,))
    answer = retrieve(world, "sum-l", asked, encode)
    assert answer.metrics == [] and answer.relevance == ""
    assert answer.row[0].tolist() == answer.row[1].tolist()
    by_narration = Question("text", "fpv", texts=["colour 2"], relevant="narration", ks=(1,))
    answer = retrieve(world, "sum-l", by_narration, refuse)
    assert {r["n_clips"] for r in answer.metrics} == {1}
    assert answer.relevant[0].tolist() == [at == 2 for at in answer.row[0]]


def test_a_narration_is_searched_for_once_with_the_labels_of_its_first_clip(world, tmp_path):
    copied = trained_world.copy(world, tmp_path / "copy")
    said = pl.Series(["colour 2", "colour 1", "", *["colour 1"] * 5])
    trained_world.rewrite(copied, "ego", narration=said)
    answer = retrieve(copied, "sum-l", Question("text", "fpv", relevant="noun"), refuse)
    assert answer.queries.narrations == ["colour 2", "colour 1"]
    assert answer.queries.rows["nouns"].to_list() == [[0], [1]]


def test_narrations_above_a_threshold_are_relevant(world):
    answer = retrieve(world, "sum-l", Question(relevant="narration", ks=(8,)), refuse)
    assert {r["subset"] for r in answer.metrics} == {"narration"}
    assert answer.to_find.tolist() == [1] * 8
    with pytest.raises(SumlError, match="no clip is relevant to any query by narration"):
        retrieve(world, "sum-l", Question(relevant="narration", threshold=1.0), refuse)


def test_a_method_that_never_saw_text_is_warned_about(world, capsys):
    path = world.run("sum-l") / "pipeline.toml"
    before = path.read_text()
    try:
        loss = before[before.index("[loss]") : before.index("[stage_one]")]
        path.write_text(before.replace(loss, '[loss]\nname = "typical-cl"\n\n'))
        retrieve(world, "sum-l", Question("text", "tpv"), refuse)
    finally:
        path.write_text(before)
    assert "typical-cl never compares clips with narrations" in capsys.readouterr().err


def test_third_person_clips_of_another_split(world, tmp_path, capsys):
    copied = trained_world.copy(world, tmp_path / "copy")
    trained_world.rewrite(copied, "ego", split=pl.lit("val"))
    pipeline = copied.run("sum-l") / "pipeline.toml"
    text = pipeline.read_text().replace('eval_split = "train"', 'eval_split = "val"')
    pipeline.write_text(text)
    assert len(retrieve(copied, "sum-l", Question(), refuse).base.clips) == 8
    assert "no tpv clips of split val: searching those of train" in capsys.readouterr().err


def test_videos_that_break_are_named_and_left_out(world, tmp_path, capsys):
    copied = trained_world.copy(world, tmp_path / "copy")
    (copied.data("exo", "videos") / "v3.mp4").write_bytes(b"broken")
    answer = retrieve(copied, "sum-l", Question(), refuse)
    assert (len(answer.queries.clips), len(answer.base.clips)) == (8, 7)
    assert {r["n_clips"] for r in answer.metrics if r["subset"] == "noun"} == {7}
    assert "exo/3 is left out" in capsys.readouterr().err
    for i in range(8):
        (copied.data("exo", "videos") / f"v{i}.mp4").write_bytes(b"broken")
    with pytest.raises(
        SumlError, match="retrieve tpv: not one clip can be decoded, got 8 failures"
    ):
        retrieve(copied, "sum-l", Question(), refuse)


@pytest.mark.parametrize(
    ("run", "question", "said"),
    [
        ("none", Question(), "RUN: no such run"),
        ("fpv-only", Question(), "no third-person branch, got fpv weights of fpv-only"),
        ("fpv-only", Question("text", "fpv"), "no projection that views could be compared with"),
        ("sum-l", Question(base="fpv"), "--base: nothing but the view of the queries"),
        ("sum-l", Question("txt"), "--query: no such choice, got 'txt'.*Did you mean text"),
        ("sum-l", Question(relevant="object"), "--relevant: no such choice"),
        ("sum-l", Question(relevant="action"), "no clip is relevant to any query by action"),
        ("sum-l", Question(texts=["x"]), "--text: a text for queries that are clips"),
        ("sum-l", Question(ks=(0,)), "--k: impossible rank"),
        ("sum-l", Question(views="3"), "--views"),
    ],
)
def test_faults(world, run, question, said):
    with pytest.raises(SumlError, match=said):
        retrieve(world, run, question, refuse)
