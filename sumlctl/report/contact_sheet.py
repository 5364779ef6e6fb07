"""A search as a picture: queries on the left, their best results to the right of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sumlctl import console, tables
from sumlctl.errors import SumlError
from sumlctl.report.pieces import (
    FAINT,
    INK,
    PAPER,
    beside,
    fitted,
    font,
    framed,
    stacked,
    text,
    wrapped,
)

if TYPE_CHECKING:
    from PIL.Image import Image

    from sumlctl.evaluation.retrieval.search import Answer
    from sumlctl.learning.data.clips import Clip

QUERIES, RESULTS = 8, 5
_WIDTH, _HEIGHT = 176, 132  # of a frame, pixels
_EDGE, _GAP = 5, 10
_LINES = 2  # of a narration
_FOUND, _MISSED = "#009E73", "#e4e4e4"  # green that colour-blind readers tell apart from grey
_BLANK = "#f3f3f3"

_MEANT = {
    "verb": "a verb in common",
    "noun": "a noun in common",
    "action": "an action in common",
    "both": "a verb and a noun in common",
    "iou": "the same verbs and nouns",
    "narration": "a similar narration",
}


def contact_sheet(answer: Answer, path: Path, count: int = QUERIES) -> None:
    """Draws queries, evenly spread over all, with their best results; relevant ones are framed.

    Frames are those in the middle of the clips. Clips without one get an empty tile and a line on
    stderr.

    Args:
        answer: a search.
        path: a PNG; whole or absent.
        count: how many queries, at most.
    """
    queries, base = answer.queries, answer.base
    every = len(queries.vectors)
    chosen = np.linspace(0, every - 1, min(count, every)).round().astype(int).tolist()
    tiles = _Tiles()
    rows = []
    for i in chosen:
        said = queries.narrations[i]
        mine = tiles.frame(queries.clips[i]) if queries.clips else _card(said)
        note = f"{answer.to_find[i]:,} to find" if answer.relevance else ""
        cells = [_cell(mine, said if queries.clips else "", note, PAPER)]
        found = zip(answer.row[i], answer.similarity[i], answer.relevant[i], strict=True)
        for at, cosine, hit in list(found)[:RESULTS]:
            edge = _FOUND if hit else _MISSED
            told = base.narrations[at]
            cells.append(_cell(tiles.frame(base.clips[at]), told, f"{cosine:.3f}", edge))
        rows.append(beside(cells, _GAP))
    title = f"{queries.name} → {base.name}: the best of {len(base.vectors):,} clips by cosine"
    legend = f"framed: {_MEANT[answer.relevance]}" if answer.relevance else "no labels to compare"
    heads = [text(title, font(17, bold=True)), text(legend, font(12), FAINT)]
    with tables.whole_file(path) as unfinished:
        framed(stacked([*heads, *rows], _GAP)).save(unfinished, format="PNG")


def _cell(frame: Image, narration: str, note: str, edge: str) -> Image:
    letters, width = font(12), _WIDTH + 2 * _EDGE
    lines = wrapped(narration, letters, width, _LINES)
    lines += [""] * (_LINES - len(lines))
    said = [text(line, letters, INK) for line in lines]
    return stacked([framed(frame, _EDGE, edge), text(note, font(11), FAINT), *said])


def _card(line: str) -> Image:
    """A text in place of a frame."""
    letters = font(15)
    lines = wrapped(line, letters, _WIDTH - 16, 5)
    card = stacked([text(fitted(one, letters, _WIDTH - 16), letters) for one in lines])
    return _centred(card, PAPER)


def _centred(piece: Image, ground: str) -> Image:
    from PIL import Image

    tile = Image.new("RGB", (_WIDTH, _HEIGHT), ground)
    tile.paste(piece, ((_WIDTH - piece.width) // 2, (_HEIGHT - piece.height) // 2))
    return tile


class _Tiles:
    """A frame of each clip, decoded once."""

    def __init__(self) -> None:
        self._known: dict[str, Image] = {}

    def frame(self, clip: Clip) -> Image:
        if clip.clip_id not in self._known:
            self._known[clip.clip_id] = self._decoded(clip)
        return self._known[clip.clip_id]

    def _decoded(self, clip: Clip) -> Image:
        from PIL import Image, ImageOps

        from sumlctl.learning.data.requests import decode

        every = clip.every_frame()
        try:
            pixels, _ = decode(clip, every[len(every) // 2 :][:1], _HEIGHT)
        except SumlError as error:
            console.warn(f"{clip.clip_id} has no frame to show: {error}")
            return Image.new("RGB", (_WIDTH, _HEIGHT), _BLANK)
        fitting = ImageOps.contain(Image.fromarray(pixels[0]), (_WIDTH, _HEIGHT))
        return _centred(fitting, _BLANK)
