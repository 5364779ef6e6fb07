"""Tasks of a vocabulary, targets of clips, and their losses."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
import torch

from sumlctl.errors import SumlError
from sumlctl.learning.tasks import fpv_tasks, total_loss, tpv_tasks

VERBS, NOUNS = [["open"], ["close", "shut"]], [["cup"], [], ["box"]]


def rows(dataset: list[str], **labels: list[list[int]]) -> pl.DataFrame:
    empty: list[list[int]] = [[] for _ in dataset]
    columns = {name: labels.get(name, empty) for name in ("verbs", "nouns", "actions")}
    schema = {name: pl.List(pl.Int32) for name in columns}
    return pl.DataFrame({"dataset": dataset, **columns}, schema_overrides=schema)


def test_first_person_verb_and_noun_are_exclusive():
    verb, noun = fpv_tasks({"ek": {"verbs": VERBS, "nouns": NOUNS}})
    assert [(t.name, t.exclusive, t.size) for t in (verb, noun)] == [
        ("verb", True, 2),
        ("noun", True, 3),
    ]
    assert noun.blocks[0].classes == ("cup", "1", "box")
    clips = rows(["ek"] * 3, verbs=[[1], [], [0]], nouns=[[2, 0], [1], []])
    assert verb.targets(clips).tolist() == [1, -100, 0]
    assert noun.targets(clips).tolist() == [2, 1, -100]


def test_first_person_actions_are_multi_label():
    (action,) = fpv_tasks({"ce": {"verbs": VERBS, "nouns": NOUNS, "actions": [["a"], ["b"]]}})
    assert (action.name, action.exclusive) == ("action", False)
    assert action.targets(rows(["ce"] * 2, actions=[[0, 1], []])).tolist() == [[1, 1], [0, 0]]


def test_third_person_pool_keeps_each_datasets_classes():
    verb, noun = tpv_tasks({"a": {"verbs": VERBS}, "b": {"verbs": VERBS, "nouns": NOUNS}})
    assert [(t.name, t.exclusive, t.size) for t in (verb, noun)] == [
        ("verb", False, 2 + 2),
        ("noun", False, 3),
    ]
    clips = rows(["b", "a"], verbs=[[1], [0]], nouns=[[0, 2], []])
    assert verb.targets(clips).tolist() == [[-1, -1, 0, 1], [1, 0, -1, -1]]
    assert noun.targets(clips).tolist() == [[1, 0, 1], [-1, -1, -1]]


def test_third_person_actions_stand_in_for_verbs_and_nouns():
    (action,) = tpv_tasks({"a": {"actions": [["x"], ["y"]]}})
    assert (action.name, action.exclusive, action.size) == ("action", False, 2)


def test_without_vocabulary_there_is_nothing_to_classify():
    with pytest.raises(SumlError, match="plain: nothing to classify"):
        fpv_tasks({"plain": {}})
    with pytest.raises(SumlError, match=r"plain\+bare: nothing to classify"):
        tpv_tasks({"plain": {}, "bare": {}})


def test_cross_entropy_leaves_out_clips_without_a_class():
    (verb,) = fpv_tasks({"ek": {"verbs": VERBS}})
    logits = torch.tensor([[0.0, 0.0], [5.0, -5.0], [math.log(3), 0.0]])
    # log 2 for even odds, log(4/3) for odds of 3 to 1.
    expected = (math.log(2) + math.log(4 / 3)) / 2
    assert verb.loss(logits, torch.tensor([0, -100, 0])).item() == pytest.approx(expected)
    assert verb.loss(logits, torch.tensor([-100] * 3)).item() == 0.0


def test_bce_leaves_out_classes_of_other_datasets():
    (task,) = tpv_tasks({"a": {"verbs": VERBS}, "b": {"verbs": VERBS}})
    logits = torch.tensor([[0.0, math.log(3), 9.0, -9.0]], requires_grad=True)
    targets = torch.from_numpy(np.array([[1, 0, -1, -1]], dtype=np.int8))
    loss = task.loss(logits, targets)
    # -log 1/2 for the positive, -log 1/4 for the negative.
    assert loss.item() == pytest.approx((math.log(2) + math.log(4)) / 2)
    loss.backward()
    assert logits.grad[0, 2:].tolist() == [0.0, 0.0]


def test_total_is_the_sum_over_tasks():
    tasks = fpv_tasks({"ek": {"verbs": VERBS, "nouns": NOUNS}})
    logits = {"verb": torch.zeros(1, 2), "noun": torch.zeros(1, 3)}
    targets = {"verb": torch.tensor([0]), "noun": torch.tensor([0])}
    expected = math.log(2) + math.log(3)
    assert total_loss(tasks, logits, targets).item() == pytest.approx(expected)
