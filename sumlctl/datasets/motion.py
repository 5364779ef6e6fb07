"""What the actions of the generated world look like; lengths are in object radii, y points down."""

from __future__ import annotations

from math import cos, pi, sin
from typing import NamedTuple

from sumlctl.datasets.shapes import Point


class Pose(NamedTuple):
    """What an action does to its object at one moment.

    Args:
        x, y: how far the object is from where it stands.
        angle, gap, width: its form, see `shapes.Place`.
        tool: the tip of the tool in the right hand, which else holds the object.
    """

    x: float = 0.0
    y: float = 0.0
    angle: float = 0.0
    gap: float = 0.0
    width: float = 1.0
    tool: Point | None = None


def motion(verb: str, done: float, waves: float) -> Pose:
    """The pose of the object once a share of the action is done.

    Args:
        done: that share, from 0 to 1.
        waves: how often a repeated movement comes round in the whole action.
    """
    ease, turn = done * done * (3 - 2 * done), 2 * pi * waves * done
    poses = {
        "take": Pose(y=-1.5 * ease),
        "put": Pose(y=-1.5 * (1 - ease)),
        "open": Pose(gap=0.75 * ease),
        "close": Pose(gap=0.75 * (1 - ease)),
        "pour": Pose(y=-0.5, angle=1.8 * ease),
        "stir": Pose(tool=(0.7 * cos(turn), 0.5 * sin(turn))),
        "cut": Pose(tool=(0.1, 0.7 * cos(turn) - 0.3)),
        "squeeze": Pose(width=0.75 + 0.25 * cos(turn)),
        "shake": Pose(x=0.7 * sin(turn), y=-0.5),
        "wipe": Pose(tool=(0.9 * sin(turn), 0.1)),
        "push": Pose(x=2.2 * ease - 1.1),
        "repair": Pose(tool=(0.25 * cos(2 * turn), 0.25 * sin(2 * turn) - 0.2)),
        "paint": Pose(tool=(0.6 * sin(turn), 0.6 * sin(turn))),
        "flip": Pose(angle=3.1 * ease),
        "toss": Pose(y=-1.3 * abs(sin(turn / 2))),
    }
    return poses[verb]
