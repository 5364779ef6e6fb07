"""Which decoder read a clip does not show in its pictures: at full size and scaled."""

from __future__ import annotations

import numpy as np
import pytest

from sumlctl.errors import SumlError
from sumlctl.video.probe import probe
from sumlctl.video.read import read_frames

pytest.importorskip("decord")

MEAN, LARGEST = 0.5, 4


def apart(video, times_s, short_side):
    """Mean and largest difference of the two decoders' 8-bit values."""
    ours, theirs = (
        read_frames(video, times_s, short_side=short_side, decoder=name)
        for name in ("pyav", "decord")
    )
    difference = np.abs(ours.pixels.astype(int) - theirs.pixels)
    return difference.mean(), difference.max()


def blocks(number):
    """Squares of random colours, whose edges do not fall between chroma samples."""
    colours = np.random.default_rng(number).integers(0, 256, (17, 30, 3), dtype=np.uint8)
    return np.kron(colours, np.ones((7, 9, 1), np.uint8))[:112, :256]


@pytest.mark.parametrize("short_side", [None, 64, 61, 33])
@pytest.mark.parametrize(("pix_fmt", "rotation"), [("yuv420p", 0), ("yuv420p", 90), ("yuv422p", 0)])
def test_read_frames_by_either_decoder(make_video, pix_fmt, rotation, short_side):
    video = make_video("v.mp4", 8, paint=blocks, pix_fmt=pix_fmt, rotation=rotation)
    mean, largest = apart(video, [0.05, 0.45], short_side)
    assert mean <= MEAN
    assert largest <= LARGEST


def test_read_frames_of_real_clips_by_either_decoder(shared_data):
    compared = 0
    for video in sorted((shared_data / "videos").glob("*/*")):
        found = probe(video, ask_decord=False)
        if found.status != "ok" or found.codec != "h264":
            continue
        times_s = [found.duration_s * share for share in (0.1, 0.6)]
        for short_side in (None, 128):
            try:
                mean, largest = apart(video, times_s, short_side)
            except SumlError:
                continue  # decord is not trusted with it
            assert mean <= MEAN, (video.name, short_side)
            assert largest <= LARGEST, (video.name, short_side)
            compared += 1
    assert compared >= 50
