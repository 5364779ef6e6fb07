"""Short films of clips for the pair browser: a few frames side by side in one WebP.

The page moves such a sheet through a window one frame wide, so that a film needs no video decoder,
stands still until it is looked at, and can be printed. An MP4 of the same frames is about half as
large (8 against 15 KB), but not every browser decodes H.264, and it needs a poster beside it.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from sumlctl import console
from sumlctl.errors import SumlError
from sumlctl.learning.data import clips, requests
from sumlctl.learning.data.clips import Clip
from sumlctl.report.content.pairs import Pairs, evenly
from sumlctl.workspace import Workspace

if TYPE_CHECKING:
    from PIL.Image import Image

FRAMES = 12
HEIGHT = 90  # of a frame, pixels
_LONGEST_S = 4.0  # of a clip; of a longer one, its middle
_WIDEST = 2.0  # times its height; more is cut off both sides
# 200 pairs have 400 films; in base64 they leave room for the rest of a page of 10 MB.
MOST_BYTES = 14_000
# WebP's quality, and of how many frames one is kept: what is still too large has fewer.
_ATTEMPTS = ((60, 1), (45, 1), (30, 1), (15, 1), (15, 2), (5, 4))
_THREADS = 8


@dataclass(frozen=True)
class Film:
    """A clip as a sheet of frames.

    Args:
        source: WebP as a data URI.
        frames: how many, from left to right.
        width: of a frame in pixels.
        height: of a frame in pixels.
        seconds: how long the frames last.
    """

    source: str
    frames: int
    width: int
    height: int
    seconds: float


def films(workspace: Workspace, pairs: Pairs, count: int) -> dict[str, Film]:
    """Films of both clips of some pairs, at even steps from the most to the least similar.

    Args:
        workspace: where the tables are.
        pairs: the pairs.
        count: how many.

    Returns:
        clip_id -> film; clips that cannot be decoded are named on stderr and left out.

    Raises:
        SumlError: the clips of a view have no videos.
    """
    if not count:
        return {}
    made = pairs.config
    sides = (([made["fpv"]], "fpv"), (made["tpv"], "tpv"))
    known: dict[str, Clip] = {}
    for datasets, viewpoint in sides:
        found = clips.load(workspace, datasets, viewpoint, pairs.split)
        known |= {clip.clip_id: clip for clip in found.clips}
    columns = ("fpv_clip_id", "tpv_clip_id")
    decodable = pairs.rows.filter(pl.all_horizontal(pl.col(columns).is_in(list(known))))
    chosen = decodable[evenly(decodable.height, count)].select(columns)
    wanted = dict.fromkeys(clip_id for row in chosen.iter_rows() for clip_id in row)
    return dict(_filmed({clip_id: known[clip_id] for clip_id in wanted}))


def _filmed(wanted: Mapping[str, Clip]) -> Iterator[tuple[str, Film]]:
    """Threads are enough: decoding and compressing leave the interpreter to others."""
    workers = min(os.cpu_count() or 1, _THREADS)
    with (
        console.progress("previews", len(wanted), "clips") as bar,
        ThreadPoolExecutor(workers) as pool,
    ):
        for clip_id, found in zip(wanted, pool.map(_film, wanted.values()), strict=True):
            if isinstance(found, Film):
                yield clip_id, found
            else:
                console.warn(f"no preview of {clip_id}: {found}")
            bar.advance()


def _film(clip: Clip) -> Film | SumlError:
    every = clip.every_frame()
    middle, half = (every[0] + every[-1]) / 2, _LONGEST_S / 2
    first, last = max(every[0], middle - half), min(every[-1], middle + half)
    times_s = np.linspace(first, last, min(FRAMES, len(every)))
    try:
        pixels, _ = requests.decode(clip, times_s, HEIGHT)
    except SumlError as error:
        return error
    frames = [_scaled(frame) for frame in pixels]
    for quality, step in _ATTEMPTS:
        kept = frames[::step]
        if len(sheet := _sheet(kept, quality)) <= MOST_BYTES:
            break
    lasts_s = max(float(last - first), 1 / clip.fps)
    source = data_uri("image/webp", sheet)
    return Film(source, len(kept), kept[0].width, kept[0].height, round(lasts_s, 2))


def _scaled(pixels: np.ndarray) -> Image:
    """A frame as high as the page shows it, at most; the middle of one that is very wide."""
    from PIL import Image, ImageOps

    frame = Image.fromarray(pixels)
    height = min(frame.height, HEIGHT)
    width = round(height * min(frame.width / frame.height, _WIDEST))
    return ImageOps.fit(frame, (max(width, 1), height))


def _sheet(frames: Sequence[Image], quality: int) -> bytes:
    """Frames side by side, as WebP."""
    from PIL import Image

    width, height = frames[0].size
    sheet = Image.new("RGB", (width * len(frames), height))
    for place, frame in enumerate(frames):
        sheet.paste(frame, (place * width, 0))
    written = io.BytesIO()
    sheet.save(written, "WEBP", quality=quality, method=4)
    return written.getvalue()


def data_uri(kind: str, content: bytes) -> str:
    """Bytes as an address that holds them."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
