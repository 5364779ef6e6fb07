"""`decode` as it is typed."""

from __future__ import annotations

import json

import pytest

from tests.unit.video.clip_cache import kitchen


@pytest.fixture
def videos(workspace):
    return kitchen.build(workspace)


def test_decode_says_what_the_store_holds(workspace, videos, sumlctl):
    tried = sumlctl("decode", "kitchen", "--dry-run", "--json")
    assert tried.code == 0
    (told,) = json.loads(tried.out)
    assert told["files"] == 5
    assert not workspace.store("kitchen").exists()
    done = sumlctl("decode", "kitchen", "--json", "--jobs", "2")
    assert done.code == 0, done.err
    (found,) = json.loads(done.out)
    assert (found["clips"], found["stored"], found["files"], found["made"]) == (6, 6, 5, 5)
    assert found["lowest_psnr_db"] <= found["psnr_db"]
    again = sumlctl("decode", "kitchen")
    assert again.code == 0
    assert "PSNR dB" in again.out
    assert "store/kitchen" in again.err


def test_decode_names_what_it_leaves_out(workspace, videos, sumlctl):
    with (videos / "v0.mp4").open("ab") as file:
        file.write(b"\0")
    done = sumlctl("decode", "kitchen")
    assert done.code == 0
    assert "1 videos are gone or have changed since they were indexed, such as v0" in done.err
    assert "run `sumlctl index kitchen` again" in done.err


def test_a_file_where_the_store_is_to_be_is_told_once(workspace, videos, sumlctl):
    workspace.store("kitchen").parent.mkdir()
    workspace.store("kitchen").write_text("mine")
    refused = sumlctl("decode", "kitchen")
    assert refused.code == 1
    told = f"{workspace.store('kitchen')}: a file lies where a folder is to be, got errno 17;"
    assert refused.err.count("\n") == 1
    assert refused.err.startswith(f"error: {told}")
    workspace.store("kitchen").unlink()
    assert sumlctl("decode", "kitchen").code == 0


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["nowhere"], 1, "nowhere/videos.parquet: table is missing"),
        (["kitchen", "--crf", "99"], 2, "--crf"),
        (["kitchen", "--short-side", "1"], 2, "--short-side"),
        (["kitchen", "--margin", "-1"], 2, "--margin"),
        (["kitchen", "--margin", "nan"], 2, "--margin"),
        (["kitchen", "--margin", "inf"], 2, "--margin"),
        ([], 2, "DATASET"),
    ],
)
def test_what_decode_refuses(videos, sumlctl, words, code, says):
    refused = sumlctl("decode", *words)
    assert refused.code == code
    assert says in refused.err
    assert refused.err.count("\n") == 1 or code == 2
