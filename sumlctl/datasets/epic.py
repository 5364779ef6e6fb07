"""EPIC-KITCHENS annotations, both releases: one CSV row is one narrated action segment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from sumlctl.config.dataset import DatasetConfig
from sumlctl.datasets import annotations as an
from sumlctl.datasets import options, times

_SEGMENT = ("participant_id", "video_id", "start_timestamp", "stop_timestamp")
_LABELS = ("narration", "verb_class", "noun_class", "all_noun_classes")


def read(card: DatasetConfig, annotations: Path, videos: Path) -> an.Annotations:
    """Reads the published CSV files.

    Times come from the timestamps: the frame numbers count JPEG extractions at 60 or 50 fps
    and are no indices into the MP4. The first noun is the main one (`noun_class`), as in the
    challenge; further nouns of `all_noun_classes` follow it.

    Card options:
        files: split -> CSV file.
        unlabelled: split -> CSV file of segments alone, as the challenge's test split has them;
            read where it is there.
        validation_videos: videos that go to split `val` whatever their file's split (EK55).
    """
    options.check(card, {"files", "unlabelled", "validation_videos"})
    files, further = options.texts(card, "files"), options.texts(card, "unlabelled", {})
    held_out: Any = options.value_of(card, "validation_videos", list, [])
    paths = {split: an.annotation_file(annotations, name, card) for split, name in files.items()}
    found = [_segments(path, split) for split, path in paths.items()]
    bare = {s: an.within(annotations, name, card) for s, name in further.items()}
    bare = {split: path for split, path in bare.items() if path.is_file()}
    found += [_segments(path, split, labelled=False) for split, path in bare.items()]
    rows = pl.concat([frame for frame, _ in found]).with_columns(
        split=pl.when(pl.col("video_id").is_in([str(video) for video in held_out]))
        .then(pl.lit("val"))
        .otherwise(pl.col("split"))
    )
    left_out = sum((left for _, left in found), times.NOTHING)
    return an.Annotations(rows, (*paths.values(), *bare.values()), left_out=left_out)


def _segments(path: Path, split: str, labelled: bool = True) -> tuple[pl.DataFrame, times.LeftOut]:
    frame = an.read_table(path)
    key = "narration_id" if "narration_id" in frame.columns else "uid"
    an.require_columns(frame, (key, *_SEGMENT, *(_LABELS if labelled else ())), path)
    if not labelled:
        frame = frame.with_columns(pl.lit("").alias(column) for column in _LABELS)
    frame, left_out = times.usable(frame, "start_timestamp", "stop_timestamp")
    for column in ("verb_class", "noun_class", "all_noun_classes"):
        frame = an.class_ids(frame, column)
    for column in ("verb_class", "noun_class") if labelled else ():
        absent = pl.col(column).list.len() == 0
        an.refuse(frame, absent, f"no {column}", column, "a class id")
    nouns = pl.concat_list("noun_class", "all_noun_classes")
    segments = frame.select(
        pl.col(key).alias("native_id"),
        viewpoint=pl.lit("fpv"),
        split=pl.lit(split),
        video_id="video_id",
        participant=pl.col("participant_id").fill_null(""),
        start_s="start_s",
        stop_s="stop_s",
        narration=pl.col("narration").fill_null(""),
        verbs="verb_class",
        nouns=nouns.list.unique(maintain_order=True),
        actions=an.no_ids(),
        _source="_source",
    )
    return segments, left_out
