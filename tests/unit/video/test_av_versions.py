"""The little that PyAV 17 to 19 do differently; the suite runs with one of them at a time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest

from sumlctl.video import av_versions


class Rational:
    """As PyAV 19's number: zero where it is unset, and no `Fraction`."""

    def __init__(self, numerator: int, denominator: int) -> None:
        self.numerator, self.denominator = numerator, denominator

    def __bool__(self) -> bool:
        return self.numerator != 0 and self.denominator != 0


def test_open_input_reads_a_title_that_is_not_utf_8(tmp_path: Path) -> None:
    """`Café` in Latin-1 is the bytes 43 61 66 E9, and E9 alone is no UTF-8."""
    written = tmp_path / "ascii.mkv"
    with av.open(str(written), "w") as sink:
        sink.metadata["title"] = "CafX"
        stream: Any = sink.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for _ in range(5):
            sink.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        sink.mux(stream.encode())
    content = written.read_bytes()
    assert content.count(b"CafX") == 1
    latin = tmp_path / "latin.mkv"
    latin.write_bytes(content.replace(b"CafX", b"Caf\xe9"))
    with av_versions.open_input(latin) as container:
        assert container.metadata["title"].startswith("Caf")
        assert sum(1 for _ in container.decode(video=0)) == 5


@pytest.mark.parametrize("of", [av_versions.time_base, av_versions.declared_rate])
@pytest.mark.parametrize(
    ("value", "exact"),
    [
        (None, None),
        (Fraction(1001, 30000), Fraction(1001, 30000)),
        (Rational(1001, 30000), Fraction(1001, 30000)),
        (Rational(0, 1), None),
        (Rational(0, 0), None),
        (Rational(1, 0), None),
    ],
)
def test_time_base_and_rate_are_exact_or_none(of: Any, value: Any, exact: Fraction | None) -> None:
    found = of(SimpleNamespace(time_base=value, average_rate=value))
    assert found == exact
    assert exact is None or type(found) is Fraction
