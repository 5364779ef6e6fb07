"""Open videos: kept, bounded, given up when their file changes, never shared with a fork."""

from __future__ import annotations

import multiprocessing
import os
import threading
from pathlib import Path

import pytest

from sumlctl.errors import SumlError
from sumlctl.video import read
from sumlctl.video.handles import Handles
from sumlctl.video.read import read_frames


class Opened:
    """Stands for an open video; remembers all that were opened."""

    every: list[Opened]

    def __init__(self, nbytes=10):
        self.nbytes, self.closed = nbytes, 0
        self.every.append(self)

    def close(self):
        self.closed += 1


@pytest.fixture
def opened(monkeypatch):
    monkeypatch.setattr(Opened, "every", [], raising=False)
    return Opened.every


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / str(i) for i in range(5)]
    for path in paths:
        path.write_text("a")
    return paths


def use(handles, path, kind=(), nbytes=10):
    with handles.borrow(path, kind, lambda: Opened(nbytes)) as one:
        assert not one.closed
        return one


def test_the_next_request_finds_it_open(files, opened):
    handles = Handles(2, 1000)
    assert use(handles, files[0]) is use(handles, files[0])
    assert use(handles, files[0], ("another",)) is not opened[0]
    assert [one.closed for one in opened] == [0, 0]


def test_the_one_that_rested_longest_is_closed(files, opened):
    handles = Handles(2, 1000)
    for i in (0, 1, 0, 2):
        use(handles, files[i])
    assert [one.closed for one in opened] == [0, 1, 0]
    assert len(handles) == 2


def test_memory_is_bounded_too(files, opened):
    handles = Handles(10, 1000)
    use(handles, files[0], nbytes=600)
    use(handles, files[1], nbytes=500)
    assert [one.closed for one in opened] == [1, 0]
    use(handles, files[2], nbytes=5000)  # too much even alone
    assert [one.closed for one in opened] == [1, 1, 1]
    assert len(handles) == 0


def test_another_file_of_the_same_name_is_opened_anew(files, opened):
    handles = Handles(2, 1000)
    use(handles, files[0])
    files[0].write_text("longer")
    use(handles, files[0])
    os.utime(files[0], ns=(0, 10**18))
    use(handles, files[0])
    assert [one.closed for one in opened] == [1, 1, 0]


def test_what_failed_is_closed(files, opened):
    handles = Handles(2, 1000)
    with pytest.raises(KeyError), handles.borrow(files[0], (), Opened):
        raise KeyError
    assert [one.closed for one in opened] == [1]
    assert len(handles) == 0
    with pytest.raises(SumlError, match="No such file"):
        use(handles, files[0].with_name("none"))


def test_two_at_once_have_one_each(files, opened):
    handles = Handles(2, 1000)
    with handles.borrow(files[0], (), Opened) as a, handles.borrow(files[0], (), Opened) as b:
        assert a is not b
    assert sorted(one.closed for one in opened) == [0, 1]
    assert len(handles) == 1


def files_open():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted in /proc")
def test_many_videos_leave_few_open(make_video, numbers, monkeypatch):
    monkeypatch.setattr(read, "_HANDLES", Handles(4, 2**30))
    videos = [make_video(f"{i}.mp4", 3) for i in range(12)]
    before = files_open()
    for video in videos * 2:
        assert numbers(read_frames(video, [0.1]).pixels) == [1]
    assert files_open() - before == 4


def test_a_video_that_was_replaced_is_read_as_it_is_now(make_video, numbers):
    video = make_video("video.mp4", 20)
    assert numbers(read_frames(video, [1.0]).pixels) == [10]
    stamps = [2 * i for i in range(10)]
    make_video("other.mp4", 10, stamps=stamps).replace(video)
    assert numbers(read_frames(video, [1.0]).pixels) == [5]


def test_threads_read_the_same_video_side_by_side(make_video, numbers):
    video = make_video("video.mp4", 40)
    found = {}

    def read_all(thread):
        order = [(7 * thread + 3 * i) % 40 for i in range(40)]
        found[thread] = [(n, numbers(read_frames(video, [n / 10]).pixels)) for n in order]

    threads = [threading.Thread(target=read_all, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(pairs) for pairs in found.values()] == [40, 40, 40]
    assert all(shown == [wanted] for pairs in found.values() for wanted, shown in pairs)


def read_beside(video, numbers, rounds):
    """Reads a video back and forth; true if every frame was the right one."""
    wanted = [(11 * i) % 40 for i in range(rounds)]
    return all(numbers(read_frames(video, [n / 10]).pixels) == [n] for n in wanted)


def child(video, numbers, begin):
    begin.wait()
    first = len(read._HANDLES) == 0
    os._exit(0 if first and read_beside(video, numbers, 60) else 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_opens_its_own(make_video, numbers):
    video = make_video("video.mp4", 40)
    read_frames(video, [0.0])
    context = multiprocessing.get_context("fork")
    begin = context.Event()
    beside = context.Process(target=child, args=(video, numbers, begin))
    beside.start()
    begin.set()
    assert read_beside(video, numbers, 60)
    beside.join(30)
    assert beside.exitcode == 0
