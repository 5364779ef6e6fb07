"""Generated datasets: rendered from the card's options when first read, then read as a table."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from sumlctl import console
from sumlctl.config import documents
from sumlctl.config.dataset import DatasetConfig
from sumlctl.datasets import annotations as an
from sumlctl.datasets import options, world
from sumlctl.datasets.render import Variety, film
from sumlctl.errors import SumlError
from sumlctl.jobs import pool
from sumlctl.tables import whole_file
from sumlctl.workspace import inside

_COLUMNS = (
    *("clip_id", "video_id", "participant", "split", "start_s", "stop_s"),
    *("narration", "verb", "noun"),
)
_VIDEO_DEADLINE_S = 120.0
_MORE = ("hobby", "labelled", "tint", "bystanders", "zoom")
_OPTIONS = {"seed", "overlap", "clips", "size", "fps", *_MORE}


@dataclass(frozen=True)
class WorldSettings:
    """What a generated dataset depends on.

    Args:
        viewpoint: fpv or tpv.
        seed: of the world; both viewpoints of one world have the same.
        overlap: see `world.actions`.
        clips: split -> number of clips.
        size: width and height in pixels.
        fps: pictures per second.
        verbs, nouns: class names; a class id is a place in them.
        hobby: see `world.actions`.
        labelled: how many clips of split train have classes, the first ones; None for all.
        tint, bystanders, zoom: see `render.Variety`.
    """

    viewpoint: str
    seed: int
    overlap: float
    clips: Mapping[str, int]
    size: tuple[int, int]
    fps: int
    verbs: tuple[str, ...]
    nouns: tuple[str, ...]
    hobby: float = 0.0
    labelled: int | None = None
    tint: float = 0.0
    bystanders: int = 0
    zoom: float = 1.0


def read(card: DatasetConfig, annotations: Path, videos: Path) -> an.Annotations:
    """Reads `clips.csv`; where it is not there yet, makes it and every video first.

    An interrupted generation goes on where it stopped. `world.json` keeps the settings.

    Card options:
        seed: of the world.
        overlap: share of first-person actions that are third-person actions too, 0.0 to 1.0.
        clips: split -> number of clips.
        size: width and height in pixels, even numbers.
        fps: pictures per second.
        hobby: share of first-person actions of the hobby room, 0.0 to 0.5; 0.0 if left out.
        tint: how far things of one kind differ in colour, 0.0 to 1.0; 0.0 if left out.
        bystanders: things that nothing is done to; 0 if left out.
        zoom: how much closer the camera is, 1.0 to 3.0; 1.0 if left out.
        labelled: clips of split train with classes, the others are only narrated; all if left out.

    Raises:
        SumlError: a fault in the options, or files there that other settings made.
    """
    settings = _settings(card)
    table, record = annotations / "clips.csv", annotations / "world.json"
    if table.is_file() or record.is_file():
        _check_same(settings, record, videos)
    if not table.is_file():
        _generate(card, settings, table, record, videos)
    return an.Annotations(_rows(table, settings.viewpoint), (table, record))


def _settings(card: DatasetConfig) -> WorldSettings:
    options.check(card, _OPTIONS)
    clips: Any = options.value_of(card, "clips", dict)
    size: Any = options.value_of(card, "size", list)
    seed: Any = options.value_of(card, "seed", int)
    fps: Any = options.value_of(card, "fps", int)
    overlap: Any = options.value_of(card, "overlap", float)
    hobby: Any = options.value_of(card, "hobby", float, default=0.0)
    tint: Any = options.value_of(card, "tint", float, default=0.0)
    bystanders: Any = options.value_of(card, "bystanders", int, default=0)
    zoom: Any = options.value_of(card, "zoom", float, default=1.0)
    labelled: Any = options.value_of(card, "labelled", int, default=clips.get("train", 0))
    _check(card, "viewpoints", card.viewpoints, len(card.viewpoints) == 1, "fpv or tpv alone")
    _check(card, "reader.seed", seed, seed >= 0, "0 or more")
    _check(card, "reader.overlap", overlap, 0 <= overlap <= 1, "0.0 to 1.0")
    _check(card, "reader.hobby", hobby, 0 <= hobby <= 0.5, "0.0 to 0.5")
    _check(card, "reader.tint", tint, 0 <= tint <= 1, "0.0 to 1.0")
    _check(card, "reader.bystanders", bystanders, bystanders >= 0, "0 or more")
    _check(card, "reader.zoom", zoom, 1 <= zoom <= 3, "1.0 to 3.0")
    _check(card, "reader.labelled", labelled, labelled >= 0, "0 or more")
    _check(card, "reader.fps", fps, fps >= 1, "1 or more")
    counted = clips and all(isinstance(n, int) and n > 0 for n in clips.values())
    _check(card, "reader.clips", clips, counted, "a number above 0 per split")
    even = len(size) == 2 and all(isinstance(n, int) and n >= 32 and n % 2 == 0 for n in size)
    _check(card, "reader.size", size, even, "width and height, even and at least 32")
    return WorldSettings(
        *(card.viewpoints[0], seed, overlap, clips, tuple(size), fps),
        *(_names(card, "verbs"), _names(card, "nouns")),
        **{key: card.options[key] for key in _MORE if key in card.options},
    )


def _check(card: DatasetConfig, key: str, value: object, good: bool, expected: str) -> None:
    if not good:
        fix = "Correct the card."
        raise SumlError(card.path, f"bad {key}", got=repr(value), expected=expected, fix=fix)


def _names(card: DatasetConfig, kind: str) -> tuple[str, ...]:
    return card.vocabulary[kind].names if kind in card.vocabulary else ()


def _check_same(settings: WorldSettings, record: Path, videos: Path) -> None:
    """Refuses files that other settings made."""
    wanted = json.loads(json.dumps(asdict(settings)))
    try:
        made = dict(documents.from_json(record.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        made = {}
    for key, value in wanted.items():
        # What a record does not name was not to be chosen yet when it was made.
        if made.get(key, getattr(WorldSettings, key, None)) != value:
            raise SumlError(
                record,
                f"the dataset was generated with another {key}",
                got=made.get(key),
                expected=value,
                fix=f"Delete the folders {record.parent} and {videos} to generate it anew.",
            )


def _generate(
    card: DatasetConfig, settings: WorldSettings, table: Path, record: Path, videos: Path
) -> None:
    """Renders the videos that are not there and writes the table last."""
    filmed = world.videos(
        settings.viewpoint, settings.seed, settings.overlap, settings.clips, settings.hobby
    )
    rows = _table(card, settings, filmed)
    template = card.videos[0]
    paths = {
        video: inside(
            videos,
            template.format(video_id=video.video_id, participant=video.participant),
            card.path,
        )
        for video in filmed
    }
    if not record.is_file():
        for path in paths.values():
            path.unlink(missing_ok=True)
        with whole_file(record) as beside:
            beside.write_text(json.dumps(asdict(settings), indent=2), encoding="utf-8")
    _render(card.name, settings, {v: p for v, p in paths.items() if not p.is_file()})
    with whole_file(table) as beside:
        rows.write_csv(beside)


def _table(card: DatasetConfig, settings: WorldSettings, filmed: list[world.Video]) -> pl.DataFrame:
    rows = [
        (
            *(f"{video.video_id}_{i}", video.video_id, video.participant, video.split),
            *(segment.start_s, segment.stop_s, segment.narration),
            _class_id(card, "verbs", settings.verbs, segment.action.verb),
            _class_id(card, "nouns", settings.nouns, segment.action.noun),
        )
        for video in filmed
        for i, segment in enumerate(video.segments)
    ]
    table = pl.DataFrame(rows, schema=_COLUMNS, orient="row")
    if settings.labelled is None:
        return table
    train = pl.col("split") == "train"
    known = ~train | (train.cum_sum() <= settings.labelled)
    return table.with_columns(pl.when(known).then(c).alias(c) for c in ("verb", "noun"))


def _class_id(card: DatasetConfig, kind: str, names: tuple[str, ...], name: str) -> int:
    if name in names:
        return names.index(name)
    raise SumlError(
        card.path,
        f"vocabulary.{kind} lacks a class of this world",
        got=f"{len(names)} names without {name!r}",
        expected=repr(name),
        fix="Add it to the names.",
    )


def _render(dataset: str, settings: WorldSettings, missing: dict[world.Video, Path]) -> None:
    """Renders videos in worker processes."""
    variety = Variety(settings.tint, settings.bystanders, settings.zoom)
    look = settings.viewpoint, settings.size, settings.fps, settings.seed, variety
    jobs = max(1, min(os.cpu_count() or 1, len(missing)))
    results: Any = pool.run(
        partial(film, *look), missing.items(), jobs=jobs, deadline_s=_VIDEO_DEADLINE_S
    )
    try:
        with (
            closing(results),
            console.progress(f"rendering {dataset}", len(missing), "videos") as bar,
        ):
            for (_, path), failure in results:
                if isinstance(failure, pool.Failure):
                    raise _not_rendered(path, failure)
                bar.advance()
    finally:
        _sweep(missing.values())


def _not_rendered(path: Path, failure: pool.Failure) -> SumlError:
    return failure.error or SumlError(
        path,
        "the video could not be rendered",
        got=failure.reason,
        expected="an MP4 file",
        fix="Mend it and run the same command again; finished videos stay.",
    )


def _sweep(videos: Iterable[Path]) -> None:
    """Removes what processes that were ended left beside videos."""
    for path in videos:
        for left in path.parent.glob(f".{path.name}.*.tmp"):
            left.unlink(missing_ok=True)


def _rows(table: Path, viewpoint: str) -> pl.DataFrame:
    frame = an.read_table(table)
    an.require_columns(frame, _COLUMNS, table)
    for column in ("start_s", "stop_s"):
        frame = an.seconds(frame, column)
    for column in ("verb", "noun"):
        frame = an.class_ids(frame, column)
    return frame.select(
        native_id="clip_id",
        viewpoint=pl.lit(viewpoint),
        split="split",
        video_id="video_id",
        participant="participant",
        start_s="start_s",
        stop_s="stop_s",
        narration="narration",
        verbs="verb",
        nouns="noun",
        actions=an.no_ids(),
        _source="_source",
    )
