"""Keys, not history, decide what is drawn."""

from __future__ import annotations

from sumlctl.learning.training.randomness import generator


def test_equal_keys_draw_the_same_and_others_do_not():
    keys = [(0,), (0, 0), (0, 1), (1, 0), (0, 0, 1)]
    drawn = [generator(*key).random() for key in keys]
    assert len(set(drawn)) == len(keys)
    assert drawn == [generator(*key).random() for key in keys]
