"""LEMMA annotations: the frame lists of the first release and the refined interval JSON."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from sumlctl.config.dataset import DatasetConfig
from sumlctl.datasets import annotations as an
from sumlctl.datasets import options, times
from sumlctl.tables import unpickle

FPS = 24.0  # both releases count frames at 24 per second

_FRAMES = "full/rec_tpv_frames.p"
_SEGMENTS = "full/rec_tpv_segments_indices.p"
_INTERVALS = "action_intervals_w_tasks.json"
_SPLITS = {split: f"splits/1tpv_{split}.json" for split in ("train", "val", "test")}
_NULL = "null$"

# Joints of a human-object-interaction template and the words that stand for them.
_JOINTS = {
    "${s0}@": " ",
    "${m0}@": " ",
    ":{s1}@": " with ",
    ":{m1}@": " to the ",
    ":{s2}@": " with ",
    ":{m2}@": " with ",
    "|": " and ",
    "$": "",
}


def read(card: DatasetConfig, annotations: Path, videos: Path) -> an.Annotations:
    """Reads single-agent third-person clips; the refined release wins where both are there.

    A clip of the first release is one segment, labelled as its first frame; a clip of the
    refined release is one interval. Segments of no action are no clips.
    """
    options.check(card, set())
    metadata = {
        name: an.annotation_file(annotations, f"metadata/all_{name}.json", card)
        for name in ("acts", "objs")
    }
    splits = {s: annotations / f for s, f in _SPLITS.items() if (annotations / f).is_file()}
    split_of = {video: s for s, path in splits.items() for video in _names(path)}
    if not split_of:
        an.annotation_file(annotations, _SPLITS["train"], card)
    if (annotations / _INTERVALS).is_file():
        files = [annotations / _INTERVALS]
        clips = _refined(files[0], metadata, split_of)
    else:
        metadata["hois"] = an.annotation_file(annotations, "metadata/all_hois.json", card)
        files = [an.annotation_file(annotations, name, card) for name in (_FRAMES, _SEGMENTS)]
        clips = _first_release(files[0], files[1], metadata["hois"], split_of)
    try:
        rows = pl.DataFrame(list(clips), schema=an.COLUMNS)
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
        expected = "the structure that LEMMA's authors published"
        raise an.malformed(files[0], f"{type(error).__name__}: {error}", expected) from error
    rows, left_out = times.usable(rows, "start_s", "stop_s")
    read_files = (*files, *metadata.values(), *splits.values())
    return an.Annotations(rows, read_files, left_out=left_out)


def narrate(template: str) -> str:
    """The phrase that a human-object-interaction template stands for.

    `put${s0}@cup:{m1}@table` is "put cup to the table"; `null$` is "".
    """
    if template == _NULL:
        return ""
    for joint, words in _JOINTS.items():
        template = template.replace(joint, words)
    return template.strip()


def _clip(video: str, split: str, number: int, first: int, last: int) -> dict[str, Any]:
    return {
        "native_id": f"{video}_{number}",
        "viewpoint": "tpv",
        "split": split,
        "video_id": video,
        "participant": "",
        "start_s": first / FPS,
        "stop_s": last / FPS,
    }


def _first_release(
    frames_file: Path, segments_file: Path, hois_file: Path, split_of: dict[str, str]
) -> Iterator[dict[str, Any]]:
    hois = _names(hois_file)
    segments = _rows(segments_file, 3)
    wanted = {(video, int(first)) for video, first, _ in segments if video in split_of}
    labels = defaultdict(list)
    for frame in _rows(frames_file, 9):
        if (frame[0], int(frame[1])) in wanted:
            labels[frame[0], int(frame[1])].append((frame[6], frame[8]))
    for number, (video, first, length) in enumerate(segments):
        done = [
            (act, int(hoi))
            for acts, ids in labels.get((video, int(first)), [])
            for act, hoi in zip(acts, ids, strict=True)
            if hois[int(hoi)] != _NULL
        ]
        if not done:
            continue
        yield _clip(video, split_of[video], number, int(first), int(first) + int(length)) | {
            "narration": " and ".join(dict.fromkeys(narrate(hois[hoi]) for _, hoi in done)),
            "verbs": sorted({int(verb) for (verb, _), _ in done}),
            "nouns": sorted({int(n) for (_, places), _ in done for p in places for n in p}),
            "actions": sorted({hoi for _, hoi in done}),
            "_source": f"{segments_file.name} row {number + 1}",
        }


def _refined(
    path: Path, metadata: dict[str, Path], split_of: dict[str, str]
) -> Iterator[dict[str, Any]]:
    verbs = {name.casefold(): i for i, name in enumerate(_names(metadata["acts"]))}
    nouns = {name.casefold(): i for i, name in enumerate(_names(metadata["objs"]))}
    for video, people in an.read_json(path).items():
        if video not in split_of:
            continue
        intervals = [row for person in people.values() for row in person]
        for number, row in enumerate(intervals):
            where = f"{path.name} {video} interval {number + 1}"
            text, first, last = _interval(row, where)
            words = [w.casefold() for w in re.findall(r"\[([^\]]*)\]", text)]
            verb = text.split("[")[0].strip().casefold()
            if not verb or verb == "null":
                continue
            yield _clip(video, split_of[video], number, first, last) | {
                "narration": text.replace("[", "").replace("]", ""),
                "verbs": [verbs[verb]] if verb in verbs else [],
                "nouns": sorted({nouns[w] for w in words if w in nouns}),
                "actions": [],
                "_source": where,
            }


def _interval(row: Any, where: str) -> tuple[str, int, int]:
    try:
        text, first, last = str(row[0]), int(row[1]), int(row[2])
    except (TypeError, ValueError, IndexError, KeyError) as error:
        expected = "[phrase, first frame, last frame, task]"
        raise an.malformed(where, repr(row), expected) from error
    return text, first, last


def _names(path: Path) -> list[str]:
    names = an.read_json(path)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise an.malformed(path, repr(names), "a list of names")
    return names


def _rows(path: Path, width: int) -> list[Any]:
    rows = unpickle.load(path)
    sound = isinstance(rows, list) and all(isinstance(row, list | tuple) for row in rows)
    if not sound or any(len(row) < width for row in rows):
        raise an.malformed(path, type(rows).__name__, f"a list of rows with {width} entries")
    return rows
