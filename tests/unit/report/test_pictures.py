"""Strips, animations and contact sheets: what is in them, whole or absent, the same each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from matplotlib import colormaps
from PIL import Image

from sumlctl.evaluation.cam.examples import Example
from sumlctl.evaluation.cam.panels import Panel
from sumlctl.evaluation.cam.whole_frames import FrameWindow
from sumlctl.evaluation.retrieval.search import Answer
from sumlctl.evaluation.retrieval.search_sets import COLUMNS, SearchSet
from sumlctl.learning.data.clips import Clip
from sumlctl.report import heatmaps, pieces
from sumlctl.report.contact_sheet import contact_sheet
from tests.unit.learning import small_world

GREEN = (0, 158, 115)


def panel(task: str = "noun", viewpoint: str = "fpv", exact: bool = True) -> Panel:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (6, 48, 80, 3)).astype(np.uint8)
    # The clip ends after the fourth frame, which the window repeats.
    times_s = np.minimum(np.arange(6) / 8, 3 / 8) + 2
    return Panel(
        run="mine",
        method="sum-l",
        viewpoint=viewpoint,
        clip_id="d/0",
        narration="open the door",
        similarity=0.8 if viewpoint == "tpv" else None,
        task=task,
        class_name="door",
        of="truth",
        probability=0.7,
        score=1.5,
        bias=0.1,
        relative=False,
        exact=exact,
        whole=True,
        window=FrameWindow(pixels, times_s),
        maps=(torch.arange(24.0).reshape(2, 3, 4),),
    )


def example(*panels: Panel) -> Example:
    return Example("d/0", "open the door", list(panels), "0" * 64)


EXAMPLE = example(panel("verb"), panel("verb", "tpv"), panel("noun"))


def test_the_hotter_the_brighter_and_the_more_covered() -> None:
    pixels = np.full((1, 3, 3), 100, np.uint8)
    heat = np.array([[0.0, 0.5, 1.0]])
    drawn = heatmaps.overlaid(pixels, heat, 0.0, 1.0)[0]
    for column, level in enumerate((0, 0.5, 1)):
        colour = np.array(colormaps["inferno"](round(level * 255))[:3]) * 255
        cover = 0.25 + 0.45 * level
        np.testing.assert_allclose(drawn[column], 100 * (1 - cover) + colour * cover, atol=0.51)
    assert (heatmaps.overlaid(pixels, heat * 0, 0.0, 0.0)[0] == drawn[0]).all()


def test_a_strip_shows_each_frame_of_the_clip_once(tmp_path: Path) -> None:
    strips = {}
    for name, panels in (("all", EXAMPLE.panels), ("first", EXAMPLE.panels[:1])):
        heatmaps.strip(example(*panels), tmp_path / f"{name}.png")
        strips[name] = Image.open(tmp_path / f"{name}.png")
    # Four distinct frames, 112 pixels high and 187 wide, then the scale.
    width = 4 * 187 + 4 * 4 + 12 + 4 + 48
    assert {strip.width for strip in strips.values()} == {width + 2 * 14}
    assert strips["all"].height > strips["first"].height + 2 * 112
    assert {path.name for path in tmp_path.iterdir()} == {"all.png", "first.png"}


def test_the_same_bytes_each_time(tmp_path: Path) -> None:
    for draw, ending in ((heatmaps.strip, "png"), (heatmaps.animation, "webp")):
        once, again = (tmp_path / f"{name}.{ending}" for name in ("once", "again"))
        for path in (once, again):
            draw(EXAMPLE, path)
        assert once.read_bytes() == again.read_bytes()


def test_an_animation_plays_the_window(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    heatmaps.animation(EXAMPLE, path)
    moving = Image.open(path)
    assert getattr(moving, "n_frames", 1) == 4
    moving.load()
    assert moving.info["duration"] == 125
    heatmaps.animation(example(panel(exact=False)), path)
    assert Image.open(path).size < moving.size


def test_text_is_cut_and_broken_to_fit() -> None:
    letters = pieces.font(12)
    line = "put the very large mixing bowl on the wooden table beside the window"
    short = pieces.fitted(line, letters, 100)
    assert short.endswith("…") and letters.getlength(short) <= 100
    assert pieces.fitted("cup", letters, 100) == "cup"
    broken = pieces.wrapped(line, letters, 150, 2)
    assert len(broken) == 2 and broken[1].endswith("…")
    assert all(letters.getlength(part) <= 150 for part in broken)
    assert pieces.wrapped(line, letters, 150, 9)[-1].endswith("window")
    assert " ".join(pieces.wrapped(line, letters, 150, 9)) == line
    assert pieces.wrapped("", letters, 150, 2) == []


@pytest.fixture
def answer(tmp_path: Path) -> Answer:
    """Two texts that search three clips, of which one has no video."""
    listed = []
    for i, colour in enumerate(((250, 0, 0), (0, 0, 250), (0, 250, 0))):
        if i < 2:
            small_world.write_video(tmp_path / f"v{i}.mp4", colour)
        listed.append(Clip(f"d/{i}", tmp_path / f"v{i}.mp4", 0.0, 1.0, 8.0))

    def side(name: str, narrations: list[str], clips: list[Clip]) -> SearchSet:
        blank = {column: [""] * len(narrations) for column in COLUMNS}
        rows = pl.DataFrame(blank | {"narration": narrations})
        return SearchSet(name, rows, clips, np.eye(len(narrations), 3, dtype=np.float32), {})

    return Answer(
        side("text", ["red", "blue"], []),
        side("fpv", ["a red wall", "a blue wall", "a green wall"], listed),
        [],
        similarity=np.array([[0.9, 0.5], [0.8, 0.1]]),
        row=np.array([[0, 1], [1, 2]]),
        relevance="noun",
        relevant=np.array([[True, False], [True, False]]),
        to_find=np.array([1, 1]),
    )


def share(picture: Image.Image, colour: tuple[int, int, int]) -> float:
    """How much of a picture is nearly of a colour."""
    off = np.abs(np.asarray(picture.convert("RGB")).astype(int) - colour)
    return float((off.max(axis=2) < 12).mean())


def test_a_sheet_frames_what_is_relevant(answer: Answer, tmp_path: Path, capsys) -> None:
    contact_sheet(answer, tmp_path / "sheet.png")
    sheet = Image.open(tmp_path / "sheet.png")
    edges = 2 * (2 * 5 * (176 + 10) + 2 * 5 * 132)
    assert share(sheet, GREEN) == pytest.approx(edges / (sheet.width * sheet.height), rel=0.05)
    assert share(sheet, (250, 0, 0)) > 0.02
    assert share(sheet, (0, 0, 250)) > 0.02
    assert "d/2 has no frame to show" in capsys.readouterr().err


def test_a_sheet_of_fewer_queries_is_lower(answer: Answer, tmp_path: Path) -> None:
    for count in (1, 2):
        contact_sheet(answer, tmp_path / f"{count}.png", count)
    one, two = (Image.open(tmp_path / f"{count}.png") for count in (1, 2))
    assert one.width == two.width
    assert one.height < two.height
