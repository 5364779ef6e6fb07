"""Fig. 2 as a file: what it says, whole or absent, the same bytes each time."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sumlctl.errors import SumlError
from sumlctl.mining.similarity import Distribution
from sumlctl.report.figures import similarity_figure

RANGES = ["< 0.5", "[0.5, 1]"]


def distribution(tpv: str, shares: list[float]) -> Distribution:
    return Distribution(
        fpv="ek55",
        tpv=tpv,
        by="class",
        n=10,
        without=0,
        shares=shares,
        mean=0.4,
        coverage=[(0.0, 1.0), (0.5, 0.3), (1.0, 0.0)],
        edges=(0.0, 0.5, 1.0),
    )


BOTH = [distribution("charades-ego", [0.73, 0.27]), distribution("lemma", [0.61, 0.39])]


def test_svg_says_what_it_shows(tmp_path: Path) -> None:
    out = tmp_path / "figure.svg"
    similarity_figure(BOTH, RANGES, out)
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", out.read_text(encoding="utf-8"))
    for said in ("ek55 → charades-ego", "ek55 → lemma", "73", "27", "61", "39", "[0.5, 1]"):
        assert said in texts
    assert "action classes (%)" in texts


@pytest.mark.parametrize(
    ("ending", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_formats_and_the_same_bytes_each_time(tmp_path: Path, ending: str, magic: bytes) -> None:
    once, again = (tmp_path / f"{name}.{ending}" for name in ("once", "again"))
    for out in (once, again):
        similarity_figure(BOTH, RANGES, out)
    assert once.read_bytes().startswith(magic)
    assert once.read_bytes() == again.read_bytes()


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SumlError, match="expected png, svg, pdf"):
        similarity_figure(BOTH, RANGES, tmp_path / "figure.jpg")
    assert list(tmp_path.iterdir()) == []
