"""What the heads predict, and their losses: L_f and L_t of Eq. 12."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from torch import Tensor
from torch.nn import functional

from sumlctl.errors import SumlError

# A target of no class; 0 and 1 of a multi-label target have -1 for "this dataset does not say".
NO_CLASS = -100
_NOT_ANNOTATED = -1
_NAMES = {"verbs": "verb", "nouns": "noun", "actions": "action"}
Vocabularies = Mapping[str, Mapping[str, Sequence[Sequence[str]]]]


@dataclass(frozen=True)
class Block:
    """Consecutive classes of a task that come from one vocabulary.

    Args:
        dataset: whose vocabulary.
        column: `verbs`, `nouns` or `actions`.
        classes: class names in the order of their ids.
    """

    dataset: str
    column: str
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """One head's task.

    Args:
        name: `verb`, `noun` or `action`.
        exclusive: one class per clip (softmax, cross-entropy) or any number (sigmoid, BCE).
        blocks: where its classes come from.
    """

    name: str
    exclusive: bool
    blocks: tuple[Block, ...]

    @property
    def classes(self) -> list[str]:
        """Names of its classes, in the order of their numbers."""
        return [name for block in self.blocks for name in block.classes]

    @property
    def size(self) -> int:
        """Number of classes."""
        return len(self.classes)

    def describe(self) -> dict[str, Any]:
        """The task as plain data, the same for the same label space."""
        blocks = [{**asdict(b), "classes": list(b.classes)} for b in self.blocks]
        return {"name": self.name, "exclusive": self.exclusive, "blocks": blocks}

    def labels(self, rows: pl.DataFrame) -> list[list[int]]:
        """Classes of each clip, as numbers of this task."""
        found: list[list[int]] = [[] for _ in range(rows.height)]
        offset = 0
        for block in self.blocks:
            columns = rows.select("dataset", block.column).iter_rows()
            for labels, (dataset, ids) in zip(found, columns, strict=True):
                if dataset == block.dataset:
                    labels.extend(offset + i for i in ids or ())
            offset += len(block.classes)
        return found

    def targets(self, rows: pl.DataFrame) -> np.ndarray:
        """Targets of clips: class numbers int64 [n] if exclusive, else int8 [n, C] of 0, 1, -1.

        The class of an exclusive task is the first of the clip's list. A class that belongs to
        another dataset's vocabulary is -1: nobody looked for it.
        """
        labels = self.labels(rows)
        if self.exclusive:
            return np.array([ids[0] if ids else NO_CLASS for ids in labels], dtype=np.int64)
        targets = np.full((rows.height, self.size), _NOT_ANNOTATED, dtype=np.int8)
        datasets = rows.get_column("dataset").to_numpy()
        offset = 0
        for block in self.blocks:
            end = offset + len(block.classes)
            targets[datasets == block.dataset, offset:end] = 0
            offset = end
        for row, ids in zip(targets, labels, strict=True):
            row[ids] = 1
        return targets

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy over the clips, or mean BCE over clips and classes.

        What has no target is left out; 0 (with gradient) when nothing has one.

        Args:
            logits: [N, C].
            targets: as `targets` gives them.
        """
        logits = logits.float()
        if self.exclusive:
            total = functional.cross_entropy(
                logits, targets, ignore_index=NO_CLASS, reduction="sum"
            )
            return total / (targets != NO_CLASS).sum().clamp(min=1)
        known = (targets != _NOT_ANNOTATED).float()
        wanted = targets.clamp(min=0).float()
        total = functional.binary_cross_entropy_with_logits(
            logits, wanted, weight=known, reduction="sum"
        )
        return total / known.sum().clamp(min=1)


def total_loss(
    tasks: Sequence[Task], logits: Mapping[str, Tensor], targets: Mapping[str, Tensor]
) -> Tensor:
    """Classification loss of one viewpoint: the sum over its tasks, as the released code has it."""
    losses = [task.loss(logits[task.name], targets[task.name]) for task in tasks]
    return sum(losses[1:], start=losses[0])


def fpv_tasks(vocabularies: Vocabularies) -> list[Task]:
    """Tasks of the first-person view: multi-label actions where there are any, else verb and noun.

    Raises:
        SumlError: the dataset has no class vocabulary.
    """
    ((dataset, vocabulary),) = vocabularies.items()
    if vocabulary.get("actions"):
        return [Task("action", False, _blocks(vocabularies, "actions"))]
    columns = [column for column in ("verbs", "nouns") if vocabulary.get(column)]
    tasks = [Task(_NAMES[c], True, _blocks(vocabularies, c)) for c in columns]
    return tasks or _refuse(dataset)


def tpv_tasks(vocabularies: Vocabularies) -> list[Task]:
    """Tasks of the third-person view: multi-label verbs and nouns, as the paper does for LEMMA.

    Several datasets keep their own classes. Actions stand in where there are no verbs and nouns.

    Raises:
        SumlError: no dataset has a class vocabulary.
    """
    blocks = {column: _blocks(vocabularies, column) for column in _NAMES}
    columns = [c for c in ("verbs", "nouns") if blocks[c]] or [c for c in ("actions",) if blocks[c]]
    tasks = [Task(_NAMES[column], False, blocks[column]) for column in columns]
    return tasks or _refuse("+".join(vocabularies))


def _blocks(vocabularies: Vocabularies, column: str) -> tuple[Block, ...]:
    return tuple(
        Block(dataset, column, _class_names(vocabulary[column]))
        for dataset, vocabulary in vocabularies.items()
        if vocabulary.get(column)
    )


def _class_names(words: Sequence[Sequence[str]]) -> tuple[str, ...]:
    return tuple(forms[0] if forms else str(i) for i, forms in enumerate(words))


def _refuse(dataset: str) -> list[Task]:
    raise SumlError(
        dataset,
        "nothing to classify",
        got="a clips table without class vocabulary",
        expected="verbs, nouns or actions",
        fix="Add [vocabulary] to the dataset's card and index it again.",
    )
