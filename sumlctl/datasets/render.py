"""Films the generated world with two cameras, set up in picture heights; y points down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import cos, pi, sin
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sumlctl.datasets.motion import Pose, motion
from sumlctl.datasets.shapes import OBJECTS, Part, Picture, Place, Point, paint, rod
from sumlctl.datasets.world import Segment, Video
from sumlctl.tables import whole_file
from sumlctl.video.clip_cache.encode import REPRODUCIBLE

_SKINS = ((240, 195, 160), (205, 150, 110), (150, 100, 70), (100, 65, 45), (225, 175, 150))
_CLOTHS = ((70, 75, 90), (120, 60, 65), (60, 95, 85), (130, 120, 100), (90, 70, 110))
_SURFACES = ((150, 130, 105), (125, 135, 140), (165, 155, 145), (110, 105, 100), (140, 150, 130))
_STEEL = (150, 155, 165)
_NOISE = 4.0
_MARGIN = 0.5


class Camera(NamedTuple):
    """What tells the two viewpoints apart.

    Args:
        follows: share of the hands' movement that the camera makes too.
        bob: how far it sways by itself.
        stand: where objects stand, from the picture's upper edge.
        radius: of an object.
        elbow: where the right forearm starts, from `stand`.
        rest: where the right hand rests between actions, from `stand`.
        limb: thickness of an arm.
        reach: from where a hand with a tool comes, from the tool's tip, in object radii.
    """

    follows: float
    bob: float
    stand: float
    radius: float
    elbow: Point
    rest: Point
    limb: float
    reach: Point


CAMERAS = {
    "fpv": Camera(0.5, 0.02, 0.54, 0.24, (0.5, 0.65), (0.4, 0.4), 0.06, (0.5, 0.9)),
    "tpv": Camera(0.0, 0.0, 0.6, 0.12, (0.15, -0.2), (0.25, 0.1), 0.03, (0.6, -1.2)),
}


class Variety(NamedTuple):
    """What makes a generated world harder, or its camera come closer.

    Args:
        tint: how far the colours of a thing are those of a random tint, from 0 to 1.
        bystanders: how many things stand around that nothing is done to.
        zoom: how many times larger things are than the camera's distance makes them, from 1.
    """

    tint: float = 0.0
    bystanders: int = 0
    zoom: float = 1.0


PLAIN = Variety()


class Footage:
    """One video as its camera sees it.

    The person gives skin, clothes, kitchen and pace; the video gives light, distance and where
    things stand.

    Args:
        video: what happens in it.
        viewpoint: fpv or tpv.
        size: width and height in pixels.
        fps: pictures per second.
        seed: of the world.
        variety: of things and cameras.
    """

    def __init__(
        self,
        video: Video,
        viewpoint: str,
        size: tuple[int, int],
        fps: int,
        seed: int,
        variety: Variety = PLAIN,
    ) -> None:
        self.video, self.fps = video, fps
        self._camera = camera = CAMERAS[viewpoint]
        self._width, self._height = (round(variety.zoom * side) for side in size)
        self._size = size
        self._margin = round(_MARGIN * self._height)
        self._limb = camera.limb * self._height
        person = np.random.default_rng([seed, *video.participant.encode()])
        self._skin, self._cloth = person.choice(_SKINS), person.choice(_CLOTHS)
        self._surface = person.choice(_SURFACES)
        self._pace_hz = float(person.uniform(1.0, 1.4))
        self._key = [seed, *video.video_id.encode()]
        rng = np.random.default_rng(self._key)
        self._stand = (
            self._width / 2 + self._height * float(rng.uniform(-0.07, 0.07)),
            self._height * (camera.stand + float(rng.uniform(-0.04, 0.04))),
        )
        self._radius = self._height * camera.radius * float(rng.uniform(0.88, 1.12))
        self._light = float(rng.uniform(0.85, 1.1))
        self._scene = self._counter(rng) if viewpoint == "fpv" else self._room(rng)
        self._tint = variety.tint
        things = np.random.default_rng([*self._key, 1])
        self._things = {s: self._tinted(s.action.noun, things) for s in video.segments}
        self._put_around(variety.bystanders, things)

    def frames(self) -> Iterator[Any]:
        """Yields each picture: uint8 [H, W, 3], RGB."""
        rng = np.random.default_rng(self._key)
        n_pixels = self._width * self._height
        grain = rng.standard_normal(2 * n_pixels, np.float32) * _NOISE
        for i in range(round(self.video.duration_s * self.fps)):
            picture = self._at(i / self.fps)
            start = int(rng.integers(n_pixels))
            picture += grain[start : start + n_pixels].reshape(self._height, self._width, 1)
            yield self._framed(np.clip(picture * self._light, 0, 255).astype(np.uint8))

    def _framed(self, picture: Any) -> Any:
        """The part around the hands that a camera sees which has come closer."""
        width, height = self._size
        left = (self._width - width) // 2
        top = round(self._camera.stand * self._height - height / 2)
        top = min(max(top, 0), self._height - height)
        return picture[top : top + height, left : left + width]

    def _at(self, t: float) -> Picture:
        """The picture at `t` seconds, before noise and light."""
        now = next((s for s in self.video.segments if s.start_s <= t < s.stop_s), None)
        pose = self._pose(now, t) if now else Pose()
        tip = pose.tool or (0.0, 0.0)
        pull, bob = self._camera.follows * self._radius, self._camera.bob * self._height
        shift_x = pull * (pose.x + tip[0] / 2) + bob * sin(1.7 * t)
        shift_y = pull * (pose.y + tip[1] / 2) + bob * cos(1.3 * t)
        picture = self._seen(shift_x, shift_y)
        x, y = self._stand[0] - shift_x, self._stand[1] - shift_y
        if now is None:
            across, down = (self._height * length for length in self._camera.rest)
            self._arms(picture, (x - across, y + down), (x + across, y + down))
            return picture
        x, y = x + pose.x * self._radius, y + pose.y * self._radius
        place = Place(x, y, self._radius, pose.angle, pose.gap, pose.width)
        paint(picture, self._things[now], place)
        side = 0.85 * pose.width + pose.gap
        held = place._replace(angle=pose.angle / 3)
        left, right = self._on(held, -side, 0.2), self._on(held, side, 0.2)
        if pose.tool:
            reach = self._camera.reach
            right = self._on(place, tip[0] + reach[0], tip[1] + reach[1])
            rod(picture, self._on(place, *tip), right, self._limb / 3, _STEEL)
        self._arms(picture, left, right)
        return picture

    def _pose(self, now: Segment, t: float) -> Pose:
        length_s = now.stop_s - now.start_s
        return motion(now.action.verb, (t - now.start_s) / length_s, self._pace_hz * length_s)

    @staticmethod
    def _on(place: Place, x: float, y: float) -> Point:
        """A point given in the object's own axes, as a point of the picture."""
        turned_x = x * cos(place.angle) - y * sin(place.angle)
        turned_y = x * sin(place.angle) + y * cos(place.angle)
        return place.x + turned_x * place.size, place.y + turned_y * place.size

    def _arms(self, picture: Picture, left: Point, right: Point) -> None:
        """Draws both forearms and hands."""
        across, down = (self._height * length for length in self._camera.elbow)
        for side, hand in ((-1, left), (1, right)):
            elbow = (self._stand[0] + side * across, self._stand[1] + down)
            rod(picture, elbow, hand, self._limb, self._cloth)
            paint(picture, (Part(0, 0, 0, 0, 1.2, self._skin),), Place(*hand, self._limb))

    def _seen(self, shift_x: float, shift_y: float) -> Picture:
        """A copy of what of the scene is in the picture when the camera has moved."""
        left, top = round(self._margin + shift_x), round(self._margin + shift_y)
        return self._scene[top : top + self._height, left : left + self._width].copy()

    def _surroundings(self) -> Picture:
        """An empty scene, larger than the picture by a margin on every side."""
        around = 2 * self._margin
        scene = np.empty((self._height + around, self._width + around, 3), np.float32)
        scene[:] = self._surface
        return scene

    def _counter(self, rng: np.random.Generator) -> Picture:
        """What the first-person camera has behind the hands: a tiled counter with clutter."""
        scene = self._surroundings()
        tile = int(rng.uniform(0.2, 0.4) * self._height)
        scene[::tile] *= 0.7
        scene[:, ::tile] *= 0.7
        self._clutter(scene, 14, rng)
        return scene

    def _room(self, rng: np.random.Generator) -> Picture:
        """What the third-person camera sees: a wall, a person, and a counter before them."""
        scene = self._surroundings()
        scene *= 0.8
        self._clutter(scene, 10, rng)
        x, y = self._stand[0] + self._margin, self._stand[1] + self._margin
        body = (
            Part(0, 0.02, 0.1, 0.2, 0.06, self._cloth),
            Part(0, -0.36, 0, 0.02, 0.085, self._skin),
            Part(0, -0.43, 0.03, 0, 0.05, self._skin // 4),
        )
        paint(scene, body, Place(x, y, self._height))
        edge = round(y + 0.9 * self._radius)
        scene[edge:] = self._surface
        scene[edge : edge + 2] *= 0.5
        return scene

    def _tinted(self, noun: str, rng: np.random.Generator) -> tuple[Part, ...]:
        """A thing in a colour of its own; light and dark parts stay light and dark."""
        tint = rng.uniform(0.3, 1.0, 3)
        parts = []
        for part in OBJECTS[noun]:
            colour = np.asarray(part.colour)
            own = tint * (0.25 * 255 + 0.75 * colour.mean())
            parts.append(part._replace(colour=(1 - self._tint) * colour + self._tint * own))
        return tuple(parts)

    def _put_around(self, n: int, rng: np.random.Generator) -> None:
        """Puts `n` things to the left and right of where the hands are."""
        for i in range(n):
            noun = str(rng.choice(list(OBJECTS)))
            side = (1 if i % 2 else -1) * rng.uniform(1.6, 2.6)
            x = self._stand[0] + self._margin + side * self._radius
            y = self._stand[1] + self._margin + rng.uniform(-1.2, 0.6) * self._radius
            paint(self._scene, self._tinted(noun, rng), Place(x, y, self._radius))

    def _clutter(self, scene: Picture, n: int, rng: np.random.Generator) -> None:
        """Puts `n` boxes of nearly the surface's colour anywhere."""
        for _ in range(n):
            x, y = rng.uniform(0, scene.shape[1]), rng.uniform(0, scene.shape[0])
            colour = self._surface + rng.uniform(-45, 45) + rng.uniform(-12, 12, 3)
            width, height = rng.uniform(0.04, 0.14, 2)
            part = Part(0, 0, width, height, 0.03, np.clip(colour, 0, 255))
            paint(scene, (part,), Place(x, y, self._height, rng.uniform(0, pi)))


def film(
    viewpoint: str,
    size: tuple[int, int],
    fps: int,
    seed: int,
    variety: Variety,
    order: tuple[Video, Path],
) -> None:
    """Renders a video into a file; arguments as for `Footage`, the video and its file last."""
    video, path = order
    footage = Footage(video, viewpoint, size, fps, seed, variety)
    write_mp4(path, footage.frames(), size, fps)


def write_mp4(path: Path, frames: Iterable[Any], size: tuple[int, int], fps: int) -> None:
    """Encodes pictures as H.264; the file is whole or absent, and the same bytes each time."""
    import av

    options = {"crf": "20", "preset": "veryfast", "bf": "0", "x264-params": REPRODUCIBLE}
    with whole_file(path) as beside, av.open(str(beside), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.gop_size = 2 * fps
        stream.thread_count = 1
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
