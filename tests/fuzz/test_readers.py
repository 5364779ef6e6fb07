"""Annotation files that are damaged or mean harm, through the whole of `index`."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import strategies as st

from sumlctl.datasets.index import index
from sumlctl.tables import unpickle
from sumlctl.workspace import Workspace
from tests.annotation_files import (
    epic_row,
    kitchen_row,
    write_card,
    write_csv,
    write_jsonl,
    write_lines,
)
from tests.fuzz.harness import fuzz
from tests.fuzz.mutations import mutated

VIDEOS = '[videos]\npaths = ["{video_id}.mp4", "{participant}/{video_id}.mp4"]\n'
EPIC = f"""
[reader]
name = "epic"
files = {{ train = "train.csv" }}
validation_videos = ["P01_02"]
{VIDEOS}
[vocabulary]
verbs = {{ size = 3, file = "verbs.csv", id = "verb_id", name = "class_key", forms = "verbs" }}
nouns = {{ size = 9, names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"] }}
"""
CHARADES = f"""
[reader]
name = "charades_ego"
classes = "classes.txt"
mapping = "mapping.txt"
{VIDEOS}
[vocabulary]
actions = {{ size = 2, file = "classes.txt" }}
"""
LEMMA = f"""
[reader]
name = "lemma"
{VIDEOS}
[vocabulary]
verbs = {{ size = 3, file = "metadata/all_acts.json" }}
"""
TABULAR = f"""
[reader]
name = "tabular"
files = {{ train = "train.SUFFIX" }}
[reader.columns]
clip_id = "id"
video_id = "video"
start_s = "from"
stop_s = "to"
narration = "said"
verbs = "verb"
{VIDEOS}
[vocabulary]
verbs = {{ names = ["take", "put"] }}
"""
ROWS = [kitchen_row("a", "v1", "4", "5.5", "Take, “cup”"), kitchen_row("b", "v/2", "0:00:01", "2")]


def epic(folder: Path) -> None:
    rows = [epic_row(0), epic_row(1, video_id="P01_02", all_noun_classes="[8, 3]")]
    write_csv(folder / "train.csv", rows)
    forms = [(0, "take"), (1, "put"), (2, "open")]
    write_csv(
        folder / "verbs.csv",
        [{"verb_id": i, "verbs": f"['{w}', '{w}-up']", "class_key": w} for i, w in forms],
    )


def charades(folder: Path) -> None:
    write_lines(folder / "classes.txt", "c000 Holding some clothes", "c001 Opening a door")
    write_lines(folder / "mapping.txt", "c000 o009 v008", "c001 o012 v012")
    actions = ("c000 11.90 21.20;c001 0.00 12.60", "")
    rows = [
        {"id": f"V{i}", "subject": "AB", "actions": a, "length": "20.5", "egocentric": "Yes"}
        for i, a in enumerate(actions)
    ]
    write_csv(folder / "CharadesEgo_v1_train.csv", rows)


def lemma(folder: Path) -> None:
    lists = {
        "metadata/all_acts.json": ["null", "get", "put"],
        "metadata/all_objs.json": ["cup", "table"],
        "metadata/all_hois.json": ["null$", "get${s0}@cup", "put${s0}@cup:{m1}@table"],
        "splits/1tpv_train.json": ["v1", "v2"],
    }
    for name, content in lists.items():
        write_lines(folder / name, json.dumps(content))


def lemma_frames(folder: Path) -> None:
    lemma(folder)
    box = np.array([0.1, 0.2], np.float32)
    frames = [["v1", n, "P1", "f", "i", box, [[2, [[0], [1]]]], [0], [2]] for n in range(3)]
    write_lines(folder / "full/x")
    (folder / "full/rec_tpv_frames.p").write_bytes(pickle.dumps(frames))
    (folder / "full/rec_tpv_segments_indices.p").write_bytes(pickle.dumps([["v1", 0, 3]], 2))


def lemma_intervals(folder: Path) -> None:
    lemma(folder)
    told = {"v2": {"P1": [["Get [cup] from [table]", 24, 60, "tea"], ["Null", 60, 72, "tea"]]}}
    write_lines(folder / "action_intervals_w_tasks.json", json.dumps(told))


def parquet(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(ROWS).write_parquet(folder / "train.parquet")


DATASETS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "epic": (EPIC, epic),
    "charades-ego": (CHARADES, charades),
    "lemma-frames": (LEMMA, lemma_frames),
    "lemma-intervals": (LEMMA, lemma_intervals),
    "csv": (TABULAR.replace("SUFFIX", "csv"), lambda f: write_csv(f / "train.csv", ROWS)),
    "jsonl": (TABULAR.replace("SUFFIX", "jsonl"), lambda f: write_jsonl(f / "train.jsonl", ROWS)),
    "parquet": (TABULAR.replace("SUFFIX", "parquet"), parquet),
}
SHARE = len(DATASETS) + 2


@pytest.mark.parametrize("dataset", DATASETS)
def test_annotation_files(tmp_path: Path, dataset: str) -> None:
    card, build = DATASETS[dataset]
    workspace, folder = Workspace(tmp_path / "w"), tmp_path / "annotations"
    write_card(workspace, dataset, card, ("fpv", "tpv") if dataset[0] in "cl" else ("fpv",))
    if "tabular" in card:
        write_card(workspace, dataset, card)
    build(folder)
    whole = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    index(dataset, workspace, annotations=folder, videos=tmp_path / "videos")

    def target(damaged: tuple[Path, bytes]) -> None:
        name, content = damaged
        (folder / name).write_bytes(content)
        try:
            index(dataset, workspace, annotations=folder, videos=tmp_path / "videos")
        finally:
            (folder / name).write_bytes(whole[name])

    files = [st.tuples(st.just(name), mutated(content)) for name, content in whole.items()]
    fuzz("readers", target, st.one_of(files), tmp_path, SHARE)


CELLS = st.one_of(
    st.text(max_size=8),
    st.integers(),
    st.floats(),
    st.none(),
    st.sampled_from(
        ["../x", "/etc/passwd", "a\0b", "\ud800", "%2e%2e/x", "x" * 300, "1e308", "2:00:00", "[1"]
    ),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)


def test_cells(tmp_path: Path) -> None:
    """JSON values of any kind in any column."""
    workspace = Workspace(tmp_path / "w")
    write_card(workspace, "jsonl", TABULAR.replace("SUFFIX", "jsonl"))

    def target(rows: list[dict[str, Any]]) -> None:
        write_jsonl(tmp_path / "train.jsonl", [ROWS[0] | row | {"id": i} for i, row in rows])
        index("jsonl", workspace, annotations=tmp_path, videos=tmp_path)

    row = st.dictionaries(st.sampled_from(list(ROWS[0])), CELLS, max_size=3)
    rows = st.lists(st.tuples(st.integers(0, 9), row), min_size=1, max_size=3)
    fuzz("readers", target, rows, tmp_path, SHARE)


PICKLES = [
    pickle.dumps(content, protocol)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    for content in ([["v", 1, 2.5, None, True, b"x" * 40]], {"a": (np.arange(3), np.float32(1))})
]


def test_pickles(tmp_path: Path) -> None:
    path = tmp_path / "x.p"

    def target(content: bytes) -> None:
        path.write_bytes(content)
        unpickle.load(path)

    fuzz("readers", target, mutated(*PICKLES) | st.binary(max_size=40), tmp_path, SHARE)
