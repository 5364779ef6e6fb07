"""The EPIC-KITCHENS-100 action recognition challenge.

Follows the challenge's own evaluation (github.com/epic-kitchens/C1-Action-Recognition,
`evaluate.py` and `utils/metrics.py`; Damen et al., IJCV 2022, Sec. 4.1): every number is a share
of clips, those of unseen participants and of tail classes too, and no mean over classes. Two
departures: it ranks by `argsort`, which orders ties by chance, and here a class that ties with the
target counts as better; and it takes scores for logits, to which it applies the softmax, while
predictions hold probabilities already. Its softmax runs over all clips at once, which scales all
products of one clip alike and so changes no rank.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from sumlctl import console
from sumlctl.evaluation.protocols import epic
from sumlctl.evaluation.protocols.context import Context
from sumlctl.evaluation.protocols.measures import Measure, accuracies

_NAME = "ek100"
_TASKS = ("verb", "noun", "action")


def score(predictions: pl.DataFrame, context: Context | None = None) -> list[dict[str, Any]]:
    """Top-1 and top-5 of verb, noun and action; top-1 of unseen participants and tail classes.

    Subset `tail` of the verb is the clips whose verb is a tail class, of the noun those whose noun
    is one, of the action those whose verb or noun is one. A subset without clips is left out.

    Args:
        predictions: tasks `verb` and `noun` with softmax scores.
        context: the clips of the split; `annotations` must have EPIC_100_tail_verbs.csv,
            EPIC_100_tail_nouns.csv and EPIC_100_unseen_participant_ids_validation.csv.

    Returns:
        task, subset, metric, k, value and n_clips of each accuracy.

    Raises:
        SumlError: predictions that do not fit, no clips table, or a list is missing.
    """
    return [measure.row() for measure in measures(predictions, context)]


def measures(predictions: pl.DataFrame, context: Context | None = None) -> list[Measure]:
    """The accuracies of `score` before they are computed."""
    context = context or Context()
    context.required_clips(f"protocol {_NAME}")
    found = epic.actions(predictions, context, _NAME)
    tail = {
        task: np.isin(
            found.of(task).target,
            context.listed_ids(_NAME, f"EPIC_100_tail_{task}s.csv", task),
        )
        for task in ("verb", "noun")
    }
    tail["action"] = tail["verb"] | tail["noun"]
    people = context.listed(
        _NAME, "EPIC_100_unseen_participant_ids_validation.csv", "participant_id"
    )
    unseen = dict.fromkeys(_TASKS, found.verb.rows["participant"].is_in(people).to_numpy())
    numbers = found.accuracies()
    for subset, chosen in (("unseen", unseen), ("tail", tail)):
        few = [
            measure
            for task in _TASKS
            for measure in accuracies(found.of(task), found.ranks[task], (1,), subset, chosen[task])
        ]
        if len(few) < len(_TASKS):
            console.warn(f"{context.source}: subset {subset} has no clips in some task")
        numbers += few
    return numbers


def per_class(predictions: pl.DataFrame, context: Context | None = None) -> list[dict[str, Any]]:
    """Top-1 recall of each verb and noun class: task, class, positives and value."""
    return epic.actions(predictions, context, _NAME).per_class()
