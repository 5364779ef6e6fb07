"""index, embed, mine-pairs, pairs and histogram through the command line, as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from sumlctl import tables
from sumlctl.video.probe_many import PROBED_WITH
from sumlctl.workspace import Workspace
from tests.annotation_files import write_video

CARD = """
title = "{name}"
viewpoints = ["{viewpoint}"]
homepage = "none"
licence = "none"
citation = "none"
[reader]
name = "tabular"
files = {{ train = "clips.csv" }}
[reader.columns]
video_id = "video"
start_s = "start"
stop_s = "stop"
narration = "said"
verbs = "verb"
nouns = "noun"
[videos]
paths = ["{{video_id}}.mp4"]
[vocabulary]
verbs = {{ names = ["take", "cut"] }}
nouns = {{ names = ["cup", "bread"] }}
[expected]
train = {{ {viewpoint} = 4 }}
"""
HEADER = "video,start,stop,said,verb,noun\n"
CLIPS = {
    "ego": "a,0,1,Take cup,take,cup\na,1,2,cut bread,cut,bread\nb,0,2,take  cup,take,cup\n",
    "exo": "x,0:00:00,00:00:01.5,take a cup,0,0\nx,2,3,cut a loaf,1,1\ny,0,1,wave,,\n",
}


@pytest.fixture
def indexed(workspace: Workspace, sumlctl) -> Workspace:
    for name, viewpoint in (("ego", "fpv"), ("exo", "tpv")):
        workspace.manifests.mkdir(parents=True, exist_ok=True)
        card = CARD.format(name=name, viewpoint=viewpoint)
        (workspace.manifests / f"{name}.toml").write_text(card)
        folder = workspace.data(name, "annotations")
        folder.mkdir(parents=True)
        (folder / "clips.csv").write_text(HEADER + CLIPS[name])
    assert sumlctl("index", "ego", "exo").code == 0
    return workspace


def test_index_reports_each_split_and_its_difference(indexed: Workspace, sumlctl) -> None:
    done = sumlctl("index", "ego", "--json")
    (ego,) = json.loads(done.out)
    (split,) = ego["splits"]
    assert (split["clips"], split["expected"], split["difference"]) == (3, 4, -1)
    assert (split["narrations"], split["videos_missing"], split["no_video"]) == (2, 2, 3)


def test_unreadable_videos_are_probed_again_only_when_asked_for(
    indexed: Workspace, sumlctl
) -> None:
    root = indexed.data("ego", "videos")
    sound = write_video(root / "a.mp4", 30)
    (root / "b.mp4").touch()
    assert "video b is unreadable: empty file" in sumlctl("index", "ego").err
    path = indexed.table("ego", "videos")
    rows = tables.read(path, "videos").to_pylist()
    rows[0] |= {"status": "unreadable", "error": "no answer within 60 s"}
    marked = pa.Table.from_pylist(rows, schema=tables.schema("videos"))
    extra = {"probed_with": PROBED_WITH}
    tables.write(marked, path, "videos", inputs={}, config={}, extra=extra)
    assert "video a is unreadable: no answer" in sumlctl("index", "ego").err
    done = sumlctl("index", "ego", "--retry", "unreadable")
    assert done.code == 0
    assert "video a" not in done.err and "video b is unreadable: empty file" in done.err
    a, b = tables.read(path, "videos").to_pylist()
    assert (a["status"], a["error"], a["n_frames"]) == ("ok", None, 30)
    assert (b["status"], sound.exists()) == ("unreadable", True)
    assert sumlctl("index", "ego", "--retry", "all").code == 2


def test_strict_fails_on_what_is_missing(indexed: Workspace, sumlctl) -> None:
    done = sumlctl("index", "ego", "--strict")
    assert done.code == 1
    assert "rows more or fewer than the card expects, got -1" in done.err


def test_the_whole_way(indexed: Workspace, sumlctl, tmp_path: Path) -> None:
    done = sumlctl("embed", "--encoder", "hashed", "--json")
    assert [(d["dataset"], d["encoded"]) for d in json.loads(done.out)] == [("ego", 2), ("exo", 3)]
    assert "hashed: a stand-in" in done.err

    done = sumlctl("mine-pairs", "--fpv", "ego", "--tpv", "exo", "--json")
    summary = json.loads(done.out)
    assert done.code == 0
    assert (summary["fpv_clips"], summary["certified"]["share"]) == (3, 1.0)
    assert summary["same"]["verb"] == 1.0
    assert Path(summary["written"]).is_file()

    pairs = json.loads(sumlctl("pairs", "list", "--json").out)
    assert {p["fpv_narration"]: p["tpv_narration"] for p in pairs} == {
        "take cup": "take a cup",
        "cut bread": "cut a loaf",
    }
    shown = json.loads(sumlctl("pairs", "show", "ego/train-2", "--json").out)
    assert shown["winner"]["narration"] == "take a cup"
    assert len(shown["next"]) == 2

    for ending in ("png", "svg", "pdf"):
        out = tmp_path / f"fig2.{ending}"
        done = sumlctl("histogram", "--out", str(out), "--json")
        assert done.code == 0 and out.stat().st_size > 2000
    (bars,) = json.loads(done.out)
    assert sum(bars["shares"]) == pytest.approx(1)
    assert (bars["n"], bars["by"]) == (2, "class")


def test_a_plan_does_nothing(indexed: Workspace, sumlctl, monkeypatch) -> None:
    from sumlctl.mining import cost

    slow = cost.Speed(exact=1e9, lists=1e9, proof_s=0.0, disk=1e9)
    monkeypatch.setattr(cost, "measure", lambda dimension: slow)
    sumlctl("embed", "--encoder", "hashed")
    done = sumlctl("mine-pairs", "--fpv", "ego", "--tpv", "exo", "--plan", "--json")
    told = json.loads(done.out)
    assert (told["queries"], told["base"], told["index"]) == (2, 3, "exact")
    assert indexed.all_pairs() == []
    sizes = ("--plan-queries", "1000000", "--plan-base", "10000000")
    told = json.loads(sumlctl("mine-pairs", *sizes, "--json").out)
    assert (told["queries"], told["base"], told["index"]) == (10**6, 10**7, "ivf")
    done = sumlctl("mine-pairs", *sizes)
    assert "one H200" in done.out and "--index ivf: exact takes" in done.out
    assert sumlctl("mine-pairs", "--plan").code == 2


def test_results_go_to_stdout_and_remarks_to_stderr(indexed: Workspace, sumlctl) -> None:
    done = sumlctl("embed", "ego", "--encoder", "hashed")
    assert "wrote" in done.err and "wrote" not in done.out
    assert "ego" in done.out


def test_histogram_refuses_another_picture_format(indexed: Workspace, sumlctl, tmp_path) -> None:
    sumlctl("embed", "--encoder", "hashed")
    sumlctl("mine-pairs", "--fpv", "ego", "--tpv", "exo")
    done = sumlctl("histogram", "--out", str(tmp_path / "fig2.bmp"))
    assert done.code == 1
    assert "unknown picture format, got .bmp; expected png, svg, pdf" in done.err
    assert not (tmp_path / "fig2.bmp").exists()


def test_embed_unknown_dataset(indexed: Workspace, sumlctl) -> None:
    done = sumlctl("embed", "egoo", "--encoder", "hashed")
    assert done.code == 1
    assert "egoo" in done.err


def test_index_leaves_out_rows_of_no_use_or_refuses_them(indexed: Workspace, sumlctl) -> None:
    """Twelve rows end where they start; the first ten are named, all are counted."""
    notes = indexed.data("ego", "annotations") / "clips.csv"
    notes.write_text(HEADER + CLIPS["ego"] + "a,5,5,a point,0,0\n" * 12)
    done = sumlctl("index", "ego")
    assert done.code == 0
    named = [line for line in done.err.splitlines() if line.startswith("warning: ego: ")]
    assert named[0] == "warning: ego: left out 12 rows that cannot be used"
    assert named[1:11] == [
        f"warning: ego: clips.csv row {row}: stop is not after start, got '5.0 to 5.0 s'"
        for row in range(5, 15)
    ]
    assert named[11].startswith("warning: ego: 2 more")
    (ego,) = json.loads(sumlctl("index", "ego", "--json").out)
    assert (ego["left_out"], len(ego["bad_rows"]), ego["splits"][0]["clips"]) == (12, 10, 3)
    table = tables.read(indexed.table("ego", "clips"), "clips")
    assert (table.num_rows, tables.metadata(table, "left_out")) == (3, 12)

    before = indexed.table("ego", "clips").read_bytes()
    done = sumlctl("index", "ego", "--bad-rows", "refuse")
    assert done.code == 1
    assert done.err.splitlines()[-1] == (
        "error: clips.csv row 5: stop is not after start (and 11 more rows that cannot be used), "
        "got '5.0 to 5.0 s'; expected start < stop. Correct the row. `--bad-rows drop` leaves such "
        "rows out."
    )
    assert indexed.table("ego", "clips").read_bytes() == before


def test_index_refuses_a_table_without_a_row_of_use(indexed: Workspace, sumlctl) -> None:
    notes = indexed.data("ego", "annotations") / "clips.csv"
    notes.write_text(HEADER + "a,5,5,a point,0,0\n")
    done = sumlctl("index", "ego")
    assert done.code == 1
    assert "row 2: stop is not after start, and no other row is there, got" in done.err
