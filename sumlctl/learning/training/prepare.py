"""What a training needs, read and checked before it begins."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sumlctl import console
from sumlctl.config import Pipeline, registry
from sumlctl.errors import SumlError
from sumlctl.learning import two_view
from sumlctl.learning.data import pair_statistics, pairs
from sumlctl.learning.data.pair_statistics import PairStatistics
from sumlctl.learning.data.pairs import PairSet
from sumlctl.learning.losses.terms import Method
from sumlctl.learning.tasks import fpv_tasks, tpv_tasks
from sumlctl.learning.training import stages
from sumlctl.learning.training.launch import resolved, with_launcher_world
from sumlctl.learning.training.runlog import packages
from sumlctl.learning.training.stages import Tasks
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
        statistics: of the pairs; None for a method that has none.
    """

    pipeline: Pipeline
    method: Method
    pairs: PairSet
    tasks: Tasks
    dimension: int | None
    quarantined: Quarantined
    statistics: PairStatistics | None


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
    method = registry.load("losses", pipeline.loss.name)(**pipeline.loss.options)
    chosen = pairs.choose(workspace, pipeline.data, method.uses_tpv)
    pipeline = with_launcher_world(replace(pipeline, data=chosen))
    if pipeline.encoders.init:
        workspace.find_weights(pipeline.encoders.init)
    pipeline = replace(pipeline, precision=resolved(pipeline.precision))
    packages(pipeline.log)
    two_view.check_input(pipeline)
    if quarantined is None:
        used = [chosen.fpv, *chosen.tpv] if method.uses_tpv else [chosen.fpv]
        quarantined = quarantine.now(workspace, used)
    pair_set = pairs.load(workspace, pipeline.data, method.uses_tpv, quarantined, pipeline)
    processes = pipeline.devices * pipeline.nodes
    if pair_set.tpv is not None and pipeline.encoders.stage_one:
        check_size("stage_one", len(pair_set.tpv), processes)
    check_size("stage_two", len(pair_set.fpv_rows), processes)
    _say_which_stores_are_small(pair_set, pipeline.input.short_side[1])
    tasks = {"fpv": fpv_tasks(pair_set.fpv.vocabularies)}
    dimension = None
    if pair_set.tpv is not None:
        tasks["tpv"] = tpv_tasks(pair_set.tpv.vocabularies)
        dimension = stages.projection_size(pipeline, method, pair_set.d_f.shape[1])
    statistics = pair_statistics.count(pair_set, pipeline, method)
    if statistics:
        _describe(statistics)
    return Prepared(pipeline, method, pair_set, tasks, dimension, quarantined, statistics)


def _describe(statistics: PairStatistics) -> None:
    for sentence in statistics.describe():
        console.note(sentence)
    if statistics.rarely_aligned:
        console.warn(
            "the usual batch has fewer than two pairs above the threshold, and so no cross-view "
            "loss: lower loss.threshold or raise stage_two.batch_size"
        )


def check_size(stage: str, clips: int, processes: int) -> None:
    """Insists that every process has clips to compare: a contrast needs two.

    Raises:
        SumlError: there are fewer.
    """
    if clips < 2 * processes:
        raise SumlError(
            stage,
            "too few clips to train on",
            got=clips,
            expected=f"at least 2 per device on {processes} devices",
            fix="Lower --devices or index more videos.",
        )


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
