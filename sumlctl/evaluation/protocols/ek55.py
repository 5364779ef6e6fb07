"""The EPIC-KITCHENS-55 action recognition challenge, on the validation split of the literature.

Follows the challenge's own library (github.com/epic-kitchens/epic-kitchens-55-lib, `metrics.py`
and `scoring.py`; Damen et al., ECCV 2018, Sec. 4.2), with two departures. Ties: the library
ranks by `argsort`, which orders them by chance; here a class that ties with the target counts as
better. Actions: the library keeps the products of the 100 best verbs and nouns; no product of
the five best is lost by that, and all compete here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from sumlctl.evaluation.metrics import decisions
from sumlctl.evaluation.protocols import epic
from sumlctl.evaluation.protocols.context import Context
from sumlctl.evaluation.protocols.measures import Measure, class_means

_NAME = "ek55"
# More than any class id of the release, so that a verb and a noun make one number.
_STRIDE = 1000


def score(predictions: pl.DataFrame, context: Context | None = None) -> list[dict[str, Any]]:
    """Top-1 and top-5 of verb, noun and action; mean class recall and precision of each.

    The class means are those of the argmax decisions, over the many-shot classes that occur in
    the split (subset `many_shot`; n_clips counts their clips). Many-shot verbs and nouns have more
    than 100 segments in the published training file, the 14 validation videos included; a
    many-shot action consists of two of them and occurs there. Clips of all classes are decided
    upon, so a rare class taken for a many-shot one costs precision.

    Args:
        predictions: tasks `verb` and `noun` with softmax scores.
        context: the clips of the split; `annotations` must have EPIC_many_shot_verbs.csv,
            EPIC_many_shot_nouns.csv and EPIC_train_action_labels.csv.

    Returns:
        task, subset, metric, k, value and n_clips of each number.

    Raises:
        SumlError: predictions that do not fit, or a list is missing.
    """
    return [measure.row() for measure in measures(predictions, context)]


def measures(predictions: pl.DataFrame, context: Context | None = None) -> list[Measure]:
    """The numbers of `score` before they are computed."""
    found = epic.actions(predictions, context, _NAME)
    many_shot = _many_shot(context or Context())
    decided = {t.task: (decisions(t.scores, t.target), t.target) for t in (found.verb, found.noun)}
    verb, noun = decided["verb"], decided["noun"]
    decided["action"] = (_STRIDE * verb[0] + noun[0], _STRIDE * verb[1] + noun[1])
    means = [
        measure
        for task, (predicted, target) in decided.items()
        for measure in class_means(found.of(task), predicted, target, many_shot[task], "many_shot")
    ]
    return found.accuracies() + means


def per_class(predictions: pl.DataFrame, context: Context | None = None) -> list[dict[str, Any]]:
    """Top-1 recall of each verb and noun class: task, class, positives and value."""
    return epic.actions(predictions, context, _NAME).per_class()


def _many_shot(context: Context) -> dict[str, list[int]]:
    verbs = context.listed_ids(_NAME, "EPIC_many_shot_verbs.csv", "verb_class")
    nouns = context.listed_ids(_NAME, "EPIC_many_shot_nouns.csv", "noun_class")
    # The published list of many-shot actions is derived from these very files.
    labels = "EPIC_train_action_labels.csv"
    pair = [np.array(context.listed_ids(_NAME, labels, f"{t}_class")) for t in ("verb", "noun")]
    kept = np.isin(pair[0], verbs) & np.isin(pair[1], nouns)
    actions = np.unique((_STRIDE * pair[0] + pair[1])[kept])
    return {"verb": verbs, "noun": nouns, "action": actions.tolist()}
