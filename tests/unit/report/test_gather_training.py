"""A training as its log tells it."""

from __future__ import annotations

import json

import pytest

from sumlctl.errors import SumlError
from sumlctl.report.content.training import Point, read


def step(stage: str, epoch: int, number: int, loss: float, **terms: float) -> str:
    place = {"event": "steps", "stage": stage, "epoch": epoch, "step": number}
    return json.dumps(place | {"loss": loss, "learning_rate": 0.1, "terms": terms})


def test_steps_are_counted_through_both_stages(tmp_path) -> None:
    log = tmp_path / "log.jsonl"
    lines = [
        json.dumps({"event": "begun", "inputs": {}}),
        step("stage_one", 0, 9, 3.0, l_t=3.0),
        step("stage_one", 0, 18, 2.0, l_t=2.0),  # 19 batches an epoch
        step("stage_one", 1, 18, 1.0, l_t=1.0),
        step("stage_two", 0, 4, 9.0, l_f=8.0, l_t=1.0),  # 5 batches an epoch
        json.dumps({"event": "clip_replaced", "clip_id": "x"}),
        json.dumps({"event": "resumed", "stage": "stage_two"}),
        step("stage_two", 0, 4, 7.0, l_f=6.0, l_t=1.0),  # done again
        json.dumps({"event": "validation", "stage": "stage_two", "epoch": 1, "verb": 0.5}),
        '{"event": "steps", "stage": "sta',
    ]
    log.write_text("\n".join(lines), encoding="utf-8")
    found = read(log)
    assert found.begins == {"stage_one": 0, "stage_two": 38}
    assert found.curves["l_t"] == [
        Point("stage_one", 9, 3.0),
        Point("stage_one", 18, 2.0),
        Point("stage_one", 37, 1.0),
        Point("stage_two", 42, 1.0),
    ]
    assert found.curves["l_f"] == [Point("stage_two", 42, 6.0)]
    assert found.curves["loss"][-1] == Point("stage_two", 42, 7.0)
    assert found.validation == {"verb": [Point("stage_two", 43, 0.5)]}
    assert (found.replaced, found.resumed) == (1, 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "log is missing"), ("", "no step of a training, got 0 events"), ("[1]\n", "no step")],
)
def test_a_log_without_a_training(tmp_path, text, said) -> None:
    log = tmp_path / "log.jsonl"
    if text is not None:
        log.write_text(text, encoding="utf-8")
    with pytest.raises(SumlError, match=said):
        read(log)
