"""Narrations as they are embedded."""

import unicodedata

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sumlctl.datasets.clean import clean, clean_column

PROPERTY = settings(max_examples=300, deadline=None, derandomize=True)
# Letters whose case, composition or neighbours make trouble, among any others.
AWKWARD = (
    st.text(st.sampled_from("JjT̈ǰİIıßẞΣσςÅK ﬁ\u030c\u0308\u0301\u0307\u200d\u00ad\x00\x85 \u2028"))
    | st.text()
)


@pytest.mark.parametrize(
    ("told", "cleaned"),
    [
        ("open door", "open door"),
        ("Opening a door", "opening a door"),
        ("  open\t the \r\n door ", "open the door"),
        ("open\x00door\x07", "open door"),
        ("\ufeffopen\u200bdoor", "open door"),
        ("open\u00a0\u3000door", "open door"),
        ("CAFE\u0301", "caf\u00e9"),
        ("J\u030cAR", "\u01f0ar"),
        ("ΟΔΟΣ", "οδος"),
        ("用右手拿刀", "用右手拿刀"),
        ("", ""),
        (" \n", ""),
    ],
)
def test_by_hand(told, cleaned):
    assert clean(told) == cleaned


@PROPERTY
@example("J\u030c")
@given(AWKWARD)
def test_what_is_clean_stays_as_it_is(told):
    assert clean(clean(told)) == clean(told)


@PROPERTY
@given(AWKWARD)
def test_nothing_unclean_is_left(told):
    text = clean(told)
    assert not any(unicodedata.category(c).startswith("C") for c in text)
    assert not any(c.isspace() and c != " " for c in text)
    assert "  " not in text
    assert text == text.strip()
    assert unicodedata.is_normalized("NFC", text)
    assert text == text.lower()


@PROPERTY
@given(AWKWARD)
def test_compositions_of_the_same_text_are_the_same(told):
    forms = {clean(unicodedata.normalize(form, told)) for form in ("NFC", "NFD")}
    assert forms == {clean(told)}


def test_a_column_keeps_its_order():
    told = pl.Series(["b B", "a", "b  b", "", "A"])
    assert clean_column(told).to_list() == ["b b", "a", "b b", "", "a"]
    assert clean_column(pl.Series([], dtype=pl.String)).to_list() == []
