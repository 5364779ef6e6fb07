"""Partners by label first and by narration second, as the released code mines them.

The paper takes the most similar narration of the whole pool (Sec. 3.1). The released code looks
first for clips of the same verb and noun, then of the same verb, then of the same noun, and only
then at all of them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from sumlctl.errors import SumlError
from sumlctl.mining.side import MiningSide

_DECIMALS = 6  # similarities that agree to 1e-6 are ties, as in `search`
_KEY = ("narration", "verb_words", "noun_words")


def answers(
    first: MiningSide, pool: MiningSide, queries: np.ndarray, base: np.ndarray, k: int
) -> pl.DataFrame:
    """The k best partners of each distinct first-person narration and label.

    Classes of two datasets are the same when their vocabularies have a word in common.

    Args:
        first: the first-person side.
        pool: the third-person side.
        queries: unit vectors of `first.texts` [n, d].
        base: unit vectors of `pool.texts` [m, d].
        k: partners for each.

    Returns:
        narration and labels of the first-person clips, rank, similarity, and narration and labels
        of their partners; by rank, ties in the order of the pool's texts.

    Raises:
        SumlError: the pool has fewer than k distinct narrations and labels.
    """
    ours, theirs = _distinct(first), _distinct(pool)
    if theirs.height < k:
        raise SumlError(
            "--top-k",
            "more partners than the pool has",
            got=k,
            expected=f"at most {theirs.height}, its distinct narrations and labels",
            fix="Lower it.",
        )
    similarity = base.astype(np.float64)[theirs["text"].to_numpy()]
    verbs, nouns = _same_word(ours, theirs, "verb_words"), _same_word(ours, theirs, "noun_words")
    rows = np.empty((ours.height, k), np.int64)
    cosines = np.empty((ours.height, k))
    for i, text in enumerate(ours["text"]):
        cosine = similarity @ queries[text].astype(np.float64)
        verb, noun = verbs(i), nouns(i)
        tier = np.where(verb & noun, 0, np.where(verb, 1, np.where(noun, 2, 3)))
        rows[i] = np.lexsort((-np.round(cosine, _DECIMALS), tier))[:k]
        cosines[i] = cosine[rows[i]]
    n = ours.height
    return pl.DataFrame(
        {
            "narration": ours["narration"].gather(np.repeat(np.arange(n), k)),
            "labels": ours["labels"].gather(np.repeat(np.arange(n), k)),
            "rank": np.tile(np.arange(k, dtype=np.int16), n),
            "similarity": cosines.reshape(-1).astype(np.float32),
            "tpv_narration": theirs["narration"].gather(rows.reshape(-1)),
            "tpv_labels": theirs["labels"].gather(rows.reshape(-1)),
        }
    )


def labels(clips: pl.DataFrame) -> pl.Series:
    """One string for the verbs and nouns of each clip."""
    words = [pl.col(kind).list.sort().list.join(",") for kind in _KEY[1:]]
    return clips.select(pl.concat_str(words, separator="|")).to_series().alias("labels")


def _distinct(side: MiningSide) -> pl.DataFrame:
    """Distinct narrations and labels, in the order of the texts, with their place in `texts`."""
    places = side.texts.rename("narration").to_frame().with_row_index("text")
    clips = side.clips.select(*_KEY).with_columns(labels(side.clips))
    return clips.unique(["narration", "labels"]).join(places, "narration").sort("text", "labels")


def _same_word(ours: pl.DataFrame, theirs: pl.DataFrame, kind: str) -> Callable[[int], np.ndarray]:
    """From a row of `ours` to which rows of `theirs` share a word with it."""
    rows = theirs.select(row=pl.int_range(pl.len()), word=kind).explode("word", empty_as_null=True)
    having = dict(rows.drop_nulls().group_by("word").agg("row").iter_rows())  # one row per word
    having = {word: np.array(found) for word, found in having.items()}
    mine = ours[kind]

    def shared(row: int) -> np.ndarray:
        mask = np.zeros(theirs.height, bool)
        for word in mine[row]:
            if word in having:
                mask[having[word]] = True
        return mask

    return shared
