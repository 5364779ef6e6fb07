"""Films of clips, and strips of activation maps: what is in them and how large they are."""

from __future__ import annotations

import base64
import io
import os

import av
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sumlctl import tables
from sumlctl.errors import SumlError
from sumlctl.evaluation.cam.examples import Example
from sumlctl.learning.data.clips import Clip
from sumlctl.report import maps, previews
from sumlctl.report.content import pairs
from sumlctl.report.content.subject import find
from tests.unit.learning import small_world


def picture(source: str) -> Image.Image:
    kind, _, content = source.partition(",")
    assert kind == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB")


@pytest.fixture
def mined(world):
    return pairs.read(world.pairs("ego", ["exo"]))


def test_both_clips_of_the_pairs_in_their_colours(world, mined) -> None:
    found = previews.films(world, mined, 3)
    # The best, the middle and the worst of eight.
    assert list(found) == ["ego/0", "exo/0", "ego/4", "exo/4", "ego/7", "exo/7"]
    for clip_id, film in found.items():
        sheet = picture(film.source)
        # One second at eight frames a second; the videos are 48 high and not scaled up.
        assert (film.frames, film.height, film.seconds) == (8, 48, 0.88)
        assert sheet.size == (film.frames * film.width, film.height)
        colour = small_world.COLOURS[int(clip_id[-1])]
        assert np.abs(np.asarray(sheet).mean(axis=(0, 1)) - colour).max() < 8
    assert previews.films(world, mined, 0) == {}


def noise(path, width: int, height: int, seconds: int = 9) -> None:
    """The worst for any codec, at ten frames a second; the first second is black."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"qp": "10"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(10 * seconds):
            pixels = rng.integers(0, 255, (height, width, 3)).astype(np.uint8) * (i >= 10)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode())


@pytest.mark.parametrize(
    ("size", "frame"), [((320, 180), (160, 90)), ((600, 100), (180, 90)), ((60, 120), (45, 90))]
)
def test_a_film_is_small_whatever_it_shows(tmp_path, size, frame) -> None:
    noise(tmp_path / "noise.mp4", *size)
    clip = Clip("d/0", tmp_path / "noise.mp4", 0.0, 9.0, 10.0)
    film = previews._film(clip)
    assert isinstance(film, previews.Film)
    assert (film.width, film.height) == frame
    assert 3 <= film.frames <= 12
    assert len(film.source) < previews.MOST_BYTES * 4 / 3 + 100
    # The four seconds in the middle, not the black ones at the beginning.
    assert film.seconds == 4.0
    assert np.asarray(picture(film.source)).mean() > 60


def test_clips_that_fail_are_named(own_world, capsys) -> None:
    (own_world.data("ego", "videos") / "v0.mp4").write_bytes(b"no video")
    found = previews.films(own_world, pairs.read(own_world.pairs("ego", ["exo"])), 2)
    assert list(found) == ["exo/0", "ego/7", "exo/7"]
    assert "no preview of ego/0" in capsys.readouterr().err


def test_without_videos_there_is_a_reason(own_world) -> None:
    small_world.write_videos_table(
        own_world, "exo", own_world.data("exo", "videos"), status=["missing"] * 8
    )
    with pytest.raises(SumlError, match="no tpv clip of split train has a video"):
        previews.films(own_world, pairs.read(own_world.pairs("ego", ["exo"])), 2)


def strip(path, colour: str, weights: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    told = PngInfo()
    told.add_text("sumlctl.weights", weights)
    Image.new("RGB", (60, 20), colour).save(path, pnginfo=told)


def test_strips_that_are_there_are_used(own_world) -> None:
    subject = find(own_world, "mine")
    folder = own_world.run("mine") / "figures" / "cam"
    weights = tables.digest(own_world.checkpoint("mine"))
    for name in ("a", "b", "c"):
        strip(folder / f"{name}.png", "red", weights)
        os.utime(folder / f"{name}.png", ns=(1, 1))  # the clock was set back meanwhile
    found = maps.strips(subject, 2)
    assert [(one.name, one.width, one.height) for one in found] == [("a", 60, 20), ("b", 60, 20)]
    red, green, _ = np.asarray(picture(found[0].source)).mean(axis=(0, 1))
    assert red > 240 and green < 10
    assert maps.strips(subject, 0) == []
    whole = (folder / "a.png").read_bytes()
    (folder / "a.png").write_bytes(whole[: whole.index(b"IDAT") + 6])
    with pytest.raises(SumlError, match="not a picture"):
        maps.strips(subject, 1)


def test_strips_of_an_earlier_training_are_drawn_anew(own_world, monkeypatch) -> None:
    subject = find(own_world, "mine")
    folder = own_world.run("mine") / "figures" / "cam"
    strip(folder / "old.png", "red", "0" * 64)
    later_ns = own_world.checkpoint("mine").stat().st_mtime_ns + 10**9
    os.utime(folder / "old.png", ns=(later_ns, later_ns))  # the clock was set back meanwhile
    asked = {}

    def examples(_, run: str, *, count: int):
        asked.update(run=run, count=count)
        return iter([Example("ego/5", "colour 5", [], "")])

    monkeypatch.setattr("sumlctl.evaluation.cam.examples.cam", examples)
    monkeypatch.setattr("sumlctl.report.heatmaps.strip", lambda _, path: strip(path, "blue", ""))
    (one,) = maps.strips(subject, 1)
    assert asked == {"run": "mine", "count": 1}
    assert one.name == "ego_5"
