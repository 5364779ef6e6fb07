"""Fig. 2 and the coverage curves, counted by hand."""

from __future__ import annotations

import pytest

from sumlctl.errors import SumlError
from sumlctl.mining.similarity import Distribution
from sumlctl.report.content import overlap
from sumlctl.report.content.subject import find
from tests.unit.learning import small_world


def test_shares_at_or_above() -> None:
    fine = Distribution("a", "b", "class", 4, 0, [0.25, 0.5, 0.25], 0, [], (0.0, 0.5, 1.0, 1.01))
    assert overlap.at_or_above(fine) == [(0.0, 1.0), (0.5, 0.75), (1.0, 0.25)]


def test_classes_and_clips(world) -> None:
    (one,) = overlap.gather(find(world, "mine"))
    # Eight classes of one clip each, with similarities 0.9, 0.8, ..., 0.2.
    assert one.bars.by == "class"
    assert one.bars.mean == pytest.approx(0.55)
    assert one.classes is not None
    shares = dict(one.classes)
    assert [shares[s] for s in (0.0, 0.25, 0.85, 0.95, 1.0)] == pytest.approx(
        [1, 7 / 8, 1 / 8, 0, 0]
    )
    assert shares == pytest.approx(dict(one.bars.coverage))


def test_without_labels_clips_are_counted(own_world) -> None:
    from tests.builders import write_clips

    write_clips(own_world, "ego", small_world.NAMES)
    (one,) = overlap.gather(find(own_world, "mine"))
    assert (one.bars.by, one.classes) == ("clip", None)


def test_pairs_of_other_clips(own_world) -> None:
    from tests.builders import write_clips

    write_clips(own_world, "ego", ["something else"])
    with pytest.raises(SumlError, match="pairs do not fit the clips table"):
        overlap.gather(find(own_world, "mine"))
