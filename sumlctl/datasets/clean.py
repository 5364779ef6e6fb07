"""Cleans narrations, the same for every dataset."""

from __future__ import annotations

import unicodedata

import polars as pl


def clean(narration: str) -> str:
    """The narration as it is embedded: NFC, lower case, single spaces, no control characters.

    Lower case because datasets disagree about it ("Opening a door", "open door") and case says
    nothing about the action.
    """
    text = "".join(" " if unicodedata.category(c)[0] == "C" else c for c in narration)
    # Lower case first: J with a caron has no composed form, j with a caron has.
    return " ".join(unicodedata.normalize("NFC", text.lower()).split())


def clean_column(narrations: pl.Series) -> pl.Series:
    """Every narration cleaned; each distinct one once."""
    distinct = narrations.unique()
    cleaned = pl.Series([clean(text) for text in distinct], dtype=pl.String)
    return narrations.replace_strict(distinct, cleaned, return_dtype=pl.String)
