"""Which videos are looked at, and which are not looked at again."""

import os

import polars as pl
import pyarrow.parquet as pq
import pytest

from sumlctl import tables
from sumlctl.datasets import survey as module
from sumlctl.datasets.survey import survey
from sumlctl.errors import InstallationError, ProgramError, SumlError, plain
from sumlctl.jobs.units import Work
from sumlctl.video.probe import Probe
from sumlctl.video.probe_many import PROBED_WITH
from tests.annotation_files import write_card

CARD = """
[reader]
name = "epic"
[videos]
paths = ["{participant}/{video_id}.MP4", "{video_id}", "{video_id}.mp4"]
fps = { "P??_??" = 60, "P??_???" = 50 }
"""
FACTS = {
    "codec": "h264",
    "fps": 25.0,
    "n_frames": 100,
    "duration_s": 4.0,
    "mirrored": False,
    "start_s": 0.0,
}


class Prober:
    """Stands for `probe_many`: tells of every file that it is asked about, and remembers."""

    def __init__(self):
        self.asked = []
        self.whole = self.ask_decord = None
        self.version = PROBED_WITH

    def __call__(self, rates, work, executor, *, whole, ask_decord):
        self.whole, self.ask_decord = whole, ask_decord
        for path in reversed(list(rates)):  # results come in any order
            self.asked.append(path.name)
            yield path, self.probe(path, rates[path])

    def probe(self, path, fps):
        if path.is_dir():
            return Probe("ok" if fps else "unreadable", **FACTS | {"fps": fps})
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

    def of(*videos, card=card, **options):
        clips = pl.DataFrame(
            {"video_id": [v for v, _ in videos], "participant": [p for _, p in videos]}
        )
        prober.asked.clear()
        found = survey(card, clips, root, table, Work(workspace.units("index k")), **options)
        extra = {"probed_with": prober.version}
        tables.write(found.to_arrow(), table, "videos", inputs={}, config={}, extra=extra)
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
    work = Work(workspace.units("index k"))
    found = survey(card, clips, root, workspace.table("k", "videos"), work)
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


def test_survey_a_table_without_the_begin_of_the_pictures(look, root, prober, workspace):
    """Rows of earlier versions are looked at again, those that cannot be read are not."""
    (root / "a.mp4").write_text("a")
    (root / "b.mp4").touch()
    look(("a", "P01"), ("b", "P01"))
    table = workspace.table("k", "videos")
    old = tables.read(table, "videos").drop_columns(["start_s"])
    pq.write_table(old, table)
    found = look(("a", "P01"), ("b", "P01"))
    assert prober.asked == ["a.mp4"]
    assert found["start_s"].to_list() == [0.0, None]
    look(("a", "P01"), ("b", "P01"))
    assert prober.asked == []


def test_a_folder_is_a_video_where_there_is_no_file(look, root, prober):
    for name in ("P01_01", "P01_101", "P01_102", "other"):
        (root / name).mkdir()
    (root / "P01_102.mp4").write_text("a")
    found = look(*((name, "P01") for name in ("P01_01", "P01_101", "P01_102", "other")))
    assert found.select("path", "status", "fps").rows() == [
        ("P01_01", "ok", 60.0),
        ("P01_101", "ok", 50.0),
        ("P01_102.mp4", "ok", 25.0),
        ("other", "unreadable", None),
    ]
    assert found["size_bytes"].to_list() == [None, None, 1, None]


def test_a_folder_is_probed_again_when_files_come_or_its_rate_changes(
    look, root, prober, workspace
):
    for name in ("P01_01", "P01_02"):
        (root / name).mkdir()
    videos = [("P01_01", "P01"), ("P01_02", "P01")]
    look(*videos)
    look(*videos)
    assert prober.asked == []
    os.utime(root / "P01_01", ns=(0, 10**18))
    look(*videos)
    assert prober.asked == ["P01_01"]
    slower = write_card(workspace, "k", CARD.replace("60", "30"))
    assert look(*videos, card=slower)["fps"].to_list() == [30.0, 30.0]
    assert sorted(prober.asked) == ["P01_01", "P01_02"]


def test_what_was_unreadable_is_probed_again_when_asked_for(look, root, prober, workspace):
    (root / "a.mp4").write_text("a")
    (root / "b.mp4").touch()
    videos = [("a", ""), ("b", "")]
    look(*videos)
    assert prober.whole is False
    look(*videos)
    assert prober.asked == []
    prober.probe = lambda path, fps: Probe("ok", **FACTS)
    found = look(*videos, retry_unreadable=True)
    assert (prober.asked, prober.whole) == (["b.mp4"], True)
    assert found["status"].to_list() == ["ok", "ok"]


def test_survey_after_an_earlier_version(look, root, prober, workspace):
    """It did not ask whether pictures are mirrored."""
    (root / "a.mp4").write_text("a")
    (root / "b.mp4").touch()
    videos = [("a", ""), ("b", "")]
    look(*videos)
    table = workspace.table("k", "videos")
    pq.write_table(pq.read_table(table).drop_columns(["mirrored"]), table)
    assert look(*videos)["mirrored"].to_list() == [False, None]
    assert prober.asked == ["a.mp4"]
    look(*videos)
    assert prober.asked == []


@pytest.mark.parametrize("version", [{"av": "1.0"}, None])
def test_survey_what_another_pyav_found_bad_or_odd_is_probed_again(look, root, prober, version):
    """None: a table from before there was a record of it."""
    said = {
        "a": Probe("ok", **FACTS),
        "b": Probe("ok", "odd", **FACTS),
        "c": Probe("unreadable", "TypeErr"),
    }
    for name in said:
        (root / f"{name}.mp4").write_text(name)
    videos = [(name, "") for name in said]
    prober.probe = lambda path, fps: said[path.stem]
    prober.version = version
    look(*videos)
    prober.version = PROBED_WITH
    prober.probe = lambda path, fps: Probe("ok", **FACTS)
    assert look(*videos)["error"].to_list() == [None, None, None]
    assert sorted(prober.asked) == ["b.mp4", "c.mp4"]
    look(*videos)
    assert prober.asked == []


def test_survey_what_met_a_fault_of_the_program_is_probed_again(look, root, prober):
    for name in "ab":
        (root / f"{name}.mp4").write_text(name)
    fault = str(ProgramError.of(TypeError("no rate")))
    prober.probe = lambda path, fps: (
        Probe("unreadable", fault) if path.stem == "a" else Probe("ok", **FACTS)
    )
    videos = [("a", ""), ("b", "")]
    assert look(*videos)["status"].to_list() == ["unreadable", "ok"]
    look(*videos)
    assert prober.asked == ["a.mp4"]


def test_survey_where_no_video_can_be_read_the_installation_is_looked_at(
    look, root, prober, monkeypatch, workspace
):
    for name in "ab":
        (root / f"{name}.mp4").touch()
    assert look(("a", ""), ("b", ""))["status"].to_list() == ["unreadable"] * 2  # it reads the film
    asked, table = [], workspace.table("k", "videos")
    before = table.read_bytes()

    def at_fault(executor):
        asked.append(executor)
        raise InstallationError("installation", "broken", got="a", expected="b", fix="c")

    monkeypatch.setattr(module, "check_installation", at_fault)
    with pytest.raises(InstallationError):
        look(("a", ""), ("b", ""), retry_unreadable=True)
    assert table.read_bytes() == before
    assert len(asked) == 1
    (root / "c.mp4").write_text("c")
    (root / "d.mp4").touch()
    look(("c", ""), ("d", ""))  # one of them can be read
    assert len(asked) == 1


def test_a_damaged_table_of_an_earlier_survey_is_no_obstacle(look, root, prober, workspace):
    (root / "a.mp4").write_text("a")
    look(("a", ""))
    table = workspace.table("k", "videos")
    table.write_bytes(table.read_bytes()[:-10])
    assert look(("a", ""))["status"].to_list() == ["ok"]
    assert prober.asked == ["a.mp4"]


@pytest.mark.parametrize("video", ["../secret", "/etc/passwd", "P01/../../secret", "a\0b"])
def test_a_video_that_escapes_its_folder_is_refused_unprobed(look, root, prober, video):
    (root.parent / "secret.mp4").write_text("s")
    (root / "a.mp4").write_text("a")
    with pytest.raises(SumlError) as caught:
        look(("a", ""), (video, ""))
    text = str(caught.value)
    assert text.startswith(f"video {plain(video)} of k: path leaves its folder, got ")
    assert prober.asked == []


def test_survey_with_decord_asks_about_files_that_it_was_not_asked_about(look, root, prober):
    """The verdict is made once: rows that have it stay, and without `decord` so do all others."""
    (root / "a.mp4").write_text("a")
    look(("a", "P01"))  # as a table of an earlier version: no verdict
    look(("a", "P01"))
    assert prober.asked == []
    look(("a", "P01"), decoder="decord")
    assert (prober.asked, prober.ask_decord) == (["a.mp4"], True)
    prober.probe = lambda path, fps: Probe("ok", decord="doubted", **FACTS)
    look(("a", "P01"), decoder="decord")
    look(("a", "P01"), decoder="decord")
    assert prober.asked == []
    (root / "b.mp4").write_text("b")
    look(("a", "P01"), ("b", "P01"), decoder="pyav")
    assert (prober.asked, prober.ask_decord) == (["b.mp4"], False)
