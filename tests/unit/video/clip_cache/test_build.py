"""A store is made once, goes on where it stopped, and never stops for one video."""

from __future__ import annotations

import errno
import os
import shutil
from collections import Counter

import pytest

from sumlctl.errors import SumlError, WriteError
from sumlctl.jobs.executors import Local
from sumlctl.learning.data import clips, requests
from sumlctl.learning.data import videos as videos_module
from sumlctl.tables import whole_file
from sumlctl.video.clip_cache import build as module
from sumlctl.video.clip_cache.build import decode
from sumlctl.video.clip_cache.encode import EncodeSettings
from sumlctl.video.clip_cache.plan import Wanted
from sumlctl.video.clip_cache.trial import estimate
from tests.unit.video.clip_cache import kitchen

WANTED = Wanted(EncodeSettings(256, 22), 0.2, whole=False)
# v0's two clips overlap; v1's lie apart.
FILES = ["v 2.00000800.mp4", "v0.00000300.mp4", "v1.00000000.mp4", "v1.00002800.mp4"]
FILES.append("v3%2Fa.00001800.mp4")


@pytest.fixture
def videos(workspace):
    return kitchen.build(workspace)


def files(workspace):
    return sorted(path.name for path in workspace.store("kitchen").glob("*.mp4"))


def stamps(workspace):
    paths = workspace.store("kitchen").glob("*")
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}


def load(workspace):
    videos_module._say_once.cache_clear()
    return clips.load(workspace, ["kitchen"], "fpv", "train").clips


def test_overlapping_clips_are_stored_once_and_a_second_time_nothing_is_done(workspace, videos):
    done = decode("kitchen", workspace, WANTED, executor=Local(2))
    assert files(workspace) == FILES
    assert (done.clips, done.stored, done.files, done.made) == (6, 6, 5, 5)
    assert done.video_s == pytest.approx(1.9 + 1.2 + 1.2 + 3.2 + 1.4)
    assert done.size_bytes == sum(p.stat().st_size for p in done.folder.glob("*.mp4"))
    before = stamps(workspace)
    again = decode("kitchen", workspace, WANTED)
    assert (again.made, again.files, again.psnr_db) == (0, 5, done.psnr_db)
    assert stamps(workspace) == before


def test_clips_are_read_from_the_store_even_when_the_videos_are_gone(
    workspace, videos, numbers, capsys
):
    decode("kitchen", workspace, WANTED)
    shutil.move(videos, videos.with_name("unplugged"))
    found = load(workspace)
    assert "kitchen: 6 of 6 clips are read from the store" in capsys.readouterr().err
    for clip in found:
        assert clip.stored
        pixels, times_s = requests.decode(clip, clip.every_frame(), 256)
        assert numbers(pixels) == [round(t * 10) for t in times_s]
        assert len(times_s) == round((clip.stop_s - clip.start_s) * 10)


def test_an_interrupted_run_goes_on_where_it_stopped(workspace, videos, monkeypatch):
    made = []
    add = module._Store.add

    def stop_at_the_third(self, file, result):
        add(self, file, result)
        made.append(file.job.target.name)
        if len(made) == 3:
            (self.plan.path.parent / ".left-over.tmp").touch()
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module._Store, "add", stop_at_the_third)
        decode("kitchen", workspace, WANTED)
    assert not list(workspace.store("kitchen").glob(".*"))
    before = stamps(workspace)
    assert decode("kitchen", workspace, WANTED).made == 2
    after = stamps(workspace)
    assert all(after[name] == before[name] for name in made)


def test_one_broken_video_stops_nothing_and_is_named(workspace, videos, numbers, capsys):
    """Whole in its head, so that `index` took it for sound; broken in its middle."""
    path = videos / "v 2.mp4"
    content, stat = bytearray(path.read_bytes()), path.stat()
    middle = len(content) // 2
    content[middle : middle + 4000] = bytes(4000)
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    done = decode("kitchen", workspace, WANTED)
    assert done.failed.keys() == {"v 2"}
    assert "InvalidDataError" in done.failed["v 2"]
    assert (done.clips, done.stored, done.made) == (6, 5, 4)
    assert Counter(bool(clip.stored) for clip in load(workspace)) == {True: 5, False: 1}
    assert "kitchen: 5 of 6 clips are read from the store" in capsys.readouterr().err


def test_a_video_that_changed_since_it_was_indexed_is_not_stored(workspace, videos, capsys):
    decode("kitchen", workspace, WANTED)
    with (videos / "v0.mp4").open("ab") as file:
        file.write(b"\0" * 8)
    assert decode("kitchen", workspace, WANTED).changed == []  # the table has it as it was stored
    kitchen.index(workspace)
    assert sum(bool(clip.stored) for clip in load(workspace)) == 4
    assert "1 videos have changed since they were stored" in capsys.readouterr().err
    again = decode("kitchen", workspace, WANTED)
    assert (again.made, again.stored) == (1, 6)
    os.utime(videos / "v1.mp4")
    (workspace.store("kitchen") / "v1.00000000.mp4").unlink()
    assert decode("kitchen", workspace, WANTED).changed == ["v1"]


@pytest.mark.parametrize("now", ["mirrored", "several"])
def test_decode_after_a_version_that_stored_otherwise(workspace, videos, capsys, now):
    """It kept pictures mirrored, and took the largest of several streams."""
    decode("kitchen", workspace, WANTED)
    kitchen.index(workspace, **{now: ("v0",)})
    found = load(workspace)
    assert {clip.path.stem for clip in found if not clip.stored} == {"v0"}
    assert "1 videos have changed since they were stored" in capsys.readouterr().err
    again = decode("kitchen", workspace, WANTED)
    assert (again.made, again.stored) == (1, 6)
    assert all(clip.stored for clip in load(workspace))
    assert decode("kitchen", workspace, WANTED).made == 0


def test_other_settings_make_other_files_and_the_old_ones_go(workspace, videos):
    decode("kitchen", workspace, WANTED)
    finer = Wanted(EncodeSettings(short_side=48, crf=10), 0.2, whole=False)
    assert decode("kitchen", workspace, finer).made == 5
    assert files(workspace) == FILES
    whole = Wanted(EncodeSettings(short_side=48, crf=10), 0.2, whole=True)
    done = decode("kitchen", workspace, whole)
    assert (done.files, done.made, done.stored) == (4, 4, 6)
    assert [name.endswith(".00000000.mp4") for name in files(workspace)] == [True] * 4


def test_a_stored_file_that_is_damaged_is_not_believed(workspace, videos, numbers, capsys):
    decode("kitchen", workspace, WANTED)
    store = workspace.store("kitchen")
    (store / "v0.00000300.mp4").write_bytes(b"short")
    assert sum(bool(clip.stored) for clip in load(workspace)) == 4
    said = capsys.readouterr().err
    assert "1 files of the store are missing or not as they were made, such as v0.00000300" in said
    assert "run `sumlctl decode kitchen` again" in said
    same_size = store / "v1.00002800.mp4"
    same_size.write_bytes(bytes(same_size.stat().st_size))
    for clip in load(workspace):
        pixels, times_s = requests.decode(clip, clip.every_frame(), 256)
        assert numbers(pixels) == [round(t * 10) for t in times_s]
    said = capsys.readouterr().err
    assert "v1.00002800.mp4: cannot be read" in said
    assert said.count("The video itself is read.") == 1


def test_a_disk_that_is_full_ends_the_run_with_one_error(workspace, videos, monkeypatch):
    monkeypatch.setattr(module, "make", full_disk)
    with pytest.raises(WriteError, match="the disk is full"):
        decode("kitchen", workspace, WANTED)
    assert files(workspace) == []


def full_disk(job):
    """Stands in for `make` where the disk takes nothing more."""
    with whole_file(job.target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_without_any_video(workspace, videos):
    shutil.rmtree(videos)
    with pytest.raises(SumlError, match="no video is there, got 4 readable ones"):
        decode("kitchen", workspace, WANTED)


def test_an_estimate_writes_nothing_and_is_near(workspace, videos):
    told = estimate("kitchen", workspace, WANTED)
    assert not workspace.store("kitchen").exists()
    done = decode("kitchen", workspace, WANTED)
    assert (told.files, told.kept, told.frames) == (5, 0, round(done.video_s * 10))
    assert done.size_bytes / 2 < told.size_bytes < done.size_bytes * 2
    assert told.free_bytes > 0
    assert told.seconds > 0
    assert estimate("kitchen", workspace, WANTED).files == 0


def test_folders_of_pictures_are_left_as_they_are(workspace, videos):
    path = videos / "v0.mp4"
    path.unlink()
    path.mkdir()
    done = decode("kitchen", workspace, WANTED)
    assert (done.folders, done.files) == (["v0"], 4)
