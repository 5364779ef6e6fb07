"""The brush, checked against areas known from geometry."""

from math import pi

import numpy as np
import pytest

from sumlctl.datasets.shapes import OBJECTS, Part, Place, paint, rod

WHITE = (255, 255, 255)


def painted(parts, place, size=(100, 120)):
    picture = np.zeros((*size, 3), np.float32)
    paint(picture, parts, place)
    return picture


def covered(picture):
    """Number of pixels at least half covered; edges are painted at 0.55 of full brightness."""
    return float((picture[..., 0] >= 255 * 0.55 / 2).sum())


def test_disc_has_the_area_of_a_disc():
    picture = painted((Part(0, 0, 0, 0, 1, WHITE),), Place(60, 50, 30))
    assert covered(picture) == pytest.approx(pi * 30**2, rel=0.03)


@pytest.mark.parametrize("angle", [0.0, 0.7, pi / 2])
def test_box_keeps_its_area_when_turned(angle):
    picture = painted((Part(0, 0, 1, 0.5, 0, WHITE),), Place(60, 50, 30, angle))
    assert covered(picture) == pytest.approx(60 * 30, rel=0.03)


def test_rod_is_a_capsule():
    picture = np.zeros((100, 100, 3), np.float32)
    rod(picture, (20.0, 30.0), (80.0, 70.0), 5, WHITE)
    length = (60**2 + 40**2) ** 0.5
    assert covered(picture) == pytest.approx(10 * length + pi * 25, rel=0.03)


def test_gap_parts_the_halves_and_shows_a_dark_inside():
    box = (Part(0, 0, 1, 1, 0, WHITE),)
    parted = painted(box, Place(60, 50, 20, gap=0.5))
    assert covered(parted) == pytest.approx(40 * 40, rel=0.03)
    row = parted[50, :, 0]
    assert row[52:68] == pytest.approx(np.full(16, 0.2 * 255))
    assert row[34:48] == pytest.approx(np.full(14, 255))
    assert row[72:86] == pytest.approx(np.full(14, 255))
    assert not row[:29].any() and not row[91:].any()


def test_pressed_thing_is_narrower():
    disc = (Part(0, 0, 0, 0, 1, WHITE),)
    pressed = painted(disc, Place(60, 50, 30, width=0.5))
    assert covered(pressed) == pytest.approx(pi * 30 * 15, rel=0.03)


@pytest.mark.parametrize("place", [Place(-60, 50, 20), Place(60, 400, 20), Place(500, -500, 20)])
def test_nothing_is_painted_outside_the_picture(place):
    assert not painted(OBJECTS["kettle"], place).any()


def test_things_that_stick_out_are_cut_off():
    half = painted((Part(0, 0, 1, 1, 0, WHITE),), Place(0, 50, 20))
    assert covered(half) == pytest.approx(20 * 40, rel=0.03)
