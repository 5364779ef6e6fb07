"""Whose fault an error is: the video's, the program's, the installation's."""

from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
import pytest

from sumlctl.errors import InstallationError, ProgramError, SumlError
from sumlctl.jobs.executors import Local
from sumlctl.jobs.units import Work
from sumlctl.jobs.worker import answer
from sumlctl.video import installation, packets
from sumlctl.video.installation import (
    FILM,
    check_installation,
    read_film,
    with_fault_check,
)
from sumlctl.video.probe_many import probe_many

BROKEN = Path(__file__).parents[2] / "broken_av"
TYPE_ERROR = "TypeError: open() got an unexpected keyword argument 'metadata_errors'"


@pytest.fixture
def broken_av(monkeypatch):
    """Processes that are started from now on have a PyAV that opens nothing."""
    monkeypatch.setenv("PYTHONPATH", f"{BROKEN}{os.pathsep}{BROKEN.parents[1]}")


def test_film_shows_eight_greys_to_whoever_reads_it():
    """By PyAV alone, without this program."""
    with av.open(str(FILM)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert [picture.shape for picture in pictures] == [(48, 64, 3)] * 8
    np.testing.assert_allclose([p.mean() for p in pictures], np.arange(8) * 30, atol=3)
    assert FILM.stat().st_size < 4096


def test_read_film_of_a_sound_installation_says_nothing():
    assert read_film() is None
    check_installation(Local(1))


@pytest.mark.parametrize(
    "error",
    [
        TypeError("no such argument"),
        AttributeError("no such name"),
        ImportError("no such library"),
        NameError("no such name"),
        KeyError("no such key"),
        AssertionError("not so"),
    ],
)
def test_with_fault_check_an_error_that_nobody_foresaw_is_the_programs(error):
    @with_fault_check
    def read(item):
        raise error

    with pytest.raises(ProgramError) as caught:
        read("film.mp4")
    assert caught.value.__cause__ is error
    text = f"fault of the program, and not of the video, got {type(error).__name__}: {error};"
    assert text in str(caught.value)


def test_with_fault_check_names_the_place_in_the_program(monkeypatch):
    def refuse(*_, **__):
        raise TypeError("no such argument")

    scan = with_fault_check(packets.scan)
    with monkeypatch.context() as patch:
        patch.setattr(packets, "open_video", refuse)
        patch.setattr(installation, "read_film", lambda because_of: None)
        with pytest.raises(ProgramError, match=r"^sumlctl/video/packets\.py:\d+: fault of the pro"):
            scan(FILM)


@pytest.mark.parametrize(
    "error",
    [
        SumlError("v.mp4", "damaged", got="a", expected="b", fix="c"),
        FileNotFoundError(2, "No such file"),
        av.error.InvalidDataError(1, "Invalid data"),
        MemoryError(),
    ],
)
def test_with_fault_check_what_a_file_or_the_system_says_is_passed_on(error, monkeypatch):
    def fail(because_of):
        raise AssertionError("nothing was to be asked")

    @with_fault_check
    def read(item):
        raise error

    monkeypatch.setattr(installation, "read_film", fail)
    with pytest.raises(type(error)) as caught:
        read("film.mp4")
    assert caught.value is error


def test_with_fault_check_an_installation_that_reads_nothing_is_at_fault(monkeypatch):
    def refuse(*_, **__):
        raise TypeError("open() got an unexpected keyword argument 'metadata_errors'")

    monkeypatch.setattr(av, "open", refuse)
    failure = answer(with_fault_check(packets.scan), FILM)
    assert isinstance(failure.error, InstallationError)
    assert f"got {TYPE_ERROR} (av {av.__version__}); expected a PyAV" in failure.reason


@pytest.mark.parametrize("pictures", [np.zeros((8, 48, 64, 3), np.uint8), None])
def test_read_film_wrong_pictures_and_silent_refusals_count(monkeypatch, pictures):
    from sumlctl.video import read

    def read_frames(path, times_s, **_):
        if pictures is None:
            raise SumlError(path, "cannot be read", got="", expected="", fix="")
        return read.Frames(pictures, np.array(times_s), "pyav", np.array(times_s) + 0.1)

    monkeypatch.setattr(read, "read_frames", read_frames)
    with pytest.raises(InstallationError, match="cannot be read either, so no video is at fault"):
        read_film()


@pytest.mark.usefixtures("broken_av")
def test_check_installation_asks_where_videos_are_read():
    with pytest.raises(InstallationError, match="TypeError") as caught:
        check_installation(Local(1))
    assert av.__version__ in str(caught.value)


@pytest.mark.usefixtures("broken_av")
def test_probe_many_ends_at_a_broken_installation(make_video, tmp_path):
    video = make_video("sound.mp4")
    with pytest.raises(InstallationError, match="TypeError"):
        list(probe_many({video: None}, Work(tmp_path / "units"), Local(1)))
    assert not (tmp_path / "units").exists()
