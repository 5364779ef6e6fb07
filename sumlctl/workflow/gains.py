"""What the groups of a sweep gain over one of them, over seeds and test videos."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from sumlctl import console, tables
from sumlctl.errors import SumlError, nearest_names
from sumlctl.evaluation import seed_gains
from sumlctl.evaluation.evaluate import predictions_of
from sumlctl.evaluation.protocols.context import Context
from sumlctl.evaluation.seed_gains import Group
from sumlctl.mining.similarity import distribution
from sumlctl.workflow import results
from sumlctl.workflow.recipe import Cell, Recipe
from sumlctl.workspace import Workspace


def gather(recipe: Recipe, workspace: Workspace, against: str) -> list[Group]:
    """Compares each group of a sweep with one of them; those with too few seeds are named.

    Args:
        recipe: the sweep.
        workspace: where its runs are.
        against: label of the group to compare with.

    Returns:
        The groups in the order of the sweep, without the one compared with.

    Raises:
        SumlError: no such group, or no other group has two seeds in common with it.
    """
    groups: dict[str, list[Cell]] = {}
    for cell in recipe.cells:
        groups.setdefault(cell.group, []).append(cell)
    if against not in groups:
        near = nearest_names(against, groups) or list(groups)
        raise SumlError(
            recipe.path,
            "no such group of cells",
            got=against,
            expected=", ".join(near),
            fix="Name one of them with --against.",
        )
    first = _predictions(groups.pop(against), workspace)
    found = []
    for name, cells in groups.items():
        second = _predictions(cells, workspace)
        common = first.keys() & second.keys()
        if len(common) < 2:
            console.warn(f"{name} is left out: {len(common)} of its seeds evaluated as {against}'s")
            continue
        gains = seed_gains.gains(first, second, *_measured(cells[0], workspace))
        found.append(Group(name, _setup(cells[0]), _similarity(cells[0], workspace), gains))
    if not found:
        raise SumlError(
            recipe.path,
            "nothing to compare",
            got=f"no group with two seeds evaluated as {against}'s",
            expected="a sweep over seeds",
            fix=f"Run `sumlctl run {recipe.name}` first.",
        )
    return found


def _predictions(cells: Sequence[Cell], workspace: Workspace) -> dict[int, pl.DataFrame]:
    """Seed -> predictions, of the cells that are evaluated."""
    return {
        int(cell.raw.get("seed", 0)): predictions_of(workspace, cell.run)
        for cell in cells
        if results.metrics_of(workspace, cell).is_file()
    }


def _measured(cell: Cell, workspace: Workspace) -> tuple[str, Context]:
    """The protocol and the clips by which a cell was measured."""
    path = results.metrics_of(workspace, cell)
    metrics = tables.read(path, "metrics")
    protocol = tables.made_with(path, "metrics", metrics, "protocol")["protocol"]
    data = cell.data
    return protocol, Context.load(workspace, data.fpv, data.eval_split, allow_missing=True)


def _setup(cell: Cell) -> str:
    """A group's label without the name that the sweep gives to its third-person pool."""
    pool = "+".join(cell.data.tpv)
    return cell.group.replace(f"{pool}.", "").replace(f".{pool}", "")


def _similarity(cell: Cell, workspace: Workspace) -> float | None:
    if not cell.uses_tpv:
        return None
    path = workspace.pairs(cell.data.fpv, cell.data.tpv)
    return distribution(path, workspace, by="clip").mean
