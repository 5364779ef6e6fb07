"""Which of a file's video streams is the film."""

from __future__ import annotations

import pytest

from sumlctl.errors import SumlError
from sumlctl.video.probe import probe
from sumlctl.video.read import read_frames
from tests.unit.video import numbered
from tests.unit.video.several import CASES, FILM, N, write


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("name", CASES)
def test_read_frames_of_several_streams(tmp_path, numbers, name, container):
    video = write(tmp_path / f"{name}.{container}", CASES[name])
    found = probe(video, ask_decord=False)
    assert (found.width, found.height, found.n_frames) == (128, 32, N)
    assert numbers(read_frames(video, [0.05, 1.25, 3.95]).pixels) == [0, 12, 39]


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("name", CASES)
def test_read_frames_of_several_streams_by_decord(tmp_path, numbers, name, container):
    """decord chooses for itself; where that is another stream, it is refused."""
    pytest.importorskip("decord")
    video = write(tmp_path / f"{name}.{container}", CASES[name])
    try:
        frames = read_frames(video, [0.05, 1.25, 3.95], decoder="decord")
    except SumlError as error:
        assert "decord" in str(error)
    else:
        assert numbers(frames.pixels) == [0, 12, 39]


def test_read_frames_of_two_films_of_one_size_by_decord(tmp_path):
    """Pictures that agree where they are compared do not tell which of them decord reads."""
    pytest.importorskip("decord")
    video = write(tmp_path / "two.mp4", [FILM, (N, 1, numbered.picture, False)])
    with pytest.raises(SumlError, match="several video streams of one size"):
        read_frames(video, [0.05], decoder="decord")


def test_read_frames_of_a_still_alone(tmp_path, numbers):
    video = write(tmp_path / "still.mp4", [(1, 1, numbered.picture, True)])
    assert numbers(read_frames(video, [0.05]).pixels) == [0]
