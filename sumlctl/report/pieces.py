"""Pictures put together from pieces: lines of text and images, in rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

INK, FAINT, PAPER = "#1a1a1a", "#6b6b6b", "#ffffff"


@cache
def font(size: int, bold: bool = False) -> Any:
    """DejaVu Sans, which comes with matplotlib and knows most alphabets.

    Args:
        size: in pixels.
        bold: whether it is.
    """
    import matplotlib as mpl
    from PIL import ImageFont

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / name), size)


def fitted(line: str, letters: Any, width: float) -> str:
    """The line, or as much of its begin as fits a width in pixels, with an ellipsis."""
    if letters.getlength(line) <= width:
        return line
    kept = len(line)
    while kept and letters.getlength(line[:kept].rstrip() + "…") > width:
        kept -= 1
    return line[:kept].rstrip() + "…"


def wrapped(line: str, letters: Any, width: float, lines: int) -> list[str]:
    """The line broken between words into at most so many of a width in pixels, each fitted."""
    broken: list[str] = []
    for word in line.split():
        longer = f"{broken[-1]} {word}" if broken else word
        if broken and (letters.getlength(longer) <= width or len(broken) == lines):
            broken[-1] = longer
        else:
            broken.append(word)
    return [fitted(part, letters, width) for part in broken]


def text(line: str, letters: Any, colour: str = INK) -> Image:
    """A line of text, as wide as it is and as high as any line of these letters."""
    from PIL import Image, ImageDraw

    above, below = letters.getmetrics()
    piece = Image.new("RGB", (max(round(letters.getlength(line)), 1), above + below), PAPER)
    ImageDraw.Draw(piece).text((0, 0), line, fill=colour, font=letters)
    return piece


def stacked(pieces: Sequence[Image], gap: int = 0) -> Image:
    """Pieces one below the other, their left sides in line."""
    from PIL import Image

    height = sum(piece.height for piece in pieces) + gap * (len(pieces) - 1)
    whole = Image.new("RGB", (max(piece.width for piece in pieces), height), PAPER)
    top = 0
    for piece in pieces:
        whole.paste(piece, (0, top))
        top += piece.height + gap
    return whole


def beside(pieces: Sequence[Image], gap: int = 0) -> Image:
    """Pieces from left to right, their tops in line."""
    from PIL import Image

    width = sum(piece.width for piece in pieces) + gap * (len(pieces) - 1)
    whole = Image.new("RGB", (width, max(piece.height for piece in pieces)), PAPER)
    left = 0
    for piece in pieces:
        whole.paste(piece, (left, 0))
        left += piece.width + gap
    return whole


def framed(piece: Image, margin: int = 14, colour: str = PAPER) -> Image:
    """A piece with a margin on every side, in pixels."""
    from PIL import ImageOps

    return ImageOps.expand(piece, margin, colour)
