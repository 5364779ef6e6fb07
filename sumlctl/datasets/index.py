"""`sumlctl index`: annotation files and video files become the videos and clips tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from sumlctl import tables
from sumlctl.config import dataset as cards
from sumlctl.config import registry
from sumlctl.datasets import annotations as an
from sumlctl.datasets import vocabulary
from sumlctl.datasets.clean import clean_column
from sumlctl.datasets.survey import survey
from sumlctl.errors import SumlError
from sumlctl.jobs.executors import THIS_MACHINE, Executor
from sumlctl.jobs.units import Work
from sumlctl.video.probe_many import PROBED_WITH
from sumlctl.video.read import require
from sumlctl.workspace import Workspace

# Annotations round to hundredths of a second and may name the frame after the last.
_ROUNDING_S = 0.01

# What becomes of rows that cannot be used.
DROP, REFUSE = "drop", "refuse"


@dataclass(frozen=True)
class Indexed:
    """What `index` did for one dataset.

    Args:
        dataset: its name.
        splits: one record per split and viewpoint, see `summarise`.
        unreadable: video id -> reason.
        flawed: video id -> what is wrong with a video that can be read all the same.
        notes: what the reader had to say.
        left_out: rows of the annotation files that cannot be used.
        bad_rows: the first of them and what is wrong with each.
        written: the tables written.
        doubted: the videos that decord is not trusted with, where it is the one that was chosen.
    """

    dataset: str
    splits: list[dict[str, Any]]
    unreadable: dict[str, str]
    flawed: dict[str, str]
    notes: tuple[str, ...]
    left_out: int
    bad_rows: list[str]
    written: tuple[Path, ...]
    doubted: list[str] = field(default_factory=list)


def index(
    dataset: str,
    workspace: Workspace,
    *,
    annotations: Path | None = None,
    videos: Path | None = None,
    executor: Executor = THIS_MACHINE,
    retry_unreadable: bool = False,
    bad_rows: str = DROP,
    decoder: str = "auto",
) -> Indexed:
    """Reads a dataset's annotations, probes its videos, writes both tables.

    Works without any video: they are then `missing` and their clips `no_video`.

    Args:
        dataset: the name of its card.
        annotations: folder of annotation files; default the one that the last `index` was given,
            else as the workspace has it.
        videos: folder of video files; the same.
        executor: who probes the videos.
        retry_unreadable: whether videos found unreadable before are probed again, more thoroughly.
        bad_rows: `drop`: rows that cannot be used are left out and counted; `refuse`: they are an
            error.
        decoder: `pyav` leaves decord unasked; with `decord`, what it is not trusted with is named.

    Raises:
        SumlError: any fault in the card or the annotations, no row that can be used, or every
            video that the earlier table has is gone; the tables stay as they were.
    """
    card = cards.load(dataset, workspace)
    before = workspace.remembered(dataset) or {}
    annotations = annotations or before.get("annotations", workspace.data(dataset, "annotations"))
    videos = videos or before.get("videos", workspace.data(dataset, "videos"))
    told = registry.load("readers", card.reader, card.path)(card, annotations, videos)
    _check_left_out(told, bad_rows)
    words, class_lists = vocabulary.load(card, annotations, told.class_names)
    an.check(told.rows, {kind: len(classes) for kind, classes in words.items()})
    _check_viewpoints(card, told.rows)

    table = workspace.table(dataset, "videos")
    work = Work(workspace.units(f"index {dataset}"))
    require(decoder)
    places = card, told.rows, videos, table, work, executor
    found = survey(*places, retry_unreadable=retry_unreadable, decoder=decoder)
    clips = _clips(card, told.rows, found)
    read = dict.fromkeys([*told.files, *class_lists])
    inputs = {path.relative_to(annotations).as_posix(): tables.digest(path) for path in read}
    inputs[f"manifests/{card.path.name}"] = tables.digest(card.path)
    config = {"reader": card.reader, "release": told.release, **card.options}
    written = (table, workspace.table(dataset, "clips"))
    folders = workspace.unusual(dataset, {"annotations": annotations, "videos": videos})
    root = {
        "videos_root": workspace.relative_or_absolute(videos),
        "folders": {k: workspace.relative_or_absolute(f) for k, f in folders.items()},
    }
    made = root | {"probed_with": PROBED_WITH}
    tables.write(found.to_arrow(), written[0], "videos", inputs=inputs, config=config, extra=made)
    extra = {
        "vocabulary": words,
        "scene": card.scene,
        "left_out": told.left_out.count,
        **root,
    }
    tables.write(clips.to_arrow(), written[1], "clips", inputs=inputs, config=config, extra=extra)
    work.forget()
    said = found.filter(pl.col("error").is_not_null())
    bad = pl.col("status") == "unreadable"
    return Indexed(
        dataset,
        summarise(clips, found, expected_counts(card, told.release)),
        dict(said.filter(bad).select("video_id", "error").iter_rows()),
        dict(said.filter(~bad).select("video_id", "error").iter_rows()),
        told.notes,
        told.left_out.count,
        told.left_out.named,
        written,
        _doubted(found) if decoder == "decord" else [],
    )


def _check_left_out(found: an.Annotations, bad_rows: str) -> None:
    """Refuses rows that cannot be used where they are to be refused, or where no other is there."""
    left_out = found.left_out
    if found.rows.is_empty() and not left_out.count:
        raise SumlError(
            found.files[0] if found.files else "annotations",
            "no clip in the annotations",
            got="; ".join(found.notes) or f"{len(found.files)} files without one",
            expected="at least one clip",
            fix="Check that the files are those of the dataset, and what its configuration leaves "
            "out.",
        )
    if not left_out.count or (bad_rows == DROP and found.rows.height):
        return
    first, more = left_out.first[0], left_out.count - 1
    others = f" (and {more:,} more rows that cannot be used)" if more else ""
    only = "" if found.rows.height else ", and no other row is there"
    raise SumlError(
        first.where,
        f"{first.what}{others}{only}",
        got=first.got,
        expected=first.expected,
        fix=first.fix + (" `--bad-rows drop` leaves such rows out." if found.rows.height else ""),
    )


def _doubted(videos: pl.DataFrame) -> list[str]:
    doubted = videos.filter(status="ok", decord="doubted")
    return doubted.get_column("video_id").to_list()


def _check_viewpoints(card: cards.DatasetConfig, rows: pl.DataFrame) -> None:
    bad = ~pl.col("viewpoint").is_in(list(card.viewpoints))
    an.refuse(rows, bad, "viewpoint that the card does not have", "viewpoint", str(card.viewpoints))


def _clips(card: cards.DatasetConfig, rows: pl.DataFrame, videos: pl.DataFrame) -> pl.DataFrame:
    """The clips table: every annotated segment checked against its probed video."""
    known = videos.select("video_id", "duration_s", "fps", video_status="status")
    slack = pl.max_horizontal(1 / pl.col("fps"), pl.lit(0.0)) + _ROUNDING_S
    late = pl.col("duration_s") + slack
    status = (
        pl.when(pl.col("video_status") != "ok")
        .then(pl.lit("no_video"))
        .when(pl.col("start_s") >= pl.col("duration_s"))
        .then(pl.lit("out_of_range"))
        .when(pl.col("stop_s") > late)
        .then(pl.lit("truncated"))
        .otherwise(pl.lit("ok"))
    )
    return rows.join(known, on="video_id", how="left", maintain_order="left").select(
        clip_id=pl.lit(f"{card.name}/") + pl.col("native_id"),
        dataset=pl.lit(card.name),
        viewpoint="viewpoint",
        split="split",
        video_id="video_id",
        participant="participant",
        start_s="start_s",
        stop_s="stop_s",
        narration=clean_column(rows.get_column("narration")),
        verbs="verbs",
        nouns="nouns",
        actions="actions",
        status=status,
    )


def expected_counts(card: cards.DatasetConfig, release: str) -> Mapping[str, Mapping[str, int]]:
    """split -> viewpoint -> rows; a card tells releases apart as `v0.train`."""
    prefix = f"{release}." if release else ""
    named = {s.removeprefix(prefix): n for s, n in card.expected.items() if s.startswith(prefix)}
    return {split: counts for split, counts in named.items() if "." not in split}


def summarise(
    clips: pl.DataFrame, videos: pl.DataFrame, expected: Mapping[str, Mapping[str, int]]
) -> list[dict[str, Any]]:
    """Per split and viewpoint: clips, the card's count and the difference, narrations, status."""
    status = videos.select("video_id", video_status="status")
    joined = clips.join(status, on="video_id", how="left")
    counts = {
        **{s: (pl.col("status") == s).sum() for s in ("truncated", "out_of_range", "no_video")},
        "videos": pl.col("video_id").n_unique(),
        **{
            f"videos_{s}": pl.col("video_id").filter(pl.col("video_status") == s).n_unique()
            for s in ("missing", "unreadable")
        },
    }
    grouped = joined.group_by("split", "viewpoint", maintain_order=True).agg(
        clips=pl.len(), narrations=pl.col("narration").n_unique(), **counts
    )
    records = grouped.to_dicts()
    seen = {(r["split"], r["viewpoint"]) for r in records}
    for split, wanted in expected.items():
        for viewpoint in wanted:
            if viewpoint != "videos" and (split, viewpoint) not in seen:
                absent = dict.fromkeys(grouped.columns, 0)
                records.append(absent | {"split": split, "viewpoint": viewpoint})
    for record in records:
        wanted = expected.get(record["split"], {})
        record["expected"] = wanted.get(record["viewpoint"])
        record["difference"] = _difference(record["clips"], record["expected"])
        record["videos_difference"] = _difference(record["videos"], wanted.get("videos"))
    return records


def _difference(found: int, expected: int | None) -> int | None:
    return None if expected is None else found - expected


def check_strict(done: Indexed) -> None:
    """Refuses anything short of complete.

    Raises:
        SumlError: a count differs from the card, or a clip has no good video.
    """
    for record in done.splits:
        faults = {
            "rows more or fewer than the card expects": record["difference"] or 0,
            "videos more or fewer than the card expects": record["videos_difference"] or 0,
            "videos missing": record["videos_missing"],
            "videos unreadable": record["videos_unreadable"],
            "clips truncated": record["truncated"],
            "clips out of range": record["out_of_range"],
        }
        for what, n in faults.items():
            if n:
                raise SumlError(
                    f"{done.dataset} {record['split']} {record['viewpoint']}",
                    f"not complete: {what}",
                    got=f"{n:+,}" if "card" in what else f"{n:,}",
                    expected="0",
                    fix="Complete the data, or index without --strict.",
                )
