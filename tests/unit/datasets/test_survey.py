"""Which videos are looked at, and which are not looked at again."""

import os

import polars as pl
import pytest

from sumlctl import tables
from sumlctl.datasets import survey as module
from sumlctl.datasets.survey import survey
from sumlctl.errors import SumlError
from sumlctl.video.probe import Probe
from tests.annotation_files import write_card

CARD = """
[reader]
name = "epic"
[videos]
paths = ["{participant}/{video_id}.MP4", "{video_id}.mp4"]
"""
FACTS = {"codec": "h264", "fps": 25.0, "n_frames": 100, "duration_s": 4.0}


class Prober:
    """Stands for `probe_many`: tells of every file that it is asked about, and remembers."""

    def __init__(self):
        self.asked = []
        self.stop_after = None

    def __call__(self, paths, *, jobs, **options):
        for path in reversed(list(paths)):  # results come in any order
            if len(self.asked) == self.stop_after:
                raise KeyboardInterrupt
            self.asked.append(path.name)
            yield path, self.probe(path)

    def probe(self, path):
        if path.stat().st_size == 0:
            return Probe("unreadable", "empty file")
        return Probe("ok", **FACTS)


@pytest.fixture
def prober(monkeypatch):
    found = Prober()
    monkeypatch.setattr(module, "probe_many", found)
    return found


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    return folder


@pytest.fixture
def look(workspace, root, prober):
    """Surveys videos and writes the table, as `index` does; returns what was probed anew."""
    card = write_card(workspace, "k", CARD)
    table = workspace.table("k", "videos")

    def of(*videos):
        clips = pl.DataFrame(
            {"video_id": [v for v, _ in videos], "participant": [p for _, p in videos]}
        )
        prober.asked.clear()
        found = survey(card, clips, root, table, jobs=1)
        tables.write(found.to_arrow(), table, "videos", inputs={}, config={})
        return found

    return of


def test_the_first_path_that_exists_is_taken(look, root, prober):
    (root / "P01").mkdir()
    (root / "P01/a.MP4").write_text("a")
    (root / "a.mp4").write_text("a")
    (root / "b.mp4").write_text("b")
    (root / "d.mp4").write_text("d")
    found = look(("b", "P01"), ("a", "P01"), ("b", "P01"), ("c", "P02"), ("d", ""))
    assert found.select("dataset", "video_id", "path", "status").rows() == [
        ("k", "b", "b.mp4", "ok"),
        ("k", "a", "P01/a.MP4", "ok"),
        ("k", "c", "P02/c.MP4", "missing"),
        ("k", "d", "d.mp4", "ok"),
    ]
    assert sorted(prober.asked) == ["a.MP4", "b.mp4", "d.mp4"]
    assert found["n_frames"].to_list() == [100, 100, None, 100]
    assert found["codec"].to_list() == ["h264", "h264", None, "h264"]


def test_a_file_that_cannot_be_read_says_why(look, root):
    (root / "a.mp4").touch()
    found = look(("a", "P01"))
    assert found.select("status", "error").rows() == [("unreadable", "empty file")]


def test_a_file_of_two_videos_is_probed_once(look, root, prober, workspace):
    (root / "all.mp4").write_text("a")
    card = write_card(workspace, "k", CARD.replace("{video_id}", "all"))
    clips = pl.DataFrame({"video_id": ["a", "b"], "participant": ["", ""]})
    found = survey(card, clips, root, workspace.table("k", "videos"), jobs=1)
    assert prober.asked == ["all.mp4"]
    assert found["status"].to_list() == ["ok", "ok"]


def test_what_has_not_changed_is_not_probed_again(look, root, prober, capsys):
    for name in "abc":
        (root / f"{name}.mp4").write_text(name)
    videos = [(name, "") for name in "abc"]
    first = look(*videos)
    assert len(prober.asked) == 3
    again = look(*videos)
    assert prober.asked == []
    assert again.equals(first)
    assert "no video has changed since the last index" in capsys.readouterr().err

    (root / "a.mp4").write_text("longer")
    os.utime(root / "b.mp4", ns=(0, 10**18))
    (root / "c.mp4").unlink()
    changed = look(*videos)
    assert sorted(prober.asked) == ["a.mp4", "b.mp4"]
    assert changed["status"].to_list() == ["ok", "ok", "missing"]
    assert changed["size_bytes"].to_list() == [6, 1, None]
    assert changed["mtime_ns"][1] == 10**18
    assert changed["n_frames"].to_list() == [100, 100, None]


def test_a_damaged_table_of_an_earlier_survey_is_no_obstacle(look, root, prober, workspace):
    (root / "a.mp4").write_text("a")
    look(("a", ""))
    table = workspace.table("k", "videos")
    table.write_bytes(table.read_bytes()[:-10])
    assert look(("a", ""))["status"].to_list() == ["ok"]
    assert prober.asked == ["a.mp4"]


def test_an_interrupted_survey_goes_on_where_it_stopped(look, root, prober, workspace, monkeypatch):
    monkeypatch.setattr(module, "_SAVE_EVERY_S", 0.0)
    for name in "abcd":
        (root / f"{name}.mp4").write_text(name)
    videos = [(name, "") for name in "abcd"]
    prober.stop_after = 2
    with pytest.raises(KeyboardInterrupt):
        look(*videos)
    folder = workspace.table("k", "videos").parent
    assert [file.name for file in folder.iterdir()] == ["videos.partial.parquet"]
    prober.stop_after = None
    found = look(*videos)
    assert sorted(prober.asked) == ["a.mp4", "b.mp4"]
    assert found["video_id"].to_list() == ["a", "b", "c", "d"]
    assert found["status"].to_list() == ["ok"] * 4
    assert [file.name for file in folder.iterdir()] == ["videos.parquet"]


@pytest.mark.parametrize("video", ["../secret", "/etc/passwd", "P01/../../secret", "a\0b"])
def test_a_video_that_escapes_its_folder_is_refused_unprobed(look, root, prober, video):
    (root.parent / "secret.mp4").write_text("s")
    (root / "a.mp4").write_text("a")
    with pytest.raises(SumlError) as caught:
        look(("a", ""), (video, ""))
    text = str(caught.value)
    assert text.startswith(f"video {video} of k: path leaves its folder, got ")
    assert prober.asked == []
