"""The report in a browser: opened from disk, searched, sorted, played, saved and printed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sumlctl.report import page as report
from tests import chromium
from tests.builders import write_clips, write_vectors
from tests.unit.learning import small_world
from tests.unit.report import many_pairs, told_world

EVIL = "</script><script>document.title = 'broken in'</script>"
SHOWN = "[...document.querySelectorAll('.pair .words .fpv .text')].map((e) => e.textContent)"
COUNT = "document.querySelector('#pair-count').textContent"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Page]:
    binary = chromium.find()
    if binary is None:
        pytest.skip(
            "CHROMIUM ABSENT: the report is not looked at in a browser; install one of "
            f"{', '.join(chromium.NAMES)} or name it in SUMLCTL_CHROMIUM"
        )
    with chromium.launched(binary, tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of everything, in which the first narration tries to break in."""
    world = told_world.build(tmp_path_factory.mktemp("chromium") / "workspace")
    narrations = [EVIL, *small_world.NAMES[1:]]
    told_world.write_pairs(world, narrations)
    vectors = np.eye(len(narrations)).tolist()
    write_vectors(world, "ego", dict(zip(narrations, vectors, strict=True)))
    return report.write(world, "mine", maps=0)


@pytest.fixture
def page(browser: chromium.Page, file: Path) -> chromium.Page:
    """The report on a desktop's screen, just opened."""
    browser.screen(1280, 900)
    browser.requests.clear()
    browser.faults.clear()
    browser.open(file)
    return browser


def choose(page: chromium.Page, name: str, value: str) -> None:
    """Sets a field of the filter as its user would."""
    page.value(
        f"(() => {{ const f = document.querySelector('#pair-filter [name={name}]');"
        f"f.value = {value!r}; f.dispatchEvent(new Event('input', {{bubbles: true}})); }})()"
    )


def playing(page: chromium.Page) -> bool:
    """Whether both films of the first pair move."""
    films = "[...document.querySelectorAll('.pair:first-child .film')]"
    places = f"{films}.map((f) => getComputedStyle(f).backgroundPositionX)"
    seen = page.value(
        "new Promise((done) => { const seen = [new Set(), new Set()];"
        "const end = Date.now() + 1500;"
        f"const look = () => {{ {places}.forEach((p, i) => seen[i].add(p));"
        "Date.now() < end ? requestAnimationFrame(look) : done(seen.map((s) => s.size)); };"
        "look(); })"
    )
    assert len(seen) == 2
    return min(seen) > 2


def test_it_loads_without_a_fault_or_a_request(page: chromium.Page, file: Path) -> None:
    assert page.faults == []
    assert [url for url in page.requests if not url.startswith("data:")] == [file.as_uri()]
    assert page.value("document.title") == "mine · sumlctl report"
    assert page.value(SHOWN)[0] == EVIL
    assert page.value("document.querySelectorAll('.pair script').length") == 0


def test_pairs_are_searched_filtered_and_sorted(page: chromium.Page) -> None:
    assert page.value(COUNT) == "8 pairs"
    similarities = "[...document.querySelectorAll('.similarity')].map((e) => e.textContent)"
    assert page.value(similarities) == [f"0.{i}00" for i in range(9, 1, -1)]
    choose(page, "order", "worst")
    assert page.value(SHOWN)[:2] == ["colour 7", "colour 6"]
    choose(page, "verb", "1")
    assert page.value(SHOWN) == ["colour 6", "colour 4", "colour 2", EVIL]
    assert page.value(COUNT) == "4 of 8 pairs"
    choose(page, "noun", "-1")
    assert page.value(SHOWN) == [EVIL]
    choose(page, "noun", "")
    choose(page, "text", "EGO/2 colour")
    assert page.value(SHOWN) == ["colour 2"]
    agree = "document.querySelector('.agree').textContent.trim()"
    assert page.value(agree) == "same verb other noun"
    near = "document.querySelector('.near .list').textContent"
    assert page.value(near) == "colour 0 0.000; colour 1 0.000; colour 3 0.000"
    choose(page, "text", "no such words")
    assert (page.value(SHOWN), page.value(COUNT)) == ([], "0 of 8 pairs")
    assert page.faults == []


def test_a_preview_plays_while_it_is_looked_at(page: chromium.Page) -> None:
    assert not playing(page)
    page.point_at(".pair:first-child .films")
    assert playing(page)
    page.point_at("h1")
    assert not playing(page)
    page.value("document.querySelector('.films').focus({focusVisible: true})")
    assert playing(page)
    page.value("document.activeElement.blur()")
    assert not playing(page)


def test_who_wants_no_motion_has_to_ask_for_it(page: chromium.Page, file: Path) -> None:
    page.screen(1280, 900, still=True)
    page.open(file)
    page.point_at(".pair:first-child .films")
    assert not playing(page)
    page.value("document.querySelector('.films').focus()")
    page.press("Enter")
    assert page.value("document.querySelector('.films').ariaPressed") == "true"
    assert playing(page)
    page.press("Enter")
    assert not playing(page)


def test_tables_are_sorted_by_keyboard(page: chromium.Page) -> None:
    head = "[...document.querySelectorAll('#results th')].find((e) => e.textContent === '%')"
    column = "[...document.querySelectorAll('#results table')][0].tBodies[0].rows"
    cells = f"[...{column}].map((r) => r.cells[3].textContent)"
    assert page.value(cells) == ["87.5", "100.0", "100.0", "100.0"]
    page.value(f"{head}.querySelector('button').focus()")
    page.press("Enter")
    assert page.value(f"{head}.getAttribute('aria-sort')") == "descending"
    assert page.value(cells) == ["100.0", "100.0", "100.0", "87.5"]
    page.press(" ")
    assert page.value(f"{head}.getAttribute('aria-sort')") == "ascending"
    assert page.value(cells) == ["87.5", "100.0", "100.0", "100.0"]


def test_the_first_tab_skips_to_the_report(page: chromium.Page) -> None:
    page.press("Tab")
    assert page.value("document.activeElement.className") == "skip"
    page.press("Enter")
    assert page.value("document.activeElement.id") == "main"


def test_the_theme_follows_the_system_until_it_is_chosen(page: chromium.Page, file: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.value(ground)
    line = "getComputedStyle(document.querySelector('#training path[style*=fpv]')).stroke"
    drawn = page.value(line)
    page.screen(1280, 900, dark=True)
    dark = page.value(ground)
    assert light == "rgb(255, 255, 255)" != dark
    assert page.value(line) != drawn
    page.value("document.querySelector('#theme').click()")
    assert page.value(ground) == light
    page.value("document.querySelector('#theme').click()")
    page.screen(1280, 900)
    assert page.value(ground) == dark
    page.value("document.querySelector('#theme').click()")
    assert page.value(ground) == light


def test_axes_change_their_scale(page: chromium.Page) -> None:
    shown = (
        "[...document.querySelectorAll('#training .plot')].filter((e) => e.offsetParent)"
        ".map((e) => e.className)"
    )
    assert set(page.value(shown)) == {"plot linear"}
    page.value("document.querySelector('#scale [value=log]').click()")
    # L_m reaches zero and validation is in percent: these stay as they are.
    assert page.value(shown).count("plot log") == 4
    assert page.value(shown).count("plot linear") == 2


def test_figures_are_saved_as_they_are_and_as_numbers(page: chromium.Page, tmp_path: Path) -> None:
    page.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    for kind in ("svg", "csv"):
        page.value(f"document.querySelector('[data-name=coverage] [data-save={kind}]').click()")
    svg, csv = (tmp_path / f"coverage.{kind}" for kind in ("svg", "csv"))
    until = "new Promise((done) => setTimeout(done, 50))"
    for _ in range(100):
        if svg.is_file() and csv.is_file():
            break
        page.value(until)
    text = svg.read_text(encoding="utf-8")
    assert text.startswith("<?xml") and "</svg>" in text
    assert "var(" not in text and "#3f6b54" in text
    assert re.match(r"pairs,of,s,share\nego → exo,clips,0.0,1.0\n", csv.read_text(encoding="utf-8"))


def test_commands_are_copied(page: chromium.Page) -> None:
    page.value("document.querySelector('#copy').focus()")
    page.press("Enter")
    page.wait("document.querySelector('#copy').textContent === 'Copied'")
    assert page.faults == []


@pytest.mark.parametrize("dark", [False, True])
def test_on_a_phone_nothing_sticks_out(page: chromium.Page, file: Path, dark: bool) -> None:
    page.screen(390, 844, dark=dark, phone=True)
    page.open(file)
    assert page.value("document.documentElement.scrollWidth") == 390
    smallest = (
        "Math.min(...[...document.querySelectorAll('.plot.linear svg text')]"
        ".map((t) => t.getBoundingClientRect().height))"
    )
    assert page.value(smallest) >= 9
    assert page.faults == []


def test_it_prints(page: chromium.Page, tmp_path: Path) -> None:
    page.printed(tmp_path / "report.pdf")
    content = (tmp_path / "report.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", content)) >= 3


def test_without_a_run_or_videos(browser: chromium.Page, tmp_path: Path, workspace) -> None:
    write_clips(workspace, "ego", ["open door"])
    browser.screen(1280, 900)
    browser.requests.clear()
    browser.faults.clear()
    browser.open(report.write(workspace, out=tmp_path / "page.html"))
    assert browser.faults == []
    assert browser.value("document.querySelectorAll('.pair').length") == 0
    assert "no pairs yet" in browser.value("document.querySelector('#pairs').textContent")


def test_many_pairs_are_shown_a_page_at_a_time(browser: chromium.Page, tmp_path: Path, workspace):
    many_pairs.build(workspace, 10_000)
    browser.screen(1280, 900)
    browser.faults.clear()
    browser.open(report.write(workspace, out=tmp_path / "page.html"))
    assert browser.value(COUNT) == "10,000 pairs"
    assert browser.value("document.querySelectorAll('.pair').length") == 20
    first = browser.value(SHOWN)
    browser.value("document.querySelector('[data-turn=\"1\"]').click()")
    assert browser.value("document.querySelector('.pages span').textContent") == "page 2 of 500"
    assert browser.value("document.querySelectorAll('.pair').length") == 20
    assert browser.value(SHOWN) != first
    choose(browser, "text", "number 9999")
    assert browser.value(SHOWN) == ["say number 9999"]
    assert browser.faults == []
