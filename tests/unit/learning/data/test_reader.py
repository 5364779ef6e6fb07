"""Windows on their way: what is kept, what is given up, what is in quarantine."""

from __future__ import annotations

import os
import time
from itertools import count

import av
import numpy as np
import pytest

from sumlctl import config
from sumlctl.errors import InstallationError, SumlError
from sumlctl.jobs import deadline
from sumlctl.learning.data import requests as reading
from sumlctl.learning.data.clips import Clip
from sumlctl.learning.data.ordered_reads import SingleWindow, read_in_order
from sumlctl.learning.data.reader import Reader, open_reader
from sumlctl.learning.data.requests import Failure, Window
from tests.processes import workers
from tests.unit.learning import hostile, small_world
from tests.unit.learning.hostile import decoder_stub  # noqa: F401, a fixture
from tests.unit.video import numbered as numbers


@pytest.fixture
def numbered(tmp_path):
    """Eight frames at 10 fps, each of its own grey."""
    path = tmp_path / "numbered.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(8):
            picture = np.full((48, 64, 3), 30 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    return path


def greys(pixels):
    return np.round(pixels[:, 0, 0, 0] / 30).astype(int).tolist()


def read(reader, *windows):
    wanted = (SingleWindow(window, np.copy) for window in windows)
    return [one.result for one in reader.ahead(read_in_order(reader, wanted, 8))]


@pytest.mark.parametrize("cache_mb", [0, 64])
def test_a_clip_that_starts_between_frames_loses_none(numbered, cache_mb):
    """From 0.17 s to 0.65 s frames 1 to 5 are on screen."""
    clip = Clip("d/0", numbered, 0.17, 0.65, 10.0)
    with Reader(0, 60, 512, cache_mb) as reader:
        window = Window(clip, clip.window(6, 1, 1.0), 48, keep=True)
        assert [greys(pixels) for pixels in read(reader, window, window)] == [
            [1, 2, 3, 4, 5, 5]
        ] * 2


# When ten pictures come on screen, ms; on average one comes every 0.2 s.
BURSTS = [0, 10, 20, 30, 500, 510, 1500, 1510, 1520, 2000]


@pytest.mark.parametrize("cache_mb", [0, 64])
def test_a_kept_clip_shows_what_each_window_would(tmp_path, cache_mb):
    """The frame on screen, and none that is on screen within a millisecond after."""
    uneven = numbers.write(tmp_path / "uneven.mp4", 10, ticks=1000, stamps=BURSTS)
    fast = numbers.write(tmp_path / "fast.mp4", 40, ticks=2400)
    steady = numbers.write(tmp_path / "steady.mp4", 40, ticks=30)
    kept = [
        (
            Clip("d/0", uneven, 0, 2.001, 5.0),
            [0.005, 0.015, 0.025, 0.4, 1.515, 1.7],
            [0, 1, 2, 3, 7, 8],
        ),
        (
            Clip("d/1", fast, 0, 40 / 2400, 2400.0),
            [n / 2400 + 1e-4 for n in range(39)],
            [*range(39)],
        ),
        (
            Clip("d/2", steady, 0, 40 / 30, 30.0),
            [n / 30 - 0.0007 for n in range(1, 40)],
            [*range(39)],
        ),
    ]
    with Reader(0, 60, 512, cache_mb) as reader:
        for clip, times_s, wanted in kept:
            window = Window(clip, np.array(times_s), 32, keep=True)
            for pixels in read(reader, window, window):
                assert numbers.read_off(pixels) == wanted
        assert len(reader._cache._clips) == (3 if cache_mb else 0)


@pytest.fixture
def asked(monkeypatch):
    """What a decoder that knows only times from 0.2 s on is asked for."""
    requests = []

    def answer(request):
        requests.append(request)
        if request.times_s[0] < 0.2:
            raise SumlError(request.path, "damaged", got="0 s", expected="", fix="")
        pixels = np.zeros((len(request.times_s), 36, 64, 3), np.uint8)
        pixels[:] = np.round(request.times_s * 100).reshape(-1, 1, 1, 1)
        return pixels, request.times_s + 0.05 if request.whole else request.times_s

    monkeypatch.setattr(reading, "answer", answer)
    return requests


def test_whole_clips_are_kept_while_there_is_room(asked, tmp_path):
    starts = (0.2, 0.5, 0.9)
    clips = [Clip(f"d/{i}", tmp_path, t, t + 1, 10.0) for i, t in enumerate(starts)]
    frame = 3 * 36 * 64
    kept = 2 * 10 * frame  # of two clips
    with Reader(0, 60, 512) as reader:
        reader._cache.size = kept
        windows = [Window(clip, clip.window(2, 1, 0.5), 36, keep=True) for clip in clips]
        first, second = (read(reader, *windows) for _ in range(2))
        assert [len(request.times_s) for request in asked] == [10, 10, 2, 2]
        assert (reader._cache.held, reader._cache.reserved) == (kept, 0)
    for a, b, window in zip(first, second, windows, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(a[:, 0, 0, 0], window.times_s * 100, atol=10)


def test_a_clip_that_is_not_whole_still_has_its_windows(asked, tmp_path):
    clip = Clip("d/0", tmp_path, 0.0, 1.0, 10.0)
    with Reader(0, 60, 512, 64) as reader:
        last, first = read(reader, *(Window(clip, np.array([t]), 36, True) for t in (0.5, 0.0)))
    assert last[0, 0, 0, 0] == 50
    assert isinstance(first, Failure) and "damaged" in first.reason
    assert [len(request.times_s) for request in asked] == [10, 1, 10, 1]


def test_a_consumer_may_stop_and_begin_again(numbered):
    clip = Clip("d/0", numbered, 0.0, 0.8, 10.0)

    def endless():
        return (SingleWindow(Window(clip, np.array([i % 8 / 10]), 48), np.copy) for i in count())

    with Reader(2, 60, 512) as reader:
        for _ in range(3):
            for i, one in enumerate(reader.ahead(read_in_order(reader, endless(), 4))):
                assert greys(one.result) == [i % 8]
                if i == 5:
                    break
    assert not workers()


@pytest.mark.usefixtures("decoder_stub")
def test_nobody_waits_for_a_file_that_hangs_once_it_is_not_wanted(numbered):
    hostile.corrupt(numbered, "hang")
    whole = Window(Clip("d/0", numbered.with_suffix(".whole.mp4"), 0, 1, 10.0), np.zeros(1), 48)
    hanging = Window(Clip("d/1", numbered, 0, 1, 10.0), np.zeros(1), 48)
    with pytest.raises(ZeroDivisionError), Reader(2, 600, 512) as reader:
        wanted = (SingleWindow(window, np.copy) for window in (whole, hanging, whole))
        for _ in reader.ahead(read_in_order(reader, wanted, 3)):
            began = time.monotonic()
            raise ZeroDivisionError
    assert time.monotonic() < began + 10
    assert not workers()


@pytest.mark.usefixtures("decoder_stub")
def test_quarantine_outlasts_the_reading_and_can_be_told(numbered):
    hostile.corrupt(numbered, "exit")
    window = Window(Clip("d/0", numbered, 0, 1, 10.0), np.zeros(1), 48)
    with Reader(1, 60, 512) as reader:
        (failure,) = read(reader, window)
        assert failure == Failure("d/0", hostile.REASONS["exit"], str(numbered))
        assert reader.quarantined == [failure]
        pids = workers()
        again = read(reader, window)
        assert again == [Failure("d/0", f"in quarantine: {failure.reason}")]
        assert workers() == pids
    with Reader(1, 60, 512) as reader:
        reader.quarantine([failure])
        assert read(reader, window) == again
        assert not workers()


@pytest.mark.usefixtures("decoder_stub")
def test_reader_file_that_was_stuck_once_is_read(numbered):
    """As where a disk paused: no quarantine, and no other decoder."""
    hostile.corrupt(numbered, "pause")
    window = Window(Clip("d/0", numbered, 0, 1, 10.0), np.zeros(1), 48, keep=True)
    with Reader(1, 0.3, 512, cache_mb=64) as reader:
        (pixels,) = read(reader, window)
        assert greys(pixels) == [0]
        assert reader.quarantined == []
        assert reader._first_loss == {}


@pytest.mark.usefixtures("decoder_stub")
def test_reader_file_that_is_always_stuck_is_in_quarantine_where_others_are_read(
    numbered, monkeypatch
):
    monkeypatch.setattr(deadline, "STUCK", 2)
    hostile.corrupt(numbered, "stuck")
    stuck = Window(Clip("d/0", numbered, 0, 1, 10.0), np.zeros(1), 48)
    sound = Window(Clip("d/1", numbered.with_suffix(".whole.mp4"), 0, 1, 10.0), np.zeros(1), 48)
    reason = "no sign of work for 0.6 s; with decord: no sign of work for 0.6 s"
    with Reader(1, 0.3, 512) as reader:
        assert read(reader, stuck) == [Failure("d/0", reason)]  # the machine may be at fault
        assert reader.quarantined == []
        failed, pixels = read(reader, stuck, sound)
        assert failed == Failure("d/0", reason, str(numbered))
        assert greys(pixels) == [0]
        assert reader.quarantined == [failed]


@pytest.mark.parametrize("processes", [0, 1])
def test_reader_fault_of_the_program_is_shown_and_costs_no_file(
    workspace, monkeypatch, capsys, processes
):
    small_world.build(workspace)
    root, table = workspace.data("ego", "videos"), workspace.table("ego", "videos")
    before = table.read_bytes()
    hostile.corrupt(root / "v0.mp4", "bug")
    words = [f"workers={processes}", *hostile.LIMITS]
    pipeline = config.load(workspace.pipelines / "small.toml", words)
    monkeypatch.setenv("PYTHONPATH", hostile.python_path())
    if not processes:
        monkeypatch.setattr(reading, "read_frames", _refuse_words(reading.read_frames))
    windows = [
        Window(Clip(f"ego/{i}", root / f"v{i % 2}.mp4", 0, 1, 8.0), np.zeros(1), 48, keep=True)
        for i in range(4)
    ]
    with open_reader(workspace, pipeline) as reader:
        first, _, second, _ = read(reader, *windows)
        assert reader.quarantined == []
        assert reader.sound == {str(root / "v1.mp4")}
    for failure, clip_id in ((first, "ego/0"), (second, "ego/2")):
        assert (failure.clip_id, failure.file) == (clip_id, "")
        assert failure.reason.startswith("sumlctl/learning/data/requests.py:")
        text = "fault of the program, and not of the video, got TypeError: NoneType where a rate"
        assert text in failure.reason
    assert table.read_bytes() == before
    assert capsys.readouterr().err.count("fault of the program") == 1


def _refuse_words(read_frames):
    """As the stub does in other processes."""

    def refuse(path, times_s, **options):
        if path.read_bytes()[:3] == b"bug":
            raise TypeError("NoneType where a rate should be")
        return read_frames(path, times_s, **options)

    return refuse


@pytest.mark.parametrize("processes", [0, 2])
def test_reader_broken_installation_ends_it_and_marks_nothing(workspace, monkeypatch, processes):
    """Not even a file that cost a process before."""
    small_world.build(workspace)
    root, table = workspace.data("ego", "videos"), workspace.table("ego", "videos")
    before = table.read_bytes()
    pipeline = config.load(workspace.pipelines / "small.toml", [f"workers={processes}"])
    windows = [
        Window(Clip(f"ego/{i}", root / f"v{i}.mp4", 0, 1, 8.0), np.zeros(1), 48) for i in range(3)
    ]
    broken = hostile.ROOT / "tests" / "broken_av"
    monkeypatch.setenv("PYTHONPATH", f"{broken}{os.pathsep}{hostile.ROOT}")
    if not processes:
        monkeypatch.setattr(av, "open", lambda *_, **__: {}["metadata_errors"])
    lost = Failure("ego/7", "worker died", str(root / "v7.mp4"))
    with (
        pytest.raises(InstallationError, match=rf"Error: .*metadata_errors.*av {av.__version__}"),
        open_reader(workspace, pipeline) as reader,
    ):
        reader.quarantine([lost])
        read(reader, *windows)
    assert table.read_bytes() == before
    assert not workers()


@pytest.mark.usefixtures("decoder_stub")
def test_a_machine_that_fails_every_video_marks_none(workspace, capsys):
    small_world.build(workspace)
    root = workspace.data("ego", "videos")
    table = workspace.table("ego", "videos")
    before = table.read_bytes()
    pipeline = config.load(workspace.pipelines / "small.toml", ["workers=1", *hostile.LIMITS])
    windows = []
    for i in range(3):
        hostile.corrupt(root / f"v{i}.mp4", "exit")
        windows.append(Window(Clip(f"ego/{i}", root / f"v{i}.mp4", 0, 1, 8.0), np.zeros(1), 48))
    whole = Window(Clip("ego/4", root / "v4.mp4", 0, 1, 8.0), np.zeros(1), 48)
    with open_reader(workspace, pipeline) as reader:
        read(reader, *windows, whole)
    assert table.read_bytes() == before
    assert "3 videos cost the processes that decoded them, 1 did not" in capsys.readouterr().err
