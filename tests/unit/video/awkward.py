"""Sound videos of awkward kinds: how `numbered.write` makes each of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.unit.video.numbered import picture

OPEN_GOP = {"x264-params": "open-gop=1:scenecut=0"}
INTRA_REFRESH = {"x264-params": "intra-refresh=1:keyint=12"}
X265 = {"x265-params": "log-level=none"}


def larger(rows, columns):
    """Paints pictures with a grey margin right and below."""

    def paint(number):
        return np.pad(picture(number), ((0, rows), (0, columns), (0, 0)), constant_values=128)

    return paint


def lying(degrees):
    """Paints pictures that are upright when they are turned counter-clockwise by `degrees`."""
    return lambda number: np.ascontiguousarray(np.rot90(picture(number), -degrees // 90))


def in_mirror(degrees):
    """Paints pictures that are upright when they are mirrored and turned by `degrees`."""
    return lambda number: np.ascontiguousarray(lying(degrees)(number)[:, ::-1])


AWKWARD: dict[str, dict[str, Any]] = {
    "a name with spaces.mp4": {},
    "-leading-dash.mp4": {},
    "größer \N{CJK UNIFIED IDEOGRAPH-5F71}.mp4": {},
    "100%d:\n'\"*.mp4": {},
    "wrong.txt": {"container": "mp4"},
    "wrong.mp4": {"container": "avi"},
    "odd.mp4": {"paint": larger(3, 1), "pix_fmt": "yuv444p"},
    "odd.webm": {"paint": larger(3, 1), "codec": "libvpx-vp9"},
    "turned_90.mp4": {"paint": lying(90), "rotation": 90},
    "turned_180.mov": {"paint": lying(180), "rotation": 180},
    "turned_270.mp4": {"paint": lying(270), "rotation": 270},
    "mirrored.mp4": {"paint": in_mirror(0), "matrix": (-1, 0, 0, 1)},
    "mirrored_180.mp4": {"paint": in_mirror(180), "matrix": (1, 0, 0, -1)},
    "transposed.mp4": {"paint": in_mirror(90), "matrix": (0, 1, 1, 0)},
    "transposed_back.mp4": {"paint": in_mirror(270), "matrix": (0, -1, -1, 0)},
    "ten_bits.mp4": {"pix_fmt": "yuv420p10le"},
    "open_gop.mp4": {"options": OPEN_GOP},
    "no_keyframes.mp4": {"options": INTRA_REFRESH, "b_frames": 0, "gop": 1000},
    "hevc.mp4": {"codec": "libx265", "options": X265},
    "hevc_ten_bits.mkv": {"codec": "libx265", "options": X265, "pix_fmt": "yuv420p10le"},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "av1.mp4": {"codec": "libsvtav1", "paint": larger(32, 0)},
    "mpeg4.avi": {"codec": "mpeg4"},
    "mpeg4.mp4": {"codec": "mpeg4"},
    "cut_by_edit_list.mp4": {"shift": 5},
}
# Frames at the beginning that a player does not show.
HIDDEN = {"cut_by_edit_list.mp4": 5}
