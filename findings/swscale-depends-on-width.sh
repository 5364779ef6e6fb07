#!/bin/sh
# av 18.1.0 (libswscale 9.5): one grey-blue picture, turned from YUV 4:2:0 to RGB by
# `VideoFrame.reformat`, is 2 levels darker where the width asked for is even than where it is odd;
# and where chroma samples lie counts only when the picture is scaled. Readers that scale before or
# after a rotation, or at another width, therefore differ by more than rounding.
# Seen: 300 wide [224 183 133], 299 wide [226 184 134]; exact by BT.601: 226.07 184.04 134.48.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet av==18.1.0 numpy==1.26.4
"$folder/venv/bin/python" - <<'PYTHON'
from fractions import Fraction

import av
import numpy as np
from av.filter import Graph


def frame(chroma):
    made = av.VideoFrame(512, 512, "yuv420p")
    for plane, values in zip(made.planes, (180, *chroma)):
        np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:] = values
    made.pts, made.time_base = 0, Fraction(1, 25)
    return made


def rgb(picture, width):
    return picture.reformat(width, width, "rgb24", interpolation="BILINEAR").to_ndarray()


def placed(picture, place):
    graph = Graph()
    first = graph.add_buffer(
        width=512, height=512, format=picture.format, time_base=picture.time_base
    )
    second, last = graph.add("setparams", f"chroma_location={place}"), graph.add("buffersink")
    first.link_to(second)
    second.link_to(last)
    graph.configure()
    graph.push(picture)
    return graph.pull()


flat = frame((100, 150))
even, odd = rgb(flat, 300)[9, 9], rgb(flat, 299)[9, 9]
print("300 wide", even, "299 wide", odd)
assert even.tolist() == [224, 183, 133] and odd.tolist() == [226, 184, 134]

stripes = np.where(np.arange(256) // 4 % 2, 60, 200)
left, middle = (placed(frame((stripes, 128)), place) for place in ("left", "center"))
for width in (512, 256):
    apart = np.abs(rgb(left, width).astype(int) - rgb(middle, width)).max()
    print(width, "wide: chroma to the left or in the middle differ by", apart)
    assert (apart > 0) == (width < 512)
PYTHON
