"""What a training needs, read and checked before it begins."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sumlctl import components, console
from sumlctl.config import Pipeline
from sumlctl.learning import pairs, stages, two_view
from sumlctl.learning.losses.terms import Method
from sumlctl.learning.pairs import PairSet
from sumlctl.learning.stages import Tasks
from sumlctl.learning.tasks import fpv_tasks, tpv_tasks
from sumlctl.learning.training.launch import as_started, resolved
from sumlctl.learning.training.runlog import packages
from sumlctl.video import quarantine
from sumlctl.video.quarantine import Quarantined
from sumlctl.workspace import Workspace


@dataclass(frozen=True)
class Prepared:
    """Everything that a training needs, checked before it begins.

    Args:
        pipeline: with the tables and the number of processes that are used.
        method: the loss.
        pairs: clips and vectors.
        tasks: viewpoint -> its heads' tasks.
        dimension: of the projections; None for a method that aligns nothing.
        quarantined: the videos that are left out because they are in quarantine.
    """

    pipeline: Pipeline
    method: Method
    pairs: PairSet
    tasks: Tasks
    dimension: int | None
    quarantined: Quarantined


def prepare(
    workspace: Workspace, pipeline: Pipeline, quarantined: Quarantined | None = None
) -> Prepared:
    """Reads the tables and sees whether everything fits.

    Args:
        workspace: where the tables are.
        pipeline: the settings.
        quarantined: the videos in quarantine that are left out; None for all of them.

    Raises:
        SumlError: a table is missing or does not fit.
    """
    method = components.load("losses", pipeline.loss.name)(**pipeline.loss.options)
    chosen = pairs.choose(workspace, pipeline.data, method.uses_tpv)
    pipeline = as_started(replace(pipeline, data=chosen))
    if pipeline.encoders.init:
        workspace.find_weights(pipeline.encoders.init)
    pipeline = replace(pipeline, precision=resolved(pipeline.precision))
    packages(pipeline.log)
    two_view.check_input(pipeline)
    if quarantined is None:
        used = [chosen.fpv, *chosen.tpv] if method.uses_tpv else [chosen.fpv]
        quarantined = quarantine.now(workspace, used)
    pair_set = pairs.load(workspace, pipeline.data, method.uses_tpv, quarantined, pipeline)
    _say_which_stores_are_small(pair_set, pipeline.input.short_side[1])
    tasks = {"fpv": fpv_tasks(pair_set.fpv.vocabularies)}
    dimension = None
    if pair_set.tpv is not None:
        tasks["tpv"] = tpv_tasks(pair_set.tpv.vocabularies)
        dimension = stages.projection_size(pipeline, method, pair_set.d_f.shape[1])
    return Prepared(pipeline, method, pair_set, tasks, dimension, quarantined)


def _say_which_stores_are_small(pair_set: PairSet, short_side: int) -> None:
    """Stores of fewer pixels than training wants of the videos, which have more."""
    sets = [pair_set.fpv, *([pair_set.tpv] if pair_set.tpv else [])]
    scaled = {name: side for one in sets for name, side in one.scaled_down.items()}
    small = {name: side for name, side in scaled.items() if side + 1 < short_side}
    if small:
        console.note(
            f"frames are scaled up: training takes a short side of up to {short_side} pixels, and "
            f"the stores have {', '.join(f'{side} ({name})' for name, side in small.items())}; "
            f"`sumlctl decode {' '.join(small)} --short-side {short_side}` keeps more"
        )
