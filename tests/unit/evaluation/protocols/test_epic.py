"""EPIC-KITCHENS' protocols against their definitions, clip by clip, and on the published lists."""

from __future__ import annotations

import csv
import itertools
import math
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_score, recall_score

from sumlctl.errors import SumlError
from sumlctl.evaluation.protocols import ek55, ek100, epic
from sumlctl.evaluation.protocols.context import Context
from tests.unit.evaluation import scoring

EXACT = {"rel": 0, "abs": 1e-9}


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def tables(scores: dict[str, np.ndarray], target: dict[str, np.ndarray], ids=()) -> pl.DataFrame:
    # Further nouns follow the main one, which alone counts.
    labels = {
        "verb": [[v] for v in target["verb"]],
        "noun": [[n, (n + 1) % scores["noun"].shape[1]] for n in target["noun"]],
    }
    return pl.concat([scoring.predictions(t, scores[t], labels[t], ids) for t in labels])


def world(seed: int, verbs: int, nouns: int, levels: int, rows: int = 15):
    """Predictions, their clips and what they were made of."""
    random = np.random.default_rng(seed)
    scores = {
        "verb": scoring.tied(random, rows, verbs, levels),
        "noun": scoring.tied(random, rows, nouns, levels),
    }
    target = {"verb": random.integers(0, verbs, rows), "noun": random.integers(0, nouns, rows)}
    table = tables(scores, target)
    labels = {t: table.filter(pl.col("task") == t)["target"].to_list() for t in scores}
    people = [f"P{i:02}" for i in random.integers(0, 3, rows)]
    videos = [f"{p}_{i}" for p, i in zip(people, random.integers(0, 2, rows), strict=True)]
    clips = scoring.clips(videos, participant=people, verbs=labels["verb"], nouns=labels["noun"])
    return table, clips, scores, target, random


def right(scores: dict[str, np.ndarray], target: dict[str, np.ndarray], k: int):
    """Whether verb, noun and action of each clip are among the k best, by definition."""
    found: dict[str, list[bool]] = {"verb": [], "noun": [], "action": []}
    for i in range(len(target["verb"])):
        verb, noun = (np.asarray(scores[t][i], "f4").astype("f8") for t in ("verb", "noun"))
        v, n = target["verb"][i], target["noun"][i]
        found["verb"].append(scoring.rank(verb, verb[v]) <= k)
        found["noun"].append(scoring.rank(noun, noun[n]) <= k)
        products = [a * b for a, b in itertools.product(verb, noun)]
        found["action"].append(scoring.rank(products, verb[v] * noun[n]) <= k)
    return {task: np.array(values) for task, values in found.items()}


def write(folder: Path, name: str, header: str, lines: list[object]) -> None:
    (folder / name).write_text("\n".join([header, *map(str, lines)]) + "\n")


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    folder = tmp_path_factory.mktemp("annotations")
    write(folder, "EPIC_100_tail_verbs.csv", "verb", [0, 2])
    write(folder, "EPIC_100_tail_nouns.csv", "noun", [1])
    write(folder, "EPIC_100_unseen_participant_ids_validation.csv", "participant_id", ["P01"])
    write(folder, "EPIC_many_shot_verbs.csv", "verb_class,verb", ["0,a", "1,b", "9,z"])
    write(folder, "EPIC_many_shot_nouns.csv", "noun_class,noun", ["0,a", "2,c"])
    labels = ["0,0", "0,2", "1,2", "1,1", "3,0"]
    write(folder, "EPIC_train_action_labels.csv", "verb_class,noun_class", labels)
    return folder


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 7), st.integers(1, 7), st.integers(1, 9))
def test_ek100_by_its_definition(lists, seed, verbs, nouns, levels):
    table, clips, scores, target, _ = world(seed, verbs, nouns, levels)
    rows = ek100.score(table, Context(clips, lists))
    found = {(r["task"], r["subset"], r["k"]): (r["value"], r["n_clips"]) for r in rows}
    assert {r["metric"] for r in rows} == {"accuracy"}

    tail_verb, tail_noun = np.isin(target["verb"], [0, 2]), target["noun"] == 1
    unseen = (clips["participant"] == "P01").to_numpy()
    every = np.ones(len(unseen), dtype=bool)
    subsets = {
        ("all", "verb"): every,
        ("all", "noun"): every,
        ("all", "action"): every,
        ("unseen", "verb"): unseen,
        ("unseen", "noun"): unseen,
        ("unseen", "action"): unseen,
        ("tail", "verb"): tail_verb,
        ("tail", "noun"): tail_noun,
        ("tail", "action"): tail_verb | tail_noun,
    }
    expected = {}
    for (subset, task), chosen in subsets.items():
        for k in (1, 5) if subset == "all" else (1,):
            if chosen.any():
                hits = right(scores, target, k)[task][chosen]
                expected[task, subset, k] = (pytest.approx(hits.mean(), **EXACT), chosen.sum())
    assert found == expected


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 5), st.integers(2, 40))
def test_ek55_by_its_definition(lists, seed, verbs, nouns, levels):
    table, clips, scores, target, _ = world(seed, verbs, nouns, levels)
    rows = ek55.score(table, Context(clips, lists))
    found = {(r["task"], r["metric"], r["k"]): r["value"] for r in rows}
    first = right(scores, target, 1)
    for task, k in itertools.product(("verb", "noun", "action"), (1, 5)):
        expected = right(scores, target, k)[task].mean()
        assert found.pop((task, "accuracy", k)) == pytest.approx(expected, **EXACT)

    truth = {**target, "action": 1000 * target["verb"] + target["noun"]}
    # A wrong decision is the best class that is not the clip's own; a right one is its own.
    chosen = {}
    for task in ("verb", "noun"):
        others = np.array(scores[task], dtype=float)
        others[np.arange(len(others)), target[task]] = -1
        chosen[task] = np.where(first[task], target[task], others.argmax(axis=1))
    chosen["action"] = 1000 * chosen["verb"] + chosen["noun"]
    # (1, 1) is no many-shot action since noun 1 is none, (3, 0) since verb 3 is none.
    many = {"verb": [0, 1, 9], "noun": [0, 2], "action": [0, 2, 1002]}
    for task, classes in many.items():
        present = [c for c in classes if c in truth[task]]
        recall = found.pop((task, "mean_class_recall", None))
        precision = found.pop((task, "mean_class_precision", None))
        if not present:
            assert math.isnan(recall)
            assert math.isnan(precision)
            continue
        options = {"labels": present, "average": "macro", "zero_division": 0}
        by_hand = recall_score(truth[task], chosen[task], **options)
        assert recall == pytest.approx(by_hand, **EXACT)
        by_hand = precision_score(truth[task], chosen[task], **options)
        assert precision == pytest.approx(by_hand, **EXACT)
    assert not found


def test_many_shot_rows_count_their_clips(lists):
    table, clips, _, target, _ = world(3, 4, 4, 30)
    rows = ek55.score(table, Context(clips, lists))
    counts = {r["task"]: r["n_clips"] for r in rows if r["subset"] == "many_shot"}
    assert counts["verb"] == np.isin(target["verb"], [0, 1, 9]).sum()
    assert counts["noun"] == np.isin(target["noun"], [0, 2]).sum()


def test_top_five_of_the_action_is_no_mix_of_top_fives():
    # The noun is second best and the verb third, yet ten pairs are better than theirs.
    verb = np.array([[0.30, 0.29, 0.28, 0.13]])
    noun = np.array([[0.26, 0.25, 0.25, 0.24]])
    table = tables({"verb": verb, "noun": noun}, {"verb": np.array([3]), "noun": np.array([0])})
    clips = scoring.clips("a", verbs=[[3]], nouns=[[0, 1]])
    context = Context(clips, None)
    values = {(m.task, m.k): m.value for m in epic.actions(table, context, "p").accuracies()}
    assert values == {
        ("verb", 1): 0,
        ("verb", 5): 1,
        ("noun", 1): 1,
        ("noun", 5): 1,
        ("action", 1): 0,
        ("action", 5): 0,
    }


def test_what_does_not_fit_is_named(lists, tmp_path):
    table, clips, _, _, _ = world(0, 3, 3, 9)
    context = Context(clips, lists)
    verbs = table.filter(pl.col("task") == "verb")
    for protocol in (ek55, ek100):
        with pytest.raises(SumlError, match="no verb and noun for protocol ek"):
            protocol.score(verbs, context)
        negative = table.with_columns(pl.col("scores").list.eval(pl.element() - 1))
        with pytest.raises(SumlError, match="scores are no probabilities, got -"):
            protocol.score(negative, context)
        alone = pl.concat([verbs, table.filter(pl.col("task") == "noun")[:-1]])
        with pytest.raises(SumlError, match="1 clips with one of them, first d/14"):
            protocol.score(alone, Context(clips, lists, allow_missing=True))
    with pytest.raises(SumlError, match="protocol ek100 needs the clips table"):
        ek100.score(table)
    with pytest.raises(SumlError, match=r"EPIC_100_tail_verbs\.csv: a list of .* is missing"):
        ek100.score(table, Context(clips, tmp_path))
    with pytest.raises(SumlError, match=r"EPIC_many_shot_verbs\.csv: a list of .* is missing"):
        ek55.score(table, Context(clips, tmp_path))


def test_a_subset_without_clips_is_left_out_and_said(lists, capsys):
    table, clips, _, _, _ = world(0, 3, 3, 9)
    seen = clips.with_columns(participant=pl.lit("P07"))
    assert {r["subset"] for r in ek100.score(table, Context(seen, lists))} == {"all", "tail"}
    assert "subset unseen has no clips" in capsys.readouterr().err


def test_the_order_of_clips_does_not_matter(lists):
    table, clips, _, _, random = world(5, 4, 4, 9)
    context = Context(clips, lists)
    shuffled = table[random.permutation(table.height)]
    for protocol in (ek55, ek100):
        before, after = (protocol.score(t, context) for t in (table, shuffled))
        assert [r["value"] for r in sorted(after, key=str)] == pytest.approx(
            [r["value"] for r in sorted(before, key=str)], nan_ok=True
        )


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_ek100_on_the_published_lists(shared_data):
    folder = shared_data / "annotations" / "ek100"
    published = rows_of(folder / "EPIC_100_validation.csv")
    target = {t: np.array([int(r[f"{t}_class"]) for r in published]) for t in ("verb", "noun")}
    random = np.random.default_rng(0)
    logits = {t: random.normal(size=(len(published), n)) for t, n in (("verb", 97), ("noun", 300))}
    for task, values in logits.items():
        values[np.arange(len(values)), target[task]] += 2
    ids = [f"ek100/{r['narration_id']}" for r in published]
    probabilities = {t: softmax(values) for t, values in logits.items()}
    table = tables(probabilities, target, ids)
    labels = {t: table.filter(pl.col("task") == t)["target"].to_list() for t in target}
    clips = scoring.clips(
        [r["video_id"] for r in published],
        participant=[r["participant_id"] for r in published],
        verbs=labels["verb"],
        nouns=labels["noun"],
    ).with_columns(clip_id=pl.Series(ids))
    rows = ek100.score(table, Context(clips, folder))
    found = {(r["subset"], r["task"], r["k"]): (r["value"], r["n_clips"]) for r in rows}

    # As the challenge evaluates: softmax of the logits, all products sorted, shares of clips.
    tail = {t: {int(r[t]) for r in rows_of(folder / f"EPIC_100_tail_{t}s.csv")} for t in target}
    assert {t: len(ids) for t, ids in tail.items()} == {"verb": 86, "noun": 228}
    unseen = np.array([r["participant_id"] in {"P18", "P32"} for r in published])
    best: dict[str, list[list[object]]] = {"verb": [], "noun": [], "action": []}
    for i in range(len(published)):
        verb, noun = (probabilities[t][i].astype(float) for t in ("verb", "noun"))
        best["verb"].append(np.argsort(-verb)[:5].tolist())
        best["noun"].append(np.argsort(-noun)[:5].tolist())
        places = np.argsort(-np.outer(verb, noun).ravel())[:5]
        best["action"].append([divmod(int(p), 300) for p in places])
    truth = {**target, "action": list(zip(target["verb"], target["noun"], strict=True))}
    hits = {
        (task, k): np.array([t in b[:k] for t, b in zip(truth[task], best[task], strict=True)])
        for task in truth
        for k in (1, 5)
    }
    in_tail = {t: np.array([c in tail[t] for c in target[t]]) for t in target}
    in_tail["action"] = in_tail["verb"] | in_tail["noun"]
    for task in truth:
        for k in (1, 5):
            expected = (pytest.approx(hits[task, k].mean(), **EXACT), len(published))
            assert found.pop(("all", task, k)) == expected
        for subset, chosen in (("unseen", unseen), ("tail", in_tail[task])):
            expected = (pytest.approx(hits[task, 1][chosen].mean(), **EXACT), chosen.sum())
            assert found.pop((subset, task, 1)) == expected
    assert not found


def test_many_shot_classes_are_those_with_more_than_100_segments(shared_data):
    folder = shared_data / "annotations" / "ek55"
    published = rows_of(folder / "EPIC_train_action_labels.csv")
    many = ek55._many_shot(Context(annotations=folder))
    for task in ("verb", "noun"):
        counts = Counter(int(r[f"{task}_class"]) for r in published)
        assert set(many[task]) == {c for c, n in counts.items() if n > 100}
    # The challenge's paper names these counts.
    assert {task: len(ids) for task, ids in many.items()} == {
        "verb": 26,
        "noun": 71,
        "action": 819,
    }
