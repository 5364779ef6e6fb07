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
    assert found.stream == CASES[name].index(FILM)
    assert numbers(read_frames(video, [0.05, 1.25, 3.95]).pixels) == [0, 12, 39]


@pytest.mark.parametrize("trusted", [False, True])
def test_read_frames_of_several_streams_by_decord(tmp_path, trusted):
    """decord chooses for itself, and tells nobody which."""
    pytest.importorskip("decord")
    for name, streams in CASES.items():
        video = write(tmp_path / f"{name}.mp4", streams)
        assert probe(video).decord == "doubted"
        with pytest.raises(SumlError, match="several video streams"):
            read_frames(video, [0.05], decoder="decord", trusted=trusted)


def test_read_frames_of_a_still_alone(tmp_path, numbers):
    video = write(tmp_path / "still.mp4", [(1, 1, numbered.picture, True)])
    assert numbers(read_frames(video, [0.05]).pixels) == [0]
    assert probe(video, ask_decord=False).stream is None
