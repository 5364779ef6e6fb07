"""The steps of a pipeline in the order in which they are done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from sumlctl.config import FOR_RUN, Pipeline, parsing
from sumlctl.config.sections import Data
from sumlctl.errors import SumlError
from sumlctl.mining.options import KEEP_ALL
from sumlctl.narrations import choose
from sumlctl.workflow import data_steps, records, run_steps
from sumlctl.workflow.recipe import Cell, Recipe
from sumlctl.workflow.step import Step
from sumlctl.workspace import Workspace, inside


@dataclass(frozen=True)
class Planned:
    """A step and whose it is.

    Args:
        step: the step.
        cell: the one cell that needs it; None for what several share.
        after: names of the steps whose outputs it reads.
    """

    step: Step
    cell: Cell | None
    after: tuple[str, ...] = ()


def plan(recipe: Recipe, workspace: Workspace) -> list[Planned]:
    """All steps, each after those whose outputs it reads, cell by cell.

    Raises:
        SumlError: datasets are not named, cells want different things of one step, or steps wait
            for each other.
    """
    if recipe.unnamed:
        raise SumlError(
            recipe.path,
            "the pipeline leaves its datasets open",
            got=f"no {' and no '.join(recipe.unnamed)}",
            expected="names of datasets",
            fix="Add `--set data.fpv=NAME --set 'data.tpv=[\"NAME\"]'`.",
        )
    wanted: dict[str, Planned] = {}
    for cell, step in _wanted(recipe, workspace):
        known = wanted.get(step.name)
        if known is None:
            wanted[step.name] = Planned(step, cell)
        elif known.step.words != step.words:
            raise SumlError(
                recipe.path,
                f"cells of the matrix disagree about {step.name}",
                got=" and ".join(_unlike(known.step.words, step.words)),
                expected="one way for all cells, since they share its table",
                fix="Sweep them in pipelines of their own.",
            )
        elif known.cell is not cell:
            wanted[step.name] = replace(known, cell=None)
    return _ordered(recipe, wanted)


def _unlike(one: Sequence[str], other: Sequence[str]) -> list[str]:
    both = ((one, other), (other, one))
    return [" ".join(word for word in words if word not in rest) for words, rest in both]


def _wanted(recipe: Recipe, workspace: Workspace) -> Iterator[tuple[Cell | None, Step]]:
    data = {cell.label: _data(cell, workspace) for cell in recipe.cells}
    for cell in recipe.cells:
        yield from ((cell, step) for step in _tables(recipe, cell, data[cell.label], workspace))
    if "histogram" in recipe.steps:
        yield None, _histogram(recipe, data, workspace)
    for cell in recipe.cells:
        yield from ((cell, step) for step in _runs(recipe, cell, data[cell.label], workspace))
    if "cam" in recipe.steps:
        yield from _cams(recipe, data, workspace)
    if "report" in recipe.steps:
        *others, last = recipe.cells  # its page shows some of the others beside it
        seen, runs = _looked_at(last, data[last.label]), [cell.run for cell in others]
        yield last, run_steps.report(workspace, last.run, seen, runs)


def _data(cell: Cell, workspace: Workspace) -> Data:
    """A cell's datasets with the encoder that serves; a method without pairs needs none."""
    data = cell.data
    return replace(data, encoder=_encoder(cell, workspace)) if cell.uses_tpv else data


def _encoder(cell: Cell, workspace: Workspace) -> str:
    """The one named, else the default one of those with vectors here, else what `embed` takes."""
    if cell.data.encoder:
        return cell.data.encoder
    for name in (choose.DEFAULT, choose.PACKAGED):
        if all(workspace.narrations(dataset, name).is_file() for dataset in cell.datasets):
            return name
    return choose.expected()


def _tables(recipe: Recipe, cell: Cell, data: Data, workspace: Workspace) -> Iterator[Step]:
    datasets = dict.fromkeys(cell.datasets)
    if "index" in recipe.steps:
        yield from (_index(workspace, name) for name in datasets)
    if "decode" in recipe.steps:
        yield from (_decode(cell, workspace, name) for name in datasets)
    if not cell.uses_tpv:
        return
    if "embed" in recipe.steps:
        yield from (_embed(workspace, name, data.encoder) for name in datasets)
    if "mine-pairs" in recipe.steps:
        mining = cell.said.mining
        chosen = vars(mining) | {"split": data.train_split, "match": data.match}
        if mining.min_similarity <= KEEP_ALL:
            del chosen["min_similarity"]
        if mining.index == "exact":
            del chosen["recall"]  # of no consequence
        name = Path(data.encoder).name
        yield data_steps.mine_pairs(workspace, data.fpv, data.tpv, name, chosen)


def _index(workspace: Workspace, dataset: str) -> Step:
    """As it was done before, where somebody named other folders or options by hand."""
    before = records.read(workspace.receipt("index", dataset))
    bad_rows = str(before.settings.get("bad_rows", "drop")) if before else "drop"
    folders = data_steps.recorded_folders(workspace, dataset)
    return data_steps.index(workspace, dataset, **folders, bad_rows=bad_rows)


def _embed(workspace: Workspace, dataset: str, encoder: str) -> Step:
    """With the prompt of before, where somebody chose one by hand."""
    before = records.read(data_steps.embed(workspace, dataset, encoder).receipt)
    prompt_name = before.settings.get("prompt_name") if before else None
    return data_steps.embed(workspace, dataset, encoder, prompt_name)


def _decode(cell: Cell, workspace: Workspace, dataset: str) -> Step:
    """As the pipeline says; if it does not, as it was done before by hand."""
    before = records.read(workspace.receipt("decode", dataset))
    by_hand = before.settings if before and "decode" not in cell.raw else {}
    return data_steps.decode(workspace, dataset, vars(cell.said.decode) | by_hand)


def _histogram(recipe: Recipe, data: Mapping[str, Data], workspace: Workspace) -> Step:
    paired = [data[cell.label] for cell in recipe.cells if cell.uses_tpv]
    if not paired:
        raise SumlError(
            recipe.path,
            "histogram without pairs",
            got="no method that uses third-person clips",
            expected="pairs to draw",
            fix="Leave the step out.",
        )
    tables = dict.fromkeys(workspace.pairs(d.fpv, d.tpv) for d in paired)
    drawn = recipe.cells[0].said.histogram
    named = drawn.out or f"figures/{recipe.name}.png"
    out = inside(workspace.root, named, f"{recipe.path}: histogram.out")
    return data_steps.histogram(workspace, [*tables], out, drawn.by, drawn.class_stat)


def _runs(recipe: Recipe, cell: Cell, data: Data, workspace: Workspace) -> Iterator[Step]:
    if "train" in recipe.steps:
        named = replace(data, encoder=Path(data.encoder).name)
        overrides = list(cell.overrides)
        if named.encoder != data.encoder:  # a folder; tables know it by its name
            overrides.append(f"data.encoder={parsing.toml(named.encoder)}")
        sets = [word for text in overrides for word in ("--set", text)]
        yield run_steps.train(
            workspace,
            cell.run,
            named,
            ("train", recipe.name, "--run", cell.run, *sets),
            lambda: parsing.flat(replace(cell.pipeline, data=named)),
            uses_tpv=cell.uses_tpv,
            init=cell.init,
            asked=_asked(cell),
        )
    if "eval" in recipe.steps:
        seen = cell.evaluation
        views = f"{seen.temporal_views}x{seen.spatial_views}"
        yield run_steps.evaluate(workspace, cell.run, data.fpv, views)


def _asked(cell: Cell) -> str:
    """A digest of what a pipeline says that matters to its training."""
    aside = {*FOR_RUN, *(f.name for f in fields(Pipeline) if f.metadata.get("neutral"))}
    said = {key: value for key, value in cell.raw.items() if key not in aside}
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


def _cams(
    recipe: Recipe, data: Mapping[str, Data], workspace: Workspace
) -> Iterator[tuple[Cell, Step]]:
    runs = {cell.label: cell.run for cell in recipe.cells}
    for cell in recipe.cells:
        drawn = cell.said.cam
        if cell.label != drawn.against:
            chosen: dict[str, Any] = vars(drawn) | {"against": runs.get(drawn.against)}
            used = _looked_at(cell, data[cell.label])
            yield cell, run_steps.cam(workspace, cell.run, used, chosen)


def _looked_at(cell: Cell, data: Data) -> Data:
    return data if cell.uses_tpv else replace(data, tpv=[])


def _ordered(recipe: Recipe, wanted: Mapping[str, Planned]) -> list[Planned]:
    """In the order given, but each after those whose outputs are its inputs."""
    makers = {path: name for name, one in wanted.items() for path in one.step.outputs}
    ordered: dict[str, Planned] = {}

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise SumlError(
                recipe.path,
                "steps wait for each other",
                got=" → ".join([*above[above.index(name) :], name]),
                expected="no step that reads what it or a later one writes",
                fix="Correct what the first of them reads, such as encoders.init.",
            )
        if name not in ordered:
            reads = [makers[path] for path in wanted[name].step.inputs if path in makers]
            after = tuple(dict.fromkeys(reads))
            for earlier in after:
                visit(earlier, (*above, name))
            ordered[name] = replace(wanted[name], after=after)

    for name in wanted:
        visit(name, ())
    return [*ordered.values()]
