"""Awkward and broken files: what probing says of each, and no frame that is not the right one."""

from __future__ import annotations

import random

import av
import numpy as np
import pytest

from sumlctl.errors import SumlError
from sumlctl.video.probe import probe
from sumlctl.video.read import read_frames
from tests.unit.video.awkward import AWKWARD, HIDDEN
from tests.unit.video.numbered import noisy


@pytest.mark.parametrize("name", AWKWARD)
def test_an_awkward_file_is_read_rightly_in_any_order(make_video, numbers, name):
    video = make_video(name, 40, **AWKWARD[name])
    hidden = HIDDEN.get(name, 0)
    shown = list(range(hidden, 40))
    found = probe(video, ask_decord=False)
    assert (found.status, found.n_frames) == ("ok", len(shown))
    assert found.duration_s == pytest.approx(len(shown) / 10, abs=2e-3)
    windows = [shown[begin : begin + 12 : 3] for begin in (20, 0, len(shown) - 4, 11, 21)]
    for wanted in windows:
        frames = read_frames(video, [(number - hidden) / 10 + 0.05 for number in wanted])
        assert frames.pixels.shape[1:3] == (found.height, found.width)
        assert numbers(frames.pixels) == wanted
        assert frames.decoder == "pyav"


CONTAINERS = {
    "end.mp4": {},  # its index is at the end
    "begin.mp4": {},
    "short_groups.mkv": {"gop": 4},
    "one_group.mkv": {"gop": 1000},
    "h264.avi": {},
    "vp9.webm": {"codec": "libvpx-vp9"},
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_file_cut_at_any_tenth_is_read_up_to_the_cut(make_video, moov_first, numbers, name):
    video = make_video(name, 40, paint=noisy, **CONTAINERS[name])
    if name == "begin.mp4":
        moov_first(video)
    whole = video.read_bytes()
    counts = []
    for tenth in range(1, 10):
        video.write_bytes(whole[: len(whole) * tenth // 10])
        found = probe(video)
        if found.status == "unreadable":
            assert found.error
            with pytest.raises(SumlError, match=name):
                read_frames(video, [0.05])
            counts.append(0)
            continue
        counts.append(found.n_frames)
        promised = list(range(found.n_frames))
        frames = read_frames(video, [number / 10 + 0.05 for number in promised])
        assert numbers(frames.pixels) == promised
        with pytest.raises(SumlError, match=name):
            read_frames(video, [found.duration_s + 0.2])
    assert counts == sorted(counts)
    assert (counts[-1] > 30) == (name != "end.mp4")


@pytest.mark.parametrize("flips", [300, 5])
@pytest.mark.parametrize("name", ["flipped.mp4", "flipped.avi"])
def test_flipped_bits_are_refused_where_they_show(make_video, numbers, name, flips):
    video = make_video(name, 40, paint=noisy)
    whole = video.read_bytes()
    right = refused = 0
    for seed in range(4):
        draw = random.Random(seed)
        content = bytearray(whole)
        for _ in range(flips):
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        video.write_bytes(content)
        assert probe(video).status in {"ok", "unreadable"}
        for number in range(0, 40, 4):
            try:
                frames = read_frames(video, [number / 10 + 0.05])
            except SumlError:
                refused += 1
            else:
                assert numbers(frames.pixels) == [number]
                right += 1
    assert refused > 0
    assert (right > 0) == (flips == 5)  # 300 hit every group of pictures


def test_audio_alone_is_no_video(tmp_path):
    path = tmp_path / "audio.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 16000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    assert probe(path).error == "no video stream"
    with pytest.raises(SumlError, match=r"audio.mp4: no video stream"):
        read_frames(path, [0.0])


def test_frames_without_timestamps_are_refused(make_video):
    bare = make_video("bare.h264", 40, b_frames=0)
    assert probe(bare).error == "no frame decodes: no frame with a timestamp"
    with pytest.raises(SumlError, match=r"bare.h264: no frame decodes"):
        read_frames(bare, [0.0])


def test_one_frame_is_there_while_it_lasts(make_video, numbers):
    video = make_video("one.mp4", 1)
    assert numbers(read_frames(video, [0.0, 0.09]).pixels) == [0, 0]
    with pytest.raises(SumlError, match=r"ends after 0\.1 s"):
        read_frames(video, [0.0, 0.2])
