"""The pipelines that there are: what they are for, what is missing to run them, all they say."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sumlctl import config
from sumlctl.config import dataset as cards
from sumlctl.config import parsing, shipped
from sumlctl.errors import SumlError
from sumlctl.workflow import data_steps, matrix, recipe, step_options
from sumlctl.workflow.recipe import Recipe
from sumlctl.workspace import Workspace

_GENERATED = "synthetic"  # the reader that makes its own data
_SEEING = {"train", "eval", "cam"}  # steps that look at videos


@dataclass(frozen=True)
class Entry:
    """A pipeline in the list.

    Args:
        table: of the paper.
        name: the pipeline's.
        title: what it is.
        missing: what to get before it can run.
        numbers: what the paper reports, group of cells -> metric -> per cent.
        file: its TOML.
    """

    table: str
    name: str
    title: str
    missing: list[str]
    numbers: dict[str, dict[str, float]]
    file: str


def entries(workspace: Workspace) -> list[Entry]:
    """All pipelines, by table of the paper; a file with faults is listed with them."""
    found = shipped.available("pipelines", workspace.pipelines)
    listed = [_entry(name, path, workspace) for name, path in found.items()]
    return sorted(listed, key=_place)


def _place(entry: Entry) -> tuple[bool, bool, str, str]:
    """Tables, figures, then what belongs to neither."""
    is_figure = not entry.table.startswith("Table")
    return not entry.table, is_figure, entry.table, entry.name


def _entry(name: str, path: Path, workspace: Workspace) -> Entry:
    try:
        found = recipe.read(name, workspace)
        absent = missing(found, workspace)
    except SumlError as error:
        return Entry("", name, "", [str(error)], {}, str(path))
    groups = {cell.group for cell in found.cells}
    numbers = {g: dict(row) for g, row in found.paper.numbers.items() if g in groups}
    return Entry(found.paper.table, name, found.title, absent, numbers, str(path))


def missing(recipe: Recipe, workspace: Workspace) -> list[str]:
    """What a pipeline lacks: names of datasets, annotations, videos, weights.

    Returns:
        Such as `ek55 annotations and videos`; of one that leaves its datasets open, that it does.
    """
    told = [f"{key} to be named" for key in recipe.unnamed]
    datasets = dict.fromkeys(name for cell in recipe.cells for name in cell.datasets)
    sees = bool(_SEEING & set(recipe.steps))
    for name in datasets:
        if absent := list(_missing_data(name, workspace, sees)):
            told.append(f"{name} {' and '.join(absent)}")
    if "train" in recipe.steps:
        files = dict.fromkeys(cell.init for cell in recipe.cells if cell.init)
        told += [f"weights {name}" for name in files if not workspace.weights(name).is_file()]
    return told


def _missing_data(dataset: str, workspace: Workspace, sees: bool) -> Iterator[str]:
    if cards.load(dataset, workspace).reader == _GENERATED:
        return
    indexed = workspace.table(dataset, "clips").is_file()
    if not indexed and not workspace.data(dataset, "annotations").is_dir():
        yield "annotations"
    named = data_steps.recorded_folders(workspace, dataset)
    videos = named.get("videos", workspace.data(dataset, "videos"))
    if sees and not (videos.is_dir() and any(videos.iterdir())):
        yield "videos"


def resolved(name: str, workspace: Workspace) -> str:
    """A pipeline with every setting written out, under the comment that its file opens with.

    Raises:
        SumlError: no such pipeline, or it has faults.
    """
    path = shipped.find("pipelines", name, workspace.pipelines)
    faults: list[str] = []
    raw = config.read(path, faults, own=workspace.pipelines)
    pipeline = config.checked(path, raw, faults)
    said = step_options.said(raw, faults)
    blocks = matrix.blocks(raw.get("matrix", []), faults)
    paper = step_options.paper(raw.get("paper", {}), faults)
    config.refuse(path, faults)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    comment = "".join(itertools.takewhile(lambda line: line.startswith("#"), lines))
    sections = [comment, parsing.dump(said, pipeline)]
    if paper.table:
        sections.append(parsing.section("[paper]", {"table": paper.table}))
        numbers = {parsing.toml(group): dict(row) for group, row in paper.numbers.items()}
        sections.append(parsing.section("[paper.numbers]", numbers))
    sections += [parsing.section("[[matrix]]", matrix.said(block)) for block in blocks]
    return "\n".join(sections)
