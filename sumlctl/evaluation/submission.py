"""The zip that the EPIC-KITCHENS-100 action recognition challenge takes.

Format 0.2 as the challenge's own `create_submission.py` writes it
(github.com/epic-kitchens/C1-Action-Recognition): `test.json` alone in a flat zip, with a score for
every verb and noun class of every segment. It has no `action` scores: the challenge takes the
softmax of verb and noun scores and multiplies them. So what is written is the logarithm of the
predicted probabilities, whose softmax they are; the probabilities themselves would go through a
second softmax, and the action's top-5 with them. A reader may also meet `action`, 100 pairs
`"verb,noun"`, which the EPIC-KITCHENS-55 challenge documents as optional.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from sumlctl import tables
from sumlctl.errors import SumlError, from_os_error
from sumlctl.evaluation.protocols.context import Context
from sumlctl.evaluation.protocols.scored import read

CLASSES = {"verb": 97, "noun": 300}
_MEMBER = "test.json"
_HEADER = {"version": "0.2", "challenge": "action_recognition"}
_LEVELS = ("sls_pt", "sls_tl", "sls_td")
_ACTIONS = 100
_KEYS = {task: tuple(str(c) for c in range(size)) for task, size in CLASSES.items()}
# The whole test set takes about 100 MB; a file that unpacks to more than this is something else.
_MOST_BYTES = 512 << 20
# float32 has no smaller probability, and zero has no logarithm.
_LEAST = 2.0**-149
# Keeps apart what float32 probabilities keep apart.
_DECIMALS = 8


@dataclass(frozen=True)
class Submission:
    """What a submission says.

    Args:
        sls_pt: level of pre-training.
        sls_tl: level of training labels.
        sls_td: level of training data.
        narration_ids: the segments that it scores.
    """

    sls_pt: int
    sls_tl: int
    sls_td: int
    narration_ids: tuple[str, ...]


def write(
    predictions: pl.DataFrame,
    context: Context,
    path: Path,
    *,
    sls_pt: int,
    sls_tl: int,
    sls_td: int,
) -> Submission:
    """Writes a submission for all clips of the context; the file is whole or absent.

    The three levels of supervision are those of the Supervision Levels Scale (Damen and Wray,
    arXiv:2008.09890). What this package trains from Kinetics weights on the training split is
    2, 3, 3.

    Args:
        predictions: tasks `verb` and `noun` with softmax scores.
        context: the clips of the split; none may lack a prediction.
        path: the zip.
        sls_pt: pre-training. 0 none; 1 public images; 2 public images and videos; 3
            self-supervised on public data; 4 that, and on EPIC-KITCHENS' videos; 5 private data.
        sls_tl: labels trained on. 0 none; 1 verbs and nouns of a video in their order; 2 with
            the instant of each narration; 3 with begin and end of each segment; 4 with boxes or
            masks too; 5 with knowledge beyond the labels, such as categories of classes.
        sls_td: data trained on. 0 none; 1 up to five examples of each class; 2 a random quarter
            of the training split or less; 3 the training split; 4 training and validation split;
            5 those and other data.

    Returns:
        What was written.

    Raises:
        SumlError: a level that is none, predictions that do not fit the context, another number
            of classes, scores that are no probabilities, or the file system refused.
    """
    levels = {"sls_pt": sls_pt, "sls_tl": sls_tl, "sls_td": sls_td}
    _check_levels(levels, "submission")
    ids, scores = _collect(predictions, context)
    with (
        tables.whole_file(path) as beside,
        zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(_MEMBER, "w") as member,  # notes no time: same predictions, same bits
    ):
        head = json.dumps({**_HEADER, **levels})
        member.write(f'{head[:-1]}, "results": {{'.encode())
        for i, narration in enumerate(ids):
            entry = {
                task: dict(zip(_KEYS[task], scores[task][i].tolist(), strict=True))
                for task in CLASSES
            }
            comma = ", " if i else ""
            member.write(f"{comma}{json.dumps(narration)}: {json.dumps(entry)}".encode())
        member.write(b"}}")
    return Submission(**levels, narration_ids=tuple(ids))


def validate(path: Path, narration_ids: Iterable[str] | None = None) -> Submission:
    """Checks a submission without unpacking it to disk.

    Args:
        path: the zip.
        narration_ids: the segments that must be in it, and no others; default any.

    Returns:
        What it says.

    Raises:
        SumlError: the first fault found.
    """
    content = _content(path)
    for key, value in _HEADER.items():
        if content.get(key) != value:
            raise _fault(path, f"another {key}", repr(content.get(key))[:80], repr(value))
    _check_levels({level: content.get(level) for level in _LEVELS}, path)
    results = content.get("results")
    if not isinstance(results, dict) or not results:
        raise _fault(path, "no results", repr(type(results).__name__), "scores by narration id")
    for narration, entry in results.items():
        _check_entry(path, narration, entry)
    if narration_ids is not None:
        wanted = set(narration_ids)
        for what, ids in (("lacks", wanted - set(results)), ("invents", set(results) - wanted)):
            if ids:
                got = f"{len(ids):,} segments, first {min(ids)}"
                raise _fault(path, f"{what} segments", got, f"the {len(wanted):,} of the split")
    pt, tl, td = (content[level] for level in _LEVELS)
    return Submission(pt, tl, td, tuple(results))


def _collect(
    predictions: pl.DataFrame, context: Context
) -> tuple[list[str], dict[str, np.ndarray]]:
    """Narration ids in the order of the clips, and the logarithms to write for each task."""
    clips = context.required_clips("a submission").select("clip_id")
    tasks = read(predictions, replace(context, allow_missing=False), labelled=False)
    scores = {}
    for task, size in CLASSES.items():
        if task not in tasks:
            raise _misfit(context, f"no scores of the {task}", ", ".join(tasks))
        found = tasks[task]
        if found.scores.shape[1] != size:
            raise _misfit(context, f"another number of {task}s", f"{found.scores.shape[1]}")
        if found.scores.min() < 0 or found.scores.max() > 1 + 1e-3:
            outside = f"{found.scores.min()} to {found.scores.max()}"
            raise _misfit(context, "scores are no probabilities", outside)
        place = found.rows.select("clip_id").with_row_index("place")
        order = clips.join(place, on="clip_id", how="left", maintain_order="left")["place"]
        ordered = found.scores[order.to_numpy()].astype(np.float64)
        scores[task] = np.round(np.log(np.maximum(ordered, _LEAST)), _DECIMALS)
    # clip_id is `<dataset>/<native id>`.
    ids = [clip_id.partition("/")[2] for clip_id in clips["clip_id"]]
    return ids, scores


def _content(path: Path) -> dict[str, Any]:
    """The JSON object in the zip; objects of numbers alone come as `_Scores`."""
    try:
        with zipfile.ZipFile(path) as archive:
            text = _member(path, archive)
        content = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
        raise _fault(path, "not a whole zip", str(error)[:120], "a zip with test.json") from error
    except OSError as error:
        raise from_os_error(error, path) from error
    except (ValueError, OverflowError, RecursionError) as error:
        raise _fault(path, f"{_MEMBER} is not as it should be", str(error)[:120], "JSON") from error
    if not isinstance(content, dict):
        raise _fault(path, "not a submission", type(content).__name__, "an object with results")
    return content


def _member(path: Path, archive: zipfile.ZipFile) -> bytes:
    names = [info.filename for info in archive.infolist()]
    if names != [_MEMBER]:
        raise _fault(path, "other files than test.json", repr(names[:3])[:120], f"{_MEMBER} alone")
    (info,) = archive.infolist()
    plain = info.compress_type in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
    if info.flag_bits & 1 or not plain:
        raise _fault(path, "packed in another way", f"method {info.compress_type}", "deflate")
    if info.file_size > _MOST_BYTES:
        got = f"{info.file_size >> 20:,} MiB"
        raise _fault(path, f"{_MEMBER} is too large", got, f"at most {_MOST_BYTES >> 20} MiB")
    with archive.open(info) as member:  # reads no more than the size that the zip claims
        return member.read()


@dataclass(frozen=True)
class _Scores:
    keys: tuple[str, ...]
    values: np.ndarray


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Scores:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key comes twice in one object")
    if found and all(type(value) in {float, int} for value in found.values()):
        return _Scores(tuple(found), np.array(list(found.values()), dtype=np.float64))
    return found


def _no_number(text: str) -> None:
    raise ValueError(f"a score is {text}")


def _check_entry(path: Path, narration: str, entry: Any) -> None:
    where = f"{path} {narration[:40]!r}"
    if not isinstance(entry, dict) or not CLASSES.keys() <= entry.keys() <= {*CLASSES, "action"}:
        got = ", ".join(entry) if isinstance(entry, dict) else type(entry).__name__
        raise _fault(where, "not the scores of a segment", got[:80] or "nothing", "verb and noun")
    for task, found in entry.items():
        if not isinstance(found, _Scores):
            raise _fault(where, f"{task} has no scores", type(found).__name__, "numbers by class")
        if not np.isfinite(found.values).all():
            raise _fault(where, f"a score of the {task} is infinite", "inf", "finite numbers")
        if task == "action":
            _check_actions(where, found)
        elif found.keys != _KEYS[task] and set(found.keys) != set(_KEYS[task]):
            got = f"{len(found.keys)} classes, {found.keys[0]} to {found.keys[-1]}"
            raise _fault(where, f"not every {task}", got, f"0 to {CLASSES[task] - 1}")


def _check_actions(where: object, found: _Scores) -> None:
    verbs, nouns = (set(_KEYS[task]) for task in CLASSES)
    wrong = [k for k in found.keys if not _is_pair(k, verbs, nouns)]
    if wrong or len(found.keys) != _ACTIONS:
        got = repr(wrong[0])[:80] if wrong else f"{len(found.keys)} actions"
        raise _fault(where, "not the best actions", got, f'{_ACTIONS} pairs "verb,noun"')


def _is_pair(key: str, verbs: set[str], nouns: set[str]) -> bool:
    verb, _, noun = key.partition(",")
    return verb in verbs and noun in nouns


def _check_levels(levels: Mapping[str, Any], where: object) -> None:
    for name, level in levels.items():
        if type(level) is not int or not 0 <= level <= 5:
            raise _fault(where, f"{name} is no supervision level", repr(level)[:80], "0 to 5")


def _fault(where: object, what: str, got: str, expected: str) -> SumlError:
    fix = "Write it again with `sumlctl eval --submission`."
    return SumlError(where, what, got=got, expected=expected, fix=fix)


def _misfit(context: Context, what: str, got: str) -> SumlError:
    return SumlError(
        context.source,
        what,
        got=got,
        expected="softmax scores of 97 verbs and 300 nouns",
        fix="Submit predictions of a model trained on EPIC-KITCHENS-100.",
    )
