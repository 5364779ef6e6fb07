"""The datasets: what they are, what was expected of them and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from sumlctl import tables
from sumlctl.config import dataset
from sumlctl.config.dataset import DatasetConfig
from sumlctl.datasets import index
from sumlctl.errors import SumlError
from sumlctl.workspace import Workspace

_MOST_NAMED = 30  # unreadable videos that are listed


def gather(workspace: Workspace, names: Sequence[str]) -> list[dict[str, Any]]:
    """One record per dataset.

    Args:
        workspace: where the tables are.
        names: the datasets.

    Returns:
        name, title, homepage, licence and citation (None without a card), reader, classes (label
        kind -> number), splits (as `index` tells them), videos (status -> number), hours of video,
        and unreadable (the first of them with their faults).

    Raises:
        SumlError: a table is missing or damaged.
    """
    return [_dataset(workspace, name) for name in names]


def _dataset(workspace: Workspace, name: str) -> dict[str, Any]:
    table = tables.read(workspace.table(name, "clips"), "clips")
    clips = pl.DataFrame(pl.from_arrow(table))
    videos = pl.DataFrame(pl.from_arrow(tables.read(workspace.table(name, "videos"), "videos")))
    made = tables.metadata(table, "config") or {}
    card = _card(workspace, name)
    wanted = index.expected_counts(card, made.get("release", "")) if card else {}
    bad = videos.filter(pl.col("status") == "unreadable")
    vocabulary = tables.metadata(table, "vocabulary") or {}
    return {
        "name": name,
        **{key: getattr(card, key, None) for key in ("title", "homepage", "licence", "citation")},
        "reader": made.get("reader"),
        "release": made.get("release"),
        "classes": {kind: len(classes) for kind, classes in vocabulary.items() if classes},
        "splits": index.summarise(clips, videos, wanted),
        "videos": dict(videos.get_column("status").value_counts(sort=True).iter_rows()),
        "hours": float(videos.get_column("duration_s").fill_nan(0).sum()) / 3600,
        "unreadable": bad.select("video_id", "error").head(_MOST_NAMED).to_dicts(),
    }


def _card(workspace: Workspace, name: str) -> DatasetConfig | None:
    try:
        return dataset.load(name, workspace)
    except SumlError:  # the table outlives its card
        return None
