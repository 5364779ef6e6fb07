"""`sumlctl train`: stage one (TPV alone), then stage two (Eq. 12)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from sumlctl import components, console, settings, tables
from sumlctl.config import Pipeline, Stage
from sumlctl.errors import SumlError
from sumlctl.learning import checkpoints, pairs
from sumlctl.learning.batches import Batch, ClipReader, EpochBatches, Samples, Side, loader
from sumlctl.learning.clips import ClipSet
from sumlctl.learning.losses.terms import Method, Outputs, Term
from sumlctl.learning.pairs import PairSet
from sumlctl.learning.tasks import Task, fpv_tasks, total_loss, tpv_tasks
from sumlctl.learning.trainer import RunLog, StageTrainer, Terms
from sumlctl.learning.transforms import Augmentation
from sumlctl.learning.two_view import Branch, TwoView
from sumlctl.workspace import Workspace


def train(workspace: Workspace, pipeline: Pipeline, run: str | None = None) -> Path:
    """Trains both stages and keeps everything under `runs/<run>`.

    Args:
        workspace: where the tables are and the run goes.
        pipeline: the settings; what its `data` leaves empty comes from the newest pairs table.
        run: name of the run; default `<fpv>.<method>`, numbered where that is taken.

    Returns:
        The run's folder.

    Raises:
        SumlError: a table does not fit, the run exists, or the loss is no longer finite.
    """
    pipeline = replace(pipeline, data=pairs.choose(workspace, pipeline.data))
    method = components.load("losses", pipeline.loss.name)(**pipeline.loss.options)
    fabric = launch(pipeline.devices, pipeline.precision)
    pair_set = pairs.load(workspace, pipeline.data, method.uses_tpv)
    tasks = _tasks(pair_set)
    folder = Path(fabric.broadcast(str(_claim(workspace, pipeline, run, fabric))))
    trained = _Run(pipeline, fabric, folder, tasks)
    if pair_set.tpv is not None:
        trained.stage_one(pair_set.tpv)
    trained.stage_two(method, pair_set)
    return folder


def _tasks(pair_set: PairSet) -> dict[str, list[Task]]:
    """The heads' tasks by viewpoint."""
    tasks = {"fpv": fpv_tasks(pair_set.fpv.vocabularies)}
    if pair_set.tpv is not None:
        tasks["tpv"] = tpv_tasks(pair_set.tpv.vocabularies)
    return tasks


def launch(devices: int, precision: str) -> Fabric:
    """Devices and precision; `auto` is bf16-mixed where a GPU has it, else 32-true."""
    if precision == "auto":
        bf16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
        precision = "bf16-mixed" if bf16 else "32-true"
    fabric = Fabric(devices=devices, precision=precision)  # type: ignore[arg-type]
    fabric.launch()
    return fabric


def _claim(workspace: Workspace, pipeline: Pipeline, run: str | None, fabric: Fabric) -> Path:
    """The run's folder, with its pipeline written; other processes hear of it from the first."""
    if not fabric.is_global_zero:
        return workspace.root
    name = f"{pipeline.data.fpv}.{pipeline.loss.name}"
    if run is not None and not re.fullmatch(r"\w[\w.+-]*", run):
        what = "not a name for a folder"
        raise SumlError("--run", what, got=repr(run), expected="one word", fix="Choose another.")
    folder, number = workspace.run(run or name), 1
    while folder.exists() and run is None:
        number += 1
        folder = workspace.run(f"{name}.{number}")
    if any(folder.glob("checkpoints/*")):
        raise SumlError(
            folder,
            "the run exists",
            got="checkpoints of an earlier training",
            expected="a new name",
            fix="Choose another --run or delete the folder.",
        )
    with tables.whole_file(folder / "pipeline.toml") as beside:
        beside.write_text(settings.dump(pipeline), encoding="utf-8")
    (folder / "log.jsonl").write_text("", encoding="utf-8")
    console.note(f"run: {workspace.relative(folder)}")
    return folder


class _Run:
    """What both stages of one run share."""

    def __init__(
        self,
        pipeline: Pipeline,
        fabric: Fabric,
        folder: Path,
        tasks: Mapping[str, Sequence[Task]],
    ) -> None:
        self.pipeline, self.fabric, self.folder, self.tasks = pipeline, fabric, folder, tasks
        self.log = RunLog(folder / "log.jsonl", fabric.is_global_zero)
        self.augment = Augmentation(pipeline.input, pipeline.seed, fabric.global_rank)
        room = pipeline.cache_mb * 2**20
        self.reader = ClipReader(pipeline.input.short_side[1], room)

    def stage_one(self, tpv: ClipSet) -> None:
        """TPV encoder and head on L_t alone, over all TPV training clips."""
        tasks = self.tasks["tpv"]
        side = _side(tpv, np.arange(len(tpv)), tasks)

        def terms(module: nn.Module, batch: Batch, epoch: int, step: int) -> Mapping[str, Term]:
            seen = module(self.augment(batch, ["tpv"], epoch, step))
            loss = total_loss(tasks, seen["tpv"].logits, batch["tpv"]["targets"])
            return {"l_t": Term(1.0, loss)}

        torch.manual_seed(self.pipeline.seed)
        model = TwoView({"tpv": self._branch(tasks, None)})
        self._train("stage_one", model, {"tpv": tasks}, {"tpv": side}, {}, terms)

    def stage_two(self, method: Method, pair_set: PairSet) -> None:
        """The whole model on the method's loss; TPV starts from stage one."""
        tasks = self.tasks
        sides = {"fpv": _side(pair_set.fpv, pair_set.fpv_rows, tasks["fpv"])}
        vectors: dict[str, np.ndarray] = {}
        if pair_set.tpv is not None:
            sides["tpv"] = _side(pair_set.tpv, pair_set.tpv_rows, tasks["tpv"])
            vectors = {"d_f": pair_set.d_f, "d_t": pair_set.d_t}

        def terms(module: nn.Module, batch: Batch, epoch: int, step: int) -> Mapping[str, Term]:
            seen = module(self.augment(batch, list(tasks), epoch, step))
            losses = {
                f"l_{viewpoint[0]}": total_loss(
                    tasks[viewpoint], s.logits, batch[viewpoint]["targets"]
                )
                for viewpoint, s in seen.items()
            }
            features = {f"z_{viewpoint[0]}": s.z for viewpoint, s in seen.items()}
            return method(Outputs(**losses, **features, **batch["vectors"]))

        torch.manual_seed(self.pipeline.seed)
        dimension = pair_set.d_f.shape[1] if pair_set.tpv is not None else None
        model = TwoView({viewpoint: self._branch(t, dimension) for viewpoint, t in tasks.items()})
        if pair_set.tpv is not None:
            before = self.folder / "checkpoints" / "stage_one.pt"
            coverage = checkpoints.load_weights(TwoView({"tpv": model["tpv"]}), before)
            coverage.require(before, apart_from="tpv.projection")
        self._train("stage_two", model, tasks, sides, vectors, terms)

    def _branch(self, tasks: Sequence[Task], dimension: int | None) -> Branch:
        return Branch(self.pipeline.backbone, tasks, self.pipeline.head.dropout, dimension)

    def _train(
        self,
        name: str,
        model: nn.Module,
        tasks: Mapping[str, Sequence[Task]],
        sides: Mapping[str, Side],
        vectors: Mapping[str, np.ndarray],
        terms: Terms,
    ) -> None:
        p, world_size = self.pipeline, self.fabric.world_size
        stage: Stage = getattr(p, name)
        samples = Samples(sides, vectors, self.reader, p.input.frames, p.input.stride, p.seed)
        if len(samples) < 2 * world_size:
            raise SumlError(
                name,
                "too few clips to train on",
                got=len(samples),
                expected=f"at least 2 per device on {world_size} devices",
                fix="Lower --devices or index more videos.",
            )
        rank = self.fabric.global_rank
        batches = EpochBatches(len(samples), stage.batch_size, p.seed, rank, world_size)
        StageTrainer(
            name,
            self.fabric,
            model.to(memory_format=torch.channels_last_3d),
            batches,
            loader(samples, batches, p.workers),
            terms,
            stage,
            p.optimiser,
            self.log,
            p.log_every,
            self._saver(name, model, tasks),
        ).fit()

    def _saver(
        self, name: str, model: nn.Module, tasks: Mapping[str, Sequence[Task]]
    ) -> Callable[[int], None]:
        """Writes `checkpoints/<stage>.pt`, from the first process."""
        record: dict[str, Any] = {
            "stage": name,
            "pipeline": asdict(self.pipeline),
            "tasks": {
                viewpoint: [t.describe() for t in listed] for viewpoint, listed in tasks.items()
            },
        }

        def save(epochs: int) -> None:
            if self.fabric.is_global_zero:
                path = self.folder / "checkpoints" / f"{name}.pt"
                checkpoints.save(path, model, {**record, "epochs": epochs})
            self.fabric.barrier()

        return save


def _side(clip_set: ClipSet, rows: np.ndarray, tasks: Sequence[Task]) -> Side:
    return Side(clip_set.clips, rows, {task.name: task.targets(clip_set.rows) for task in tasks})
