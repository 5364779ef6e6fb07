"""Objects of the generated world and the brush that paints them.

Everything is made of boxes with round corners, of which discs and rods are special cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import atan2, cos, hypot, sin
from typing import Any, NamedTuple

import numpy as np

Colour = Any  # red, green, blue, 0 to 255
Point = tuple[float, float]
Picture = Any  # float32 [H, W, 3], RGB, 0 to 255


class Part(NamedTuple):
    """A box with round corners, in units of the thing that it is part of; y points down."""

    x: float
    y: float
    half_width: float
    half_height: float
    corner: float
    colour: Colour


class Place(NamedTuple):
    """Where a thing is in the picture, and what is done to its form.

    Args:
        x, y: its centre, in pixels from the upper left corner.
        size: the length of its unit, in pixels.
        angle: its tilt in radians.
        gap: half the distance between its two halves, in its units; 0 while it is whole.
        width: its width as a share of what it is when nobody presses it.
    """

    x: float
    y: float
    size: float
    angle: float = 0.0
    gap: float = 0.0
    width: float = 1.0


OBJECTS: dict[str, tuple[Part, ...]] = {
    "fridge": (
        Part(0, 0, 0.5, 0.9, 0.1, (225, 235, 245)),
        Part(0, -0.3, 0.6, 0.03, 0, (120, 130, 140)),
        Part(0.4, 0.15, 0.05, 0.25, 0, (90, 95, 105)),
    ),
    "bottle": (
        Part(0, 0.3, 0.25, 0.55, 0.12, (40, 165, 60)),
        Part(0, -0.6, 0.12, 0.25, 0.03, (40, 165, 60)),
        Part(0, -0.9, 0.14, 0.06, 0.03, (240, 240, 120)),
    ),
    "pan": (
        Part(0.75, 0, 0.35, 0.06, 0.04, (30, 30, 35)),
        Part(-0.2, 0, 0, 0, 0.72, (45, 45, 52)),
        Part(-0.2, 0, 0, 0, 0.52, (95, 95, 105)),
    ),
    "bowl": (
        Part(0, 0, 0, 0, 0.9, (35, 80, 215)),
        Part(0, 0, 0, 0, 0.62, (150, 190, 250)),
    ),
    "tomato": (
        Part(0, 0.05, 0.1, 0, 0.75, (215, 30, 30)),
        Part(0, -0.62, 0.16, 0.03, 0.05, (40, 130, 40)),
    ),
    "box": (
        Part(0, 0, 0.8, 0.7, 0.05, (150, 95, 45)),
        Part(0, 0, 0.1, 0.75, 0, (205, 165, 110)),
    ),
    "jar": (
        Part(0, 0.15, 0.4, 0.55, 0.15, (140, 50, 175)),
        Part(0, -0.7, 0.5, 0.12, 0.03, (240, 225, 245)),
    ),
    "kettle": (
        Part(-0.7, -0.15, 0.25, 0.04, 0.06, (10, 130, 130)),
        Part(0, 0.2, 0.2, 0.1, 0.55, (20, 175, 170)),
        Part(0, -0.6, 0.35, 0.05, 0.05, (20, 60, 60)),
    ),
    "lemon": (
        Part(0, 0, 0.8, 0, 0.12, (215, 195, 30)),
        Part(0, 0, 0.22, 0, 0.52, (245, 225, 40)),
    ),
    "bread": (
        Part(0, 0, 0.65, 0.12, 0.32, (225, 130, 40)),
        Part(-0.45, -0.05, 0.03, 0.25, 0.03, (250, 205, 140)),
        Part(0, -0.05, 0.03, 0.25, 0.03, (250, 205, 140)),
        Part(0.45, -0.05, 0.03, 0.25, 0.03, (250, 205, 140)),
    ),
    "drawer": (
        Part(0, 0, 0.92, 0.45, 0.04, (95, 50, 20)),
        Part(0, 0, 0.12, 0.02, 0.06, (220, 190, 90)),
    ),
    "cup": (
        Part(0.5, 0, 0.08, 0.12, 0.2, (200, 70, 130)),
        Part(-0.1, 0, 0.35, 0.5, 0.15, (250, 110, 170)),
    ),
    "plate": (
        Part(0, 0, 0, 0, 0.95, (235, 235, 225)),
        Part(0, 0, 0, 0, 0.6, (205, 205, 200)),
    ),
    "book": (
        Part(0, 0, 0.65, 0.8, 0.03, (165, 35, 75)),
        Part(0.08, 0, 0.5, 0.7, 0.02, (245, 240, 220)),
    ),
    "ball": (
        Part(0, 0, 0, 0, 0.7, (190, 230, 40)),
        Part(0, 0, 0.62, 0.02, 0.03, (245, 245, 245)),
    ),
    "shoe": (
        Part(-0.45, -0.2, 0.2, 0.35, 0.12, (60, 70, 130)),
        Part(0.05, 0.2, 0.6, 0.1, 0.22, (60, 70, 130)),
        Part(0.05, 0.5, 0.75, 0.04, 0.05, (240, 240, 240)),
    ),
    "clock": (
        Part(0, 0, 0, 0, 0.85, (200, 150, 40)),
        Part(0, 0, 0, 0, 0.65, (250, 250, 245)),
        Part(0, -0.25, 0.03, 0.22, 0.02, (20, 20, 20)),
        Part(0.18, 0, 0.15, 0.03, 0.02, (20, 20, 20)),
    ),
    "lamp": (
        Part(0, 0.8, 0.4, 0.05, 0.05, (80, 85, 95)),
        Part(0, 0.3, 0.03, 0.5, 0.02, (80, 85, 95)),
        Part(0, -0.5, 0.45, 0.25, 0.1, (255, 215, 150)),
    ),
    "guitar": (
        Part(0.55, 0, 0.5, 0.06, 0.03, (70, 40, 25)),
        Part(-0.5, 0, 0.1, 0.1, 0.42, (190, 110, 50)),
        Part(-0.4, 0, 0, 0, 0.2, (40, 25, 20)),
    ),
}
_EDGE_PX = 1.2
_EDGE_SHADE, _INSIDE_SHADE = np.float32(0.55), np.float32(0.2)


def paint(picture: Picture, parts: Sequence[Part], place: Place) -> None:
    """Draws a thing into the picture, later parts over earlier ones, edges darkened."""
    x, y, window = _window(picture, parts, place)
    if not window.size:
        return
    inside = np.abs(x) < place.gap
    if place.gap:
        x = np.sign(x) * np.maximum(np.abs(x) - place.gap, 0)
    x = x / place.width
    for part in parts:
        dx, dy = np.abs(x - part.x) - part.half_width, np.abs(y - part.y) - part.half_height
        outside = np.sqrt(np.maximum(dx, 0) ** 2 + np.maximum(dy, 0) ** 2)
        depth_px = (part.corner - outside - np.minimum(np.maximum(dx, dy), 0)) * place.size
        shade = np.where(depth_px < _EDGE_PX, _EDGE_SHADE, np.float32(1))
        if place.gap:
            shade[inside] = _INSIDE_SHADE
        colour = shade[..., None] * np.asarray(part.colour, np.float32)
        cover = np.minimum(np.maximum(depth_px + 0.5, 0), 1)
        window += cover[..., None] * (colour - window)


def _window(picture: Picture, parts: Sequence[Part], place: Place) -> tuple[Any, Any, Any]:
    """The pixels that a thing may cover: x and y in its own units, and the pixels."""
    height, width = picture.shape[:2]
    along = max(abs(p.x) + p.half_width + p.corner for p in parts) * place.width + place.gap
    upright = max(abs(p.y) + p.half_height + p.corner for p in parts)
    turn_x, turn_y = cos(place.angle), sin(place.angle)
    reach_x = (along * abs(turn_x) + upright * abs(turn_y)) * place.size + 1
    reach_y = (along * abs(turn_y) + upright * abs(turn_x)) * place.size + 1
    left, right = (min(max(int(place.x + r), 0), width) for r in (-reach_x, reach_x + 1))
    top, bottom = (min(max(int(place.y + r), 0), height) for r in (-reach_y, reach_y + 1))
    across = (np.arange(left, right, dtype=np.float32) + 0.5 - place.x)[None, :] / place.size
    down = (np.arange(top, bottom, dtype=np.float32) + 0.5 - place.y)[:, None] / place.size
    x, y = across * turn_x + down * turn_y, down * turn_x - across * turn_y
    return x, y, picture[top:bottom, left:right]


def rod(picture: Picture, start: Point, stop: Point, thickness: float, colour: Colour) -> None:
    """Draws a rod with round ends from one point to another."""
    dx, dy = stop[0] - start[0], stop[1] - start[1]
    part = Part(0, 0, hypot(dx, dy) / 2, 0, thickness, colour)
    middle = Place((start[0] + stop[0]) / 2, (start[1] + stop[1]) / 2, 1.0, atan2(dy, dx))
    paint(picture, (part,), middle)
