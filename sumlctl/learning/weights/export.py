"""Writes our first-person encoder and heads as PySlowFast, Ego-Exo and SUM-L read them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from torch import Tensor

from sumlctl.errors import SumlError
from sumlctl.learning import checkpoints
from sumlctl.learning.weights import channels, names

# The peers' loaders of EPIC-KITCHENS give BGR, and RGB when told to turn it around.
_CFG = """\
DATA:
  REVERSE_INPUT_CHANNEL: {reverse}
TASK: '{task}'
TRAIN:
  DATASET: epickitchen
"""


def write(path: Path, weights: Mapping[str, Tensor], task: str = "", bgr: bool = False) -> None:
    """Writes a `.pyth` file: epoch, model_state, optimizer_state and cfg.

    It is meant for testing and as a start of training there, with TRAIN.CHECKPOINT_EPOCH_RESET,
    since there is no state of an optimiser in it.

    Args:
        path: where to.
        weights: of one branch, in our names: `encoder.<backbone's name>` and `heads.<task>.<name>`;
            they expect RGB.
        task: what TASK is in their configuration, such as `epic100`: it is part of a head's name.
        bgr: make the file expect the BGR that Ego-Exo's and SUM-L's configurations feed, instead
            of RGB (DATA.REVERSE_INPUT_CHANNEL on EPIC and Charades-Ego).

    Raises:
        SumlError: the encoder has no counterpart there, or the heads are neither one nor verb and
            noun.
    """
    given = dict(weights)
    if bgr:
        channels.turn(given)
    tasks = {name.split(".")[1] for name in given if name.startswith("heads.")}
    state = {_their_name(path, name, task, tasks): weight for name, weight in given.items()}
    cfg = _CFG.format(reverse=str(not bgr).lower(), task=task)
    content = {"epoch": 0, "model_state": state, "optimizer_state": {}, "cfg": cfg}
    checkpoints.write(path, content)


def _their_name(path: Path, name: str, task: str, tasks: Collection[str]) -> str:
    part, _, rest = name.partition(".")
    theirs = None
    if part == "encoder":
        theirs = names.to_pyslowfast(rest)
    elif part == "heads":
        ours, _, value = rest.partition(".")
        if len(tasks) == 1:
            theirs = f"head{task}.projection.{value}"
        elif tasks == {"verb", "noun"}:
            theirs = f"head{task}.projections.{('verb', 'noun').index(ours)}.{value}"
    if theirs is None:
        raise SumlError(
            path,
            "a weight has no place in PySlowFast",
            got=name,
            expected="a Slow or SlowFast encoder with one head, or with verb and noun",
            fix="Write it for sumlctl, or drop the heads.",
        )
    return theirs
