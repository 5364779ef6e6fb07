"""What holds for `index` whatever the rows: the same bytes again, every text, the order."""

import os
import subprocess
import sys

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumlctl import tables
from sumlctl.datasets.clean import clean
from sumlctl.datasets.index import index
from sumlctl.workspace import Workspace
from tests.annotation_files import (
    KITCHEN,
    kitchen_row,
    write_card,
    write_csv,
    write_jsonl,
    write_video,
)

PROPERTY = settings(max_examples=25, deadline=None, derandomize=True)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
FORMATS = {
    "csv": write_csv,
    "jsonl": write_jsonl,
    "parquet": lambda path, rows: pl.DataFrame(rows, strict=False).write_parquet(path),
}


def read(workspace, name):
    return pl.DataFrame(pl.from_arrow(tables.read(workspace.table("kitchen", name), name)))


def test_the_same_inputs_give_the_same_bytes(tmp_path):
    """In another workspace, process, thread count and hash order too."""
    first, second, data = Workspace(tmp_path / "a"), Workspace(tmp_path / "b"), tmp_path / "data"
    rows = [kitchen_row(str(i), f"v{i % 3}", "0", "1", f"Wash cup {i % 7}") for i in range(50)]
    write_csv(data / "train.csv", rows)
    write_csv(data / "val.csv", [kitchen_row("x", "v1", "0", "1")])
    write_video(data / "v1.mp4", 12)
    for workspace in (first, second):
        write_card(workspace, "kitchen", KITCHEN)
    index("kitchen", first, annotations=data, videos=data)
    script = (
        "import sys; from pathlib import Path; from sumlctl.workspace import Workspace;"
        "from sumlctl.datasets.index import index;"
        "index('kitchen', Workspace(sys.argv[1]), annotations=Path(sys.argv[2]),"
        " videos=Path(sys.argv[2]))"
    )
    subprocess.run(
        [sys.executable, "-c", script, str(second.root), str(data)],
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "7", "POLARS_MAX_THREADS": "1"},
    )
    for name in ("videos", "clips"):
        one, two = (w.table("kitchen", name).read_bytes() for w in (first, second))
        assert one == two


@pytest.mark.parametrize("suffix", FORMATS)
def test_any_narration_and_the_order_of_rows_come_through(tmp_path_factory, suffix):
    workspace = Workspace(tmp_path_factory.mktemp(suffix))
    write_card(
        workspace,
        "kitchen",
        KITCHEN.replace("train.csv", f"x.{suffix}").replace(', val = "val.csv"', ""),
    )

    @PROPERTY
    @given(st.lists(st.tuples(TEXT, st.integers(0, 3)), min_size=1, max_size=12))
    def holds(clips):
        rows = [
            kitchen_row(str(-i), f"v{video}", "0", "1", said)
            for i, (said, video) in enumerate(clips)
        ]
        FORMATS[suffix](workspace.root / f"x.{suffix}", rows)
        index("kitchen", workspace, annotations=workspace.root)
        found = read(workspace, "clips")
        assert found["narration"].to_list() == [clean(said) for said, _ in clips]
        assert found["clip_id"].to_list() == [f"kitchen/{-i}" for i in range(len(clips))]
        assert found["video_id"].to_list() == [f"v{video}" for _, video in clips]
        videos = read(workspace, "videos")["video_id"].to_list()
        assert videos == list(dict.fromkeys(f"v{video}" for _, video in clips))

    holds()
