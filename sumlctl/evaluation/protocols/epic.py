"""Verb, noun and action of EPIC-KITCHENS: what both releases' protocols share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from sumlctl.errors import SumlError
from sumlctl.evaluation import metrics
from sumlctl.evaluation.protocols import per_class
from sumlctl.evaluation.protocols.context import Context
from sumlctl.evaluation.protocols.measures import Measure, accuracies
from sumlctl.evaluation.protocols.scored import Scored, read

KS = (1, 5)


@dataclass(frozen=True)
class Actions:
    """Labelled clips with the scores of both of their tasks, in the same order.

    Args:
        verb: the verb's scores.
        noun: the noun's scores.
        ranks: rank of each clip's verb, noun and action [N]; an action's ranks beyond the largest
            `k` are not told apart.
    """

    verb: Scored
    noun: Scored
    ranks: dict[str, np.ndarray]

    def of(self, task: str) -> Scored:
        """The clips under the name of a task, `action` included."""
        return replace(self.noun if task == "noun" else self.verb, task=task)

    def accuracies(self) -> list[Measure]:
        """Top-1 and top-5 of verb, noun and action over all clips."""
        return [m for t, ranks in self.ranks.items() for m in accuracies(self.of(t), ranks, KS)]

    def per_class(self) -> list[dict[str, Any]]:
        """Top-1 recall of each verb and noun class."""
        both = (self.verb, self.noun)
        return [row for t in both for row in per_class.recalls(t, self.ranks[t.task])]


def actions(predictions: pl.DataFrame, context: Context | None, protocol: str) -> Actions:
    """Ranks verbs, nouns and actions.

    An action is a pair of verb and noun, and its score the product of their probabilities; it is
    right when both are. All pairs compete (`metrics.pair_ranks`).

    Args:
        predictions: columns of the predictions table, tasks `verb` and `noun`.
        context: the clips of the split.
        protocol: who asks, for the error.

    Raises:
        SumlError: predictions that do not fit the context, another set of tasks, other clips for
            the verb than for the noun, negative scores.
    """
    context = context or Context()
    tasks = read(predictions, context)
    if not {"verb", "noun"} <= tasks.keys():
        raise _fault(context, f"no verb and noun for protocol {protocol}", ", ".join(tasks))
    verb, noun = tasks["verb"], tasks["noun"]
    if not verb.rows["clip_id"].equals(noun.rows["clip_id"]):
        verb, noun = verb.take(_by_clip(verb)), noun.take(_by_clip(noun))
    if not verb.rows["clip_id"].equals(noun.rows["clip_id"]):
        alone = set(verb.rows["clip_id"]).symmetric_difference(noun.rows["clip_id"])
        got = f"{len(alone):,} clips with one of them, first {min(alone)}"
        raise _fault(context, "verb and noun of different clips", got)
    lowest = min(verb.scores.min(), noun.scores.min())
    if lowest < 0:
        raise _fault(context, "scores are no probabilities", f"{lowest}")
    both = (verb.target >= 0) & (noun.target >= 0)
    if not both.any():
        raise _fault(context, "no clip with a verb and a noun", f"{len(both):,} clips without")
    verb, noun = verb.take(both), noun.take(both)
    pairs = metrics.pair_ranks(verb.scores, noun.scores, (verb.target, noun.target), max(KS))
    ranks = {t.task: metrics.target_ranks(t.scores, t.target) for t in (verb, noun)}
    return Actions(verb, noun, {**ranks, "action": pairs})


def _by_clip(scored: Scored) -> np.ndarray:
    return scored.rows["clip_id"].arg_sort().to_numpy()


def _fault(context: Context, what: str, got: str) -> SumlError:
    return SumlError(
        context.source,
        what,
        got=got,
        expected="softmax scores of tasks verb and noun for every clip",
        fix="Choose another protocol, or predict again with `sumlctl eval`.",
    )
