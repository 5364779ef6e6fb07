"""Class activation maps as pictures: a strip of frames and a short animation (Fig. 4)."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sumlctl import tables
from sumlctl.report.pieces import FAINT, PAPER, beside, fitted, font, framed, stacked, text, wrapped

if TYPE_CHECKING:
    from PIL.Image import Image

    from sumlctl.evaluation.cam.examples import Example
    from sumlctl.evaluation.cam.panels import Panel

FRAMES = 8  # of a strip, at most
_ROW, _CELL = 112, 168  # heights of a frame in a strip and in an animation, pixels
_GAP = 4
_SCALE, _FIGURES = 12, 48  # widths of the colour scale and of the figures beside it
_FASTEST_MS = 40
_WEIGHTS = "sumlctl.weights"
_FAINTEST, _STRONGEST = 0.25, 0.7  # how much of a frame its least and greatest heat cover


def file_stem(clip_id: str) -> str:
    """What the pictures of a clip are called, whatever its id holds."""
    return re.sub(r"[^\w.+-]", "_", clip_id)


def strip(example: Example, path: Path) -> None:
    """Writes a clip's panels as rows of frames along time, each with its own colour scale.

    The file says which weights it shows, see `weights_of`.

    Args:
        example: the panels, grouped by task.
        path: a PNG; whole or absent.
    """
    from PIL.PngImagePlugin import PngInfo

    rows: list[Image] = []
    for task, panels in groupby(example.panels, key=lambda panel: panel.task):
        rows.append(text(task, font(15, bold=True)))
        rows.extend(_row(panel) for panel in panels)
    width = max(row.width for row in rows)
    pieces = [*_title(example, width), *rows, _legend(example, width)]
    told = PngInfo()
    told.add_text(_WEIGHTS, example.weights)
    with tables.whole_file(path) as unfinished:
        framed(stacked(pieces, 2 * _GAP)).save(unfinished, format="PNG", pnginfo=told)


def weights_of(path: Path) -> str:
    """sha256 of the weights that a strip shows; empty for a file that does not say it."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return str(picture.info.get(_WEIGHTS, ""))
    except OSError:
        return ""


def animation(example: Example, path: Path) -> None:
    """Writes the same as a WebP that plays the window at its own speed, over and over.

    Args:
        example: the panels, grouped by task; a row for each task.
        path: a WebP; whole or absent.
    """
    grid = [
        [_cells(panel) for panel in panels]
        for _, panels in groupby(example.panels, key=lambda panel: panel.task)
    ]
    longest = max((_times(panel) for panel in example.panels), key=len)

    def at(place: int) -> Image:
        rows = [
            beside([stacked([*caption, heated.frame(place)]) for caption, heated in cells], _GAP)
            for cells in grid
        ]
        title = _title(example, max(row.width for row in rows))
        return framed(stacked([*title, *rows], 2 * _GAP))

    pictures = [at(place) for place in range(len(longest))]
    each_ms = 1000 * np.diff(longest).mean() if len(longest) > 1 else _FASTEST_MS
    with tables.whole_file(path) as unfinished:
        pictures[0].save(
            unfinished,
            format="WEBP",
            save_all=True,
            append_images=pictures[1:],
            duration=max(round(each_ms), _FASTEST_MS),
            loop=0,
            quality=85,
        )


def overlaid(pixels: np.ndarray, heat: np.ndarray, low: float, high: float) -> np.ndarray:
    """Frames with their heat: the hotter a place, the brighter and the more it covers.

    The colours are inferno's, which look as evenly spaced as their values are.

    Args:
        pixels: uint8 [..., H, W, 3].
        heat: [..., H, W].
        low: the heat that is black.
        high: the heat that is brightest.

    Returns:
        uint8 [..., H, W, 3].
    """
    level = np.clip((heat - low) / max(high - low, 1e-12), 0, 1)
    cover = (_FAINTEST + (_STRONGEST - _FAINTEST) * level)[..., None]
    colours = _inferno()[(level * 255).round().astype(int)]
    return np.rint(pixels * (1 - cover) + colours * cover).astype(np.uint8)


def _inferno() -> np.ndarray:
    from matplotlib import colormaps

    return colormaps["inferno"](np.arange(256))[:, :3] * 255


def _times(panel: Panel) -> np.ndarray:
    """Times of the window without the last frame's repeats, which it has if the clip is shorter."""
    return np.unique(panel.window.times_s)


class _Heated:
    """A panel's frames with their heat, in the size of a picture's tiles.

    Args:
        panel: what to draw.
        height: of a frame in pixels.
    """

    def __init__(self, panel: Panel, height: int) -> None:
        self._pixels, self._height = panel.window.pixels, height
        rows, columns = self._pixels.shape[1:3]
        self.width = round(height * columns / rows)
        self._heat = panel.heat(height, self.width)
        self.low, self.high = float(self._heat.min()), float(self._heat.max())

    def frame(self, place: int) -> Image:
        """A frame with its heat, the last one for places beyond the window."""
        from PIL import Image

        place = min(place, len(self._pixels) - 1)
        plain = Image.fromarray(self._pixels[place]).resize((self.width, self._height))
        return Image.fromarray(overlaid(np.asarray(plain), self._heat[place], self.low, self.high))


def _row(panel: Panel) -> Image:
    """Caption, some frames with their times, and the colour scale."""
    heated = _Heated(panel, _ROW)
    times_s = _times(panel)
    spread = np.linspace(0, len(times_s) - 1, min(FRAMES, len(times_s))).round().astype(int)
    cells = []
    for place in spread.tolist():
        at = text(f"{times_s[place] - times_s[0]:.2f} s", font(11), FAINT)
        cells.append(stacked([heated.frame(place), at]))
    frames = beside([*cells, _scale(heated)], _GAP)
    who = text(_who(panel), font(13, bold=True))
    room = frames.width - who.width - 2 * _GAP
    what = text(fitted(_what(panel), font(13), room), font(13), FAINT)
    return stacked([beside([who, what], 2 * _GAP), frames])


def _scale(heated: _Heated) -> Image:
    """The colours from the least to the greatest heat, with both figures."""
    from PIL import Image

    ramp = np.repeat(np.linspace(1, 0, _ROW)[:, None], _SCALE, axis=1)
    colours = Image.fromarray(_inferno()[(ramp * 255).round().astype(int)].astype(np.uint8))
    greatest, least = (text(f"{v:.3g}", font(11), FAINT) for v in (heated.high, heated.low))
    figures = Image.new("RGB", (_FIGURES, _ROW), PAPER)
    figures.paste(greatest, (0, 0))
    figures.paste(least, (0, _ROW - least.height))
    return beside([colours, figures], _GAP)


def _cells(panel: Panel) -> tuple[list[Image], _Heated]:
    heated = _Heated(panel, _CELL)
    letters = font(13, bold=True)
    return [
        text(fitted(f"{panel.task}: {_class(panel)}", letters, heated.width), letters),
        text(fitted(_who(panel), font(12), heated.width), font(12), FAINT),
    ], heated


def _who(panel: Panel) -> str:
    if panel.viewpoint == "tpv":
        return "third person, paired"
    return panel.run if panel.method in panel.run else f"{panel.run} ({panel.method})"


def _class(panel: Panel) -> str:
    return panel.class_name + (" (predicted)" if panel.of == "predicted" else "")


def _what(panel: Panel) -> str:
    said = f"{_class(panel)}, p = {panel.probability:.2f}"
    if panel.similarity is not None:
        said += f"; {panel.clip_id}: “{panel.narration}”, similarity {panel.similarity:.2f}"
    return said


def _title(example: Example, width: int) -> list[Image]:
    first = example.panels[0].window.times_s
    when = f"{example.clip_id}, {first[0]:.2f} to {first[-1]:.2f} s of its video"
    large = font(18, bold=True)
    narration = f"“{example.narration}”" if example.narration else example.clip_id
    return [
        text(fitted(narration, large, width), large),
        text(fitted(when, font(12), width), font(12), FAINT),
    ]


def _legend(example: Example, width: int) -> Image:
    exact, relative, whole = (
        all(getattr(panel, name) for panel in example.panels)
        for name in ("exact", "relative", "whole")
    )
    score = "logit above the mean of all classes" if relative else "logit"
    said = f"Colours: what a place adds to the class's {score}; its mean, plus a bias, is that."
    if not exact:
        said = f"Colours: Grad-CAM of the class's {score}."
    frames = "Whole frames" if whole else "Central squares"
    letters = font(11)
    lines = wrapped(f"{said} {frames}; each row has its own scale.", letters, width, 2)
    return stacked([text(line, letters, FAINT) for line in lines])
