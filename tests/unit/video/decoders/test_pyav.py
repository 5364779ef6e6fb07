"""The shortcut over packets against decoding every frame, and how frames are scaled."""

from __future__ import annotations

import random

import av
import numpy as np
import pytest
from PIL import Image

from sumlctl.video.decoders import pyav
from sumlctl.video.decoders.pyav import PyavDecoder
from sumlctl.video.streams import ROUNDING_S

VARIABLE = [0, 40, 80, 300, 333, 900, 901, 1500, 1533, 2000]
B_FRAMES = {"x264-params": "b-adapt=0:bframes=3:b-pyramid=none:scenecut=0"}
KINDS = {
    "b_frames.mp4": {"options": B_FRAMES},
    "pyramid.mkv": {"options": {"x264-params": "b-adapt=0:bframes=5:b-pyramid=strict"}},
    "all_p.mp4": {"b_frames": 0},
    "open_gop.mp4": {"options": {"x264-params": "open-gop=1:scenecut=0"}},
    "short_open_gops.mp4": {"gop": 5, "options": {"x264-params": "open-gop=1:scenecut=0"}},
    "short_closed_gops.mp4": {"gop": 5, "options": {"x264-params": "open-gop=0:scenecut=0"}},
    "edited.mp4": {"shift": 5},
    "variable.mp4": {"n": 10, "ticks": 1000, "stamps": VARIABLE},
}


def spy(monkeypatch, method):
    """What a method of PyavDecoder returned, call by call."""
    returned = []
    original = getattr(PyavDecoder, method)

    def call(*args):
        returned.append(original(*args))
        return returned[-1]

    monkeypatch.setattr(PyavDecoder, method, call)
    return returned


@pytest.mark.parametrize("name", KINDS)
def test_the_shortcut_gives_what_all_frames_give(make_video, monkeypatch, name):
    video = make_video(name, **KINDS[name])
    short, slow = PyavDecoder(video), PyavDecoder(video)
    monkeypatch.setattr(slow, "_skips", False)
    taken = spy(monkeypatch, "_by_packets")
    draw = random.Random(name)
    for _ in range(20):
        begin, step = draw.uniform(0, 1.9), draw.choice([0.01, 0.1, 0.2, 0.37])
        times = [time for i in range(8) if (time := begin + i * step) < 2.0]
        mine, all_of_them = short.read(times, None), slow.read(times, None)
        assert np.array_equal(mine.pixels, all_of_them.pixels)
        assert mine.begins_s == pytest.approx(all_of_them.begins_s)
        assert mine.ends_s == pytest.approx(all_of_them.ends_s)
        assert (mine.begins_s <= np.array(times) + ROUNDING_S).all()
        assert (mine.ends_s > times).all()
    shortcuts = sum(found is not None for found in taken)
    # There is no shortcut through a group of pictures whose first one is hidden.
    assert 0 < shortcuts < 20 if name == "edited.mp4" else shortcuts == 20


class Counted:
    """A codec that counts the frames which it decodes."""

    def __init__(self, codec):
        self.codec, self.frames = codec, 0

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if name == "skip_frame":
            self.codec.skip_frame = value

    def decode(self, packet):
        frames = self.codec.decode(packet)
        self.frames += len(frames)
        return frames


def is_referred_to(packet):
    """Whether a packet of H.264 in MP4 says that other pictures may need it (nal_ref_idc)."""
    content, place = bytes(packet), 0
    while place < len(content):
        kind = content[place + 4] & 31
        if kind in (1, 5):
            return content[place + 4] >> 5 > 0
        place += 4 + int.from_bytes(content[place : place + 4], "big")
    raise AssertionError("no picture in it")


def test_pictures_that_nothing_refers_to_are_not_decoded(make_video):
    video = make_video("b_frames.mp4", 40, gop=40, options=B_FRAMES)
    with av.open(str(video)) as container:
        needed = sum(is_referred_to(p) for p in container.demux(video=0) if p.size)
    assert needed < 30
    decoder = PyavDecoder(video)
    decoder._codec = counted = Counted(decoder._codec)
    assert decoder.read([0.0, 3.9], None).begins_s == pytest.approx([0.0, 3.9])
    assert counted.frames == needed
    counted.frames = 0
    decoder.read([0.0, 0.1], None)
    assert counted.frames < 8  # and nothing after the last wanted one


GROUPS_OF_FIVE = {"gop": 5, "options": {"x264-params": "open-gop=0:scenecut=0:b-adapt=0"}}


def test_groups_without_a_wanted_frame_are_not_decoded(make_video, numbers):
    video = make_video("groups.mp4", 40, b_frames=0, **GROUPS_OF_FIVE)
    decoder = PyavDecoder(video)
    decoder._codec = counted = Counted(decoder._codec)
    # Of each group, what precedes the wanted frame: 3, none, none, 1, none, 5.
    found = decoder.read([0.2, 1.5, 2.9], None)
    assert (numbers(found.pixels), counted.frames) == ([2, 15, 29], 3 + 1 + 5)


def test_what_follows_the_last_wanted_frame_of_a_group_is_not_decoded(make_video, numbers):
    """With two frames between others that refer to them: I b b P b, decoded as I P b b P."""
    decoder = PyavDecoder(make_video("groups.mp4", 40, **GROUPS_OF_FIVE))
    decoder._codec = counted = Counted(decoder._codec)
    assert numbers(decoder.read([0.0, 1.0, 2.0], None).pixels) == [0, 10, 20]
    assert counted.frames == 3


def recovery_points(video):
    """Frames that the file calls keyframes although they are not IDR pictures."""
    with av.open(str(video)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    kinds = {}
    for packet in packets:
        content, place, found = bytes(packet), 0, []
        while place < len(content):
            found.append(content[place + 4] & 31)
            place += 4 + int.from_bytes(content[place : place + 4], "big")
        kinds[packet.pts] = packet.is_keyframe and 5 not in found
    return [number for number, pts in enumerate(sorted(kinds)) if kinds[pts]]


@pytest.mark.parametrize("parameters", ["open-gop=1:scenecut=0", "intra-refresh=1"])
def test_keyframes_that_others_reach_across_do_not_end_a_group(make_video, numbers, parameters):
    video = make_video("points.mp4", 40, gop=6, options={"x264-params": parameters})
    assert recovery_points(video)
    decoder = PyavDecoder(video)
    for first in range(0, 40, 3):
        for last in range(first, 40, 5):
            found = decoder.read([first / 10, last / 10], None)
            assert numbers(found.pixels) == [first, last]


def test_stripes_too_fine_for_the_size_become_grey(make_video):
    def stripes(number):
        columns = np.arange(256) % 2 * 255
        return np.broadcast_to(columns.astype(np.uint8)[None, :, None], (128, 256, 3)).copy()

    video = make_video("stripes.mp4", 2, paint=stripes, pix_fmt="yuv444p", options={"qp": "0"})
    [small] = PyavDecoder(video).read([0.0], 32).pixels
    assert small.shape == (32, 64, 3)
    assert np.abs(small[:, 2:-2].astype(int) - 128).max() < 8


def test_scaling_is_the_antialiased_bilinear_of_pillow(make_video):
    def blobs(number):
        noise = np.random.default_rng(number).integers(0, 256, (9, 16, 3), dtype=np.uint8)
        return np.asarray(Image.fromarray(noise).resize((256, 144), Image.Resampling.BICUBIC))

    video = make_video("blobs.mp4", 3, paint=blobs, pix_fmt="yuv444p", options={"qp": "0"})
    decoder = PyavDecoder(video)
    [full], [small] = (decoder.read([0.15], side).pixels for side in (None, 50))
    theirs = Image.fromarray(full).resize((89, 50), Image.Resampling.BILINEAR)
    assert small.shape == (50, 89, 3)
    assert np.abs(small.astype(int) - np.asarray(theirs)).mean() < 1.0


def test_a_long_way_to_a_frame_is_gone_without_looking_ahead(make_video, monkeypatch):
    decoder = PyavDecoder(make_video("long.mp4", 40, gop=40))
    monkeypatch.setattr(pyav, "_MOST_AHEAD", 100)
    assert decoder._by_packets([3.0], None) is None
    assert decoder.read([3.0], None).begins_s == pytest.approx([3.0])
