"""How good a model is between two epochs of its training."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
from lightning_fabric import Fabric
from torch import nn

from sumlctl import console
from sumlctl.config import Pipeline, registry
from sumlctl.errors import SumlError
from sumlctl.evaluation.predict import predict
from sumlctl.evaluation.views import Views
from sumlctl.learning.data import clips
from sumlctl.learning.data.reader import Reader
from sumlctl.learning.tasks import fpv_tasks
from sumlctl.learning.training.trainer import Validate
from sumlctl.workspace import Workspace


def validator(workspace: Workspace, pipeline: Pipeline, reader: Reader) -> Validate | None:
    """What measures the first-person branch on the evaluation split, in one view per clip.

    Returns:
        From a model to top-1 accuracy, or mAP, by task; None, with a warning, where the split has
        no clips that decode, or where the pipeline asks for no validation.
    """
    data = pipeline.data
    if not pipeline.checkpoints.validate_every:
        return None
    try:
        clip_set = clips.load(workspace, [data.fpv], "fpv", data.eval_split, pipeline=pipeline)
    except SumlError as error:
        console.warn(f"no validation, and so no best.pt: {error}")
        return None
    tasks = fpv_tasks(clip_set.vocabularies)

    def validate(model: nn.Module, fabric: Fabric) -> Mapping[str, float]:
        predictions = predict(model, fabric, clip_set, tasks, pipeline, Views(1, 1), reader)
        return {task.name: _score(predictions, task.name, task.exclusive) for task in tasks}

    return validate


def _score(predictions: pl.DataFrame, task: str, exclusive: bool) -> float:
    score = registry.load("protocols", "top-k" if exclusive else "multi-label")
    (first, *_) = score(predictions.filter(pl.col("task") == task))
    return float(first["value"])
