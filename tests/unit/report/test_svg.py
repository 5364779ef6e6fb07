"""Figures as part of a page: its colours, its letters, ids of their own."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sumlctl.report import page, svg


def drawn(name: str, title: str = "a title") -> str:
    with svg.canvas(3, 2) as figure:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=svg.FPV, marker="o")
        axes.set_xlabel("x < y")
        return svg.inline(figure, name, title)


def test_colours_follow_the_theme() -> None:
    text = drawn("a")
    assert f"var(--fpv, {svg.FPV})" in text
    assert f"var(--faint, {svg.FAINT})" in text
    bare = re.sub(r"var\([^)]*\)", "", text)
    assert not [colour for colour in svg.VARIABLES if colour in bare]
    # No ground of its own: the page's shows.
    assert "#ffffff" not in text


def test_the_page_has_the_colours_that_figures_fall_back_to() -> None:
    style = (Path(page.__file__).parent / "template" / "page.css").read_text(encoding="utf-8")
    light = dict(re.findall(r"(--[\w-]+): light-dark\((#\w+), #\w+\);", style))
    for colour, variable in svg.VARIABLES.items():
        assert light[variable] == colour


@pytest.mark.parametrize("title", ["plain", 'with "quotes" & <tags>'])
def test_an_element_that_says_what_it_is(title: str) -> None:
    element = ElementTree.fromstring(drawn("a", title))
    assert element.get("role") == "img"
    assert element.get("aria-label") == title
    assert element.get("width") is None and element.get("viewBox")
    texts = [text.text for text in element.iter("{http://www.w3.org/2000/svg}text")]
    assert "x < y" in texts
    assert "date" not in ElementTree.tostring(element, encoding="unicode").lower()


def test_two_figures_share_no_id_and_each_finds_its_own() -> None:
    one, other = drawn("one"), drawn("other")
    ids = [set(re.findall(r'\bid="([^"]+)"', text)) for text in (one, other)]
    assert not ids[0] & ids[1]
    for text, own in zip((one, other), ids, strict=True):
        named = re.findall(r'(?:href="#|url\(#)([^")]+)', text)
        assert named and set(named) <= own
    assert drawn("one") == one


def test_numbers_as_csv() -> None:
    text = svg.as_csv(("class", "gain"), [("a, b", 1 / 3), ('"c"', -2)])
    assert list(csv.reader(io.StringIO(text))) == [
        ["class", "gain"],
        ["a, b", repr(1 / 3)],
        ['"c"', "-2"],
    ]


def test_a_spreadsheet_computes_no_text():
    texts = ['=HYPERLINK("http://x")', "+1", "-1", "@x", "\tx", "open door"]
    rows = list(csv.reader(io.StringIO(svg.as_csv(["=a"], [[t, -1.5] for t in texts]))))
    assert rows[0] == ["'=a"]
    assert [row[0] for row in rows[1:]] == [*(f"'{t}" for t in texts[:5]), "open door"]
    assert {row[1] for row in rows[1:]} == {"-1.5"}
