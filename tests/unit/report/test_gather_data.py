"""Dataset tables: what was found beside what the card expects."""

from __future__ import annotations

import pyarrow as pa
import pytest

from sumlctl import tables
from sumlctl.errors import SumlError
from sumlctl.report.content import data
from tests.builders import write_clips

CARD = """
title = "Mine"
viewpoints = ["fpv"]
homepage = "none"
licence = "CC0"
citation = "Me. Mine. 2024."
[reader]
name = "tabular"
[videos]
paths = ["{video_id}.mp4"]
[expected]
train = { fpv = 4 }
val = { fpv = 2 }
"""


@pytest.fixture
def indexed(workspace):
    write_clips(
        workspace,
        "mine",
        ["open door", "open door", "cut bread"],
        vocabulary={"verbs": [["open"], ["cut"]], "nouns": []},
        video_id=["a", "a", "b"],
        status=["ok", "truncated", "no_video"],
    )
    values = {
        "dataset": ["mine"] * 2,
        "video_id": ["a", "b"],
        "path": ["a.mp4", "b.mp4"],
        "status": ["ok", "unreadable"],
        "error": [None, "moov atom not found"],
        "duration_s": [5400.0, None],
    }
    schema = tables.schema("videos")
    columns = {f.name: pa.array(values.get(f.name, [None] * 2), f.type) for f in schema}
    path = workspace.table("mine", "videos")
    tables.write(pa.table(columns), path, "videos", inputs={}, config={})
    return workspace


def test_found_beside_expected(indexed) -> None:
    (indexed.manifests / "mine.toml").write_text(CARD, encoding="utf-8")
    (told,) = data.gather(indexed, ["mine"])
    assert (told["title"], told["licence"]) == ("Mine", "CC0")
    assert told["classes"] == {"verbs": 2}
    assert told["hours"] == 1.5
    assert told["videos"] == {"ok": 1, "unreadable": 1}
    assert told["unreadable"] == [{"video_id": "b", "error": "moov atom not found"}]
    train, val = told["splits"]
    columns = ("clips", "expected", "difference", "narrations", "videos", "truncated", "no_video")
    assert [train[c] for c in columns] == [3, 4, -1, 2, 2, 1, 1]
    assert train["videos_unreadable"] == 1
    assert [val[c] for c in columns[:3]] == [0, 2, -2]


def test_a_table_outlives_its_card(indexed) -> None:
    (told,) = data.gather(indexed, ["mine"])
    assert told["title"] is None
    assert told["splits"][0]["expected"] is None


def test_a_missing_table(indexed) -> None:
    indexed.table("mine", "videos").unlink()
    with pytest.raises(SumlError, match=r"table is missing.*sumlctl index"):
        data.gather(indexed, ["mine"])
