"""The small world with two trained runs: `sum-l`, and `fpv-only` to show beside it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import polars as pl

from sumlctl import config, tables
from sumlctl.learning.training.train import train
from sumlctl.workspace import Workspace
from tests.unit.learning import small_world


def build(root: Path, epochs: int = 12) -> Workspace:
    """Videos, tables and both runs under `root`."""
    world = Workspace(root)
    small_world.build(world)
    for method, options in (("sum-l", ["loss.w_aw=0.5", "loss.w_m=0.5"]), ("fpv-only", [])):
        settings = [f"loss.name={method}", f"stage_two.epochs={epochs}", *options]
        train(world, config.load(world.pipelines / "small.toml", settings), method)
    return world


def copy(world: Workspace, root: Path) -> Workspace:
    """The same to do damage to: tables and videos of its own."""
    shutil.copytree(world.root, root)
    copied = Workspace(root)
    for dataset in ("ego", "exo"):
        small_world.write_videos_table(copied, dataset, copied.data(dataset, "videos"))
    return copied


def rewrite(world: Workspace, dataset: str, verbs: list[list[str]] | None = None, **columns: Any):
    """Replaces columns of a clips table, or the words of its verbs."""
    path = world.table(dataset, "clips")
    rows = pl.DataFrame(tables.read(path, "clips")).with_columns(**columns)
    vocabulary = small_world.VOCABULARY | ({"verbs": verbs} if verbs else {})
    extra = {"vocabulary": vocabulary}
    tables.write(rows.to_arrow(), path, "clips", inputs={}, config={}, extra=extra)
