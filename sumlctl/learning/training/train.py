"""`sumlctl train`: stage one (TPV alone), then stage two (Eq. 12)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from sumlctl import console
from sumlctl.config import Pipeline, parsing
from sumlctl.config.sections import Stage
from sumlctl.errors import WriteError
from sumlctl.jobs import locks
from sumlctl.learning import checkpoints, two_view
from sumlctl.learning.data.batches import EpochBatches, Loader
from sumlctl.learning.data.reader import Reader, open_reader
from sumlctl.learning.data.transforms import Augmentation
from sumlctl.learning.training import runs, stage_one, stages
from sumlctl.learning.training.launch import (
    check_restarts,
    launch,
    report_lost_peers,
    started_externally,
    with_launcher_world,
)
from sumlctl.learning.training.prepare import Prepared, check_size, prepare
from sumlctl.learning.training.quarantine import Quarantine
from sumlctl.learning.training.randomness import seed_everything
from sumlctl.learning.training.runlog import RunLog
from sumlctl.learning.training.runs import Begun
from sumlctl.learning.training.savepoints import CheckpointWriter, stage_of
from sumlctl.learning.training.stages import StageData, Tasks
from sumlctl.learning.training.trainer import StageTrainer, Terms, Validate
from sumlctl.learning.two_view import TwoView
from sumlctl.learning.weights.load import load_encoder
from sumlctl.workspace import Workspace

# Makes what measures a model between epochs; None where there is nothing to measure it on.
Validator = Callable[[Workspace, Pipeline, Reader], Validate | None]


def train(
    workspace: Workspace,
    pipeline: Pipeline,
    run: str | None = None,
    resume: str | None = None,
    validator: Validator | None = None,
) -> Path:
    """Trains both stages and keeps everything under `runs/<run>`.

    Args:
        workspace: where the tables are and the run goes.
        pipeline: the settings; what its `data` leaves empty comes from the newest pairs table.
        run: name of a new run; default `<fpv>.<method>`, numbered where that is taken. Under
            torchrun and srun, which start the same command again after a fault, a run of that
            name is gone on with.
        resume: name of a run to go on with instead.
        validator: measures the model between epochs of stage two.

    Returns:
        The run's folder.

    Raises:
        SumlError: a table or the settings do not fit, the run exists, or the training fails.
        Interrupted: a signal asked to stop; `resume` goes on from there.
    """
    started = with_launcher_world(pipeline)
    check_restarts(resume or run)
    if resume is None and run is not None and started_externally() and workspace.run(run).exists():
        resume = run
    with report_lost_peers(resume or run):
        fabric = launch(started.devices, pipeline.precision, started.nodes)
        return _train(workspace, fabric, pipeline, run, resume, validator)


def _train(
    workspace: Workspace,
    fabric: Fabric,
    pipeline: Pipeline,
    run: str | None,
    resume: str | None,
    validator: Validator | None,
) -> Path:
    # One process decides for all: others may see the folder late, or not at all.
    begun: Begun | None = None
    if fabric.is_global_zero and resume is not None:
        begun = runs.begun(workspace.find_run(resume, "--resume"))
    begun = fabric.broadcast(begun)
    prepared = prepare(workspace, pipeline, begun.quarantined if begun else None)
    agreed = fabric.broadcast(prepared.quarantined)
    if agreed != prepared.quarantined:  # another run marked a video just now
        prepared = prepare(workspace, pipeline, agreed)
    folder = workspace.root
    if fabric.is_global_zero and resume is not None:
        folder = runs.go_on(workspace, prepared.pipeline, resume, prepared.pairs.inputs)
    elif fabric.is_global_zero:
        inputs, without = prepared.pairs.inputs, prepared.quarantined
        folder = runs.claim(workspace, prepared.pipeline, run, inputs, without)
        console.note(parsing.dump(prepared.pipeline))
    folder = Path(fabric.broadcast(str(folder)))
    pipeline = prepared.pipeline
    if begun:
        pipeline = runs.with_the_same_steps(pipeline, begun.pipeline)
        prepared = replace(prepared, pipeline=pipeline)
    writing = locks.alone(workspace, f"train {folder.name}")
    with (
        writing if fabric.is_global_zero else nullcontext(),
        closing(RunLog(folder, fabric.is_global_zero, pipeline.log, asdict(pipeline))) as log,
        open_reader(workspace, pipeline) as reader,
    ):
        validate = validator(workspace, pipeline, reader) if validator else None
        began_as = begun.pipeline if begun else pipeline
        try:
            _Run(workspace, prepared, began_as, fabric, folder, log, reader, validate).train()
        except WriteError as error:
            again = f"go on with `sumlctl train --resume {folder.name}`"
            fix = error.fix.replace("run the same command again", again)
            told = {"got": error.got, "expected": error.expected, "fix": fix}
            raise WriteError(error.where, error.what, **told) from error
    return folder


class _Run:
    """Both stages of one run."""

    def __init__(
        self,
        workspace: Workspace,
        prepared: Prepared,
        began_as: Pipeline,
        fabric: Fabric,
        folder: Path,
        log: RunLog,
        reader: Reader,
        validate: Validate | None,
    ) -> None:
        self.workspace, self.prepared, self.fabric = workspace, prepared, fabric
        self.folder, self.log, self.reader, self.validate = folder, log, reader, validate
        self.pipeline, self.began_as, self.tasks = prepared.pipeline, began_as, prepared.tasks
        self.augment = Augmentation(self.pipeline.input, self.pipeline.seed, fabric.global_rank)

    def train(self) -> None:
        # One process decides for all: others may see the folder late, or not at all.
        done = self._checkpoint("stage_two").is_file()
        begun = stage_of(self.folder / "checkpoints") == "stage_two"
        done, begun = self.fabric.broadcast((done, begun))
        if done:
            console.note(f"{self.folder.name} is trained already")
            return
        uses_tpv = self.prepared.pairs.tpv is not None
        if uses_tpv and self.pipeline.encoders.stage_one and not begun:
            self._stage_one()
        self._stage_two(begun)

    def _checkpoint(self, stage: str) -> Path:
        return self.folder / "checkpoints" / f"{stage}.pt"

    def _stage_one(self) -> None:
        """TPV encoder and heads on L_t alone, unless that is done already."""
        path, prepared = self._checkpoint("stage_one"), self.prepared
        inputs, quarantined = prepared.pairs.inputs, prepared.quarantined
        key = stage_one.key(self.workspace, self.began_as, self.tasks["tpv"], inputs, quarantined)
        if self.fabric.is_global_zero and stage_one.key_of(path) != key:
            path.unlink(missing_ok=True)
            stage_one.reuse(self.workspace, key, path)
        if self.fabric.broadcast(path.is_file()):
            return
        tpv = prepared.pairs.tpv
        assert tpv is not None
        data = stages.stage_one_data(self.pipeline, tpv, self.tasks)
        model = self._model(data.tasks, None)
        terms = stages.stage_one_terms(self.augment, self.tasks["tpv"])
        self._fit("stage_one", self.pipeline.stage_one, model, data, terms, {"key": key})

    def _stage_two(self, begun: bool) -> None:
        """The whole model on the method's loss; the TPV side starts from stage one."""
        data = stages.stage_two_data(self.pipeline, self.prepared.pairs, self.tasks)
        model = self._model(self.tasks, self.prepared.dimension)
        if "tpv" in self.tasks and self.pipeline.encoders.stage_one and not begun:
            before = self._checkpoint("stage_one")
            coverage = checkpoints.load_weights(TwoView({"tpv": model["tpv"]}), before)
            coverage.require(before, apart_from="tpv.projection")
        if self.pipeline.encoders.tpv == "frozen" and "tpv" in self.tasks:
            model["tpv"].freeze()
        terms = stages.stage_two_terms(
            self.augment, self.tasks, self.prepared.method, self.pipeline.gather_negatives
        )
        self._fit("stage_two", self.pipeline.stage_two, model, data, terms, {})

    def _model(self, tasks: Tasks, dimension: int | None) -> TwoView:
        seed_everything(self.pipeline.seed)
        model = two_view.build(self.pipeline, tasks, dimension)
        same = not self.pipeline.encoders.stage_one
        if init := self.pipeline.encoders.init:
            weights = self.workspace.weights(init)
            for viewpoint in tasks:
                side = "fpv" if same else viewpoint
                coverage = load_encoder(model[viewpoint].encoder, weights, side)
                used, unused = len(coverage.loaded), len(coverage.unused)
                console.note(f"{viewpoint} encoder: {used} weights from {init}, {unused} unused")
        if same and "tpv" in tasks:
            model["tpv"].encoder.load_state_dict(model["fpv"].encoder.state_dict())
        if self.pipeline.compile:
            for viewpoint in tasks:
                model[viewpoint].encoder.compile()
        return model.to(memory_format=torch.channels_last_3d)

    def _fit(
        self,
        name: str,
        stage: Stage,
        model: TwoView,
        data: StageData,
        terms: Terms,
        record: dict[str, Any],
    ) -> None:
        world_size, rank = self.fabric.world_size, self.fabric.global_rank
        samples, seed = data.samples, self.pipeline.seed
        check_size(name, len(samples), world_size)
        group = self.pipeline.optimiser.accumulate
        batches = EpochBatches(len(samples), stage.batch_size, seed, rank, world_size, group)
        described = {v: [t.describe() for t in listed] for v, listed in data.tasks.items()}
        record = {
            "pipeline": asdict(self.pipeline),
            "tasks": described,
            "inputs": self.prepared.pairs.inputs,
            **record,
        }
        checkpoint_folder, kept = self.folder / "checkpoints", self.pipeline.checkpoints
        StageTrainer(
            stage,
            self.pipeline,
            self.fabric,
            model,
            batches,
            Loader(samples, batches, self.reader),
            terms,
            CheckpointWriter(self.fabric, checkpoint_folder, name, record, kept, batches.group),
            self.log,
            Quarantine(self.fabric, self.log, name, self.reader),
            self.validate if name == "stage_two" else None,
        ).fit()
