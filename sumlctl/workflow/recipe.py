"""A pipeline as `sumlctl run` reads it: its steps, its cells, and what the paper reports.

Nothing here imports torch, so that a pipeline with nothing to do says so at once; `Cell.pipeline`
checks the settings of the training, which does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sumlctl import config
from sumlctl.config import Pipeline, parsing, registry, shipped
from sumlctl.config.sections import Data, Evaluation
from sumlctl.errors import SumlError
from sumlctl.workflow import matrix, step_options
from sumlctl.workflow.step_options import STEPS, Paper, StepOptions
from sumlctl.workspace import Workspace

# The one method that looks at no third-person clip; the others are not asked, since losses
# import torch.
_ALONE = "fpv-only"


@dataclass(frozen=True)
class Cell:
    """One run of a pipeline: the pipeline itself, or one cell of its matrix.

    Args:
        label: tells it from the others.
        group: the same without the seed; figures of a group are averaged.
        run: name of its run.
        values: what the matrix says of it, by dotted key.
        overrides: the same and `--set`, as `train` takes them.
        path: the pipeline's file.
        raw: all its settings, as they were said.
        said: what they say for `run` alone.
        data: the datasets.
        evaluation: how it is evaluated.
    """

    label: str
    group: str
    run: str
    values: Mapping[str, Any]
    overrides: tuple[str, ...]
    path: Path
    raw: Mapping[str, Any]
    said: StepOptions
    data: Data
    evaluation: Evaluation

    @property
    def uses_tpv(self) -> bool:
        """Whether third-person clips matter to it."""
        return registry.fold(_method(self.raw)) != registry.fold(_ALONE)

    @property
    def datasets(self) -> list[str]:
        """The datasets that it reads."""
        named = [self.data.fpv, *(self.data.tpv if self.uses_tpv else ())]
        return [name for name in dict.fromkeys(named) if name]

    @property
    def init(self) -> str:
        """The file of pretrained weights that it names."""
        encoders = self.raw.get("encoders", {})
        return str(encoders.get("init", "")) if isinstance(encoders, dict) else ""

    @cached_property
    def pipeline(self) -> Pipeline:
        """All its settings, checked; imports torch.

        Raises:
            SumlError: some are wrong.
        """
        faults: list[str] = []
        try:
            return config.checked(self.path, self.raw, faults)
        except SumlError as error:
            if not self.values:
                raise
            where = f"{self.path}, {self.label}"
            raise SumlError(
                where, error.what, got=error.got, expected=error.expected, fix=error.fix
            ) from error


@dataclass(frozen=True)
class Recipe:
    """A pipeline and its cells.

    Args:
        name: of the pipeline.
        path: its file.
        title: what it is, in one line.
        steps: the kinds of its steps, in the order of `STEPS`.
        cells: one, or those of its matrix.
        swept: whether it has a matrix.
        paper: what the paper reports.
    """

    name: str
    path: Path
    title: str
    steps: tuple[str, ...]
    cells: tuple[Cell, ...]
    swept: bool
    paper: Paper

    @property
    def unnamed(self) -> list[str]:
        """Settings that have to name datasets and do not."""
        sides = [("data.fpv", lambda cell: bool(cell.data.fpv))]
        sides += [("data.tpv", lambda cell: bool(cell.data.tpv) or not cell.uses_tpv)]
        return [key for key, named in sides if not all(map(named, self.cells))]


def read(name: str, workspace: Workspace, overrides: Sequence[str] = ()) -> Recipe:
    """Reads a pipeline for its steps.

    An override of what the matrix sweeps picks the cells with that value; one that no cell has
    takes the place of all.

    Args:
        name: of the pipeline.
        workspace: its pipelines shadow the shipped ones.
        overrides: `KEY=VALUE`, win over the file.

    Raises:
        SumlError: no such pipeline, or every fault of what matters to its steps.
    """
    path = shipped.find("pipelines", name, workspace.pipelines)
    faults: list[str] = []
    raw = config.read(path, faults, own=workspace.pipelines)
    blocks = matrix.blocks(raw.get("matrix", []), faults)
    reported = step_options.paper(raw.get("paper", {}), faults)
    config.refuse(path, faults)
    cells = []
    for values, common, parts in matrix.cells(blocks, overrides, faults):
        said = [*(f"{key}={parsing.toml(value)}" for key, value in values.items()), *common]
        cell_raw = config.read(path, faults, said, own=workspace.pipelines)
        method = _method(cell_raw)
        label = _joined(parts) or method
        group = _joined({key: text for key, text in parts.items() if key != "seed"}) or method
        parts_of_it = (step_options.said(cell_raw, faults), *_sections(cell_raw, faults))
        run = f"{name}.{label}" if blocks else name
        cells.append(Cell(label, group, run, values, tuple(said), path, cell_raw, *parts_of_it))
    config.refuse(path, list(dict.fromkeys(faults)))
    _check_cells(path, cells)
    asked = cells[0].said.steps
    steps = tuple(step for step in STEPS if step in asked)
    return Recipe(
        name, path, str(raw.get("title", "")), steps, tuple(cells), bool(blocks), reported
    )


def _joined(parts: Mapping[str, str]) -> str:
    return ".".join(parts.values())


def _method(raw: Mapping[str, Any]) -> str:
    loss = raw.get("loss", {})
    return str(loss.get("name", "sum-l")) if isinstance(loss, dict) else ""


def _sections(raw: Mapping[str, Any], faults: list[str]) -> Iterator[Any]:
    for key, section in (("data", Data), ("evaluation", Evaluation)):
        said = raw.get(key, {})  # where it is no section, the check of the whole tells so
        yield parsing.parse(section, said if isinstance(said, dict) else {}, faults, f"{key}.")


def _check_cells(path: Path, cells: Sequence[Cell]) -> None:
    faults = []
    labels = [cell.label for cell in cells]
    for label in dict.fromkeys(labels):
        if labels.count(label) > 1:
            faults.append(f"matrix: {labels.count(label)} cells are {label}")
    for cell in cells:
        against = cell.said.cam.against
        if against and against not in labels:
            faults.append(f"cam.against = {parsing.toml(against)} is no cell of the matrix")
    config.refuse(path, list(dict.fromkeys(faults)))
