"""Dataset cards: one TOML per dataset says what it is, which files it has and what to expect."""

from __future__ import annotations

import math
import re
import string
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from sumlctl import documents, shipped
from sumlctl.errors import SumlError, nearest_names
from sumlctl.workspace import Workspace

VIEWPOINTS = ("fpv", "tpv")
LABELS = ("verbs", "nouns", "actions")
_TEXTS = ("title", "homepage", "licence", "citation")
_FIELDS = ("video_id", "participant")
_MOST_CLASSES = 100_000  # more is a slip
_FIX = "Correct the card."
_KEYS = {*_TEXTS, "viewpoints", "reader", "videos", "vocabulary", "expected"}


@dataclass(frozen=True)
class VocabularySource:
    """Where the class names of one label kind come from, and how many there must be.

    Args:
        size: number of classes; ids run from 0 to size - 1.
        names: the names themselves, for short vocabularies.
        file: a class list under the annotations folder: CSV with an id column, JSON list, or text.
        name: CSV column of the class name.
        id: CSV column of the class id; without it, the row number.
        forms: CSV column that lists the words used for the class, if any.
    """

    size: int
    names: tuple[str, ...] = ()
    file: str | None = None
    name: str = "name"
    id: str | None = None
    forms: str | None = None


@dataclass(frozen=True)
class Card:
    """A dataset as its card describes it.

    Args:
        videos: where its videos may be under their folder, with `{video_id}` and `{participant}`.
        fps: pattern of a video id -> frames per second of the folders of JPEG files that such
            videos may come as.
        scene: pattern of a video id whose first group names the scene; videos of one scene
            show the same actions from several viewpoints. None where there are no such videos.
    """

    name: str
    path: Path
    title: str
    homepage: str
    licence: str
    citation: str
    viewpoints: tuple[str, ...]
    reader: str
    options: dict[str, Any]
    videos: tuple[str, ...]
    fps: dict[str, float] = field(default_factory=dict)
    scene: str | None = None
    vocabulary: dict[str, VocabularySource] = field(default_factory=dict)
    expected: dict[str, dict[str, int]] = field(default_factory=dict)

    def folder_fps(self, video_id: str) -> float | None:
        """Frames per second of a video that comes as a folder of JPEG files, if the card knows."""
        return next((n for p, n in self.fps.items() if fnmatchcase(video_id, p)), None)


def load(name: str, workspace: Workspace) -> Card:
    """Reads and checks the card of a dataset.

    Raises:
        SumlError: no such card, or a fault in it.
    """
    return parse(shipped.find("manifests", name, workspace.manifests))


def parse(path: Path) -> Card:
    """Reads one card file."""
    raw = documents.read_toml(path, "a dataset card", _FIX)
    for key in raw:
        if key not in _KEYS:
            near = nearest_names(key, _KEYS)
            raise _fault(path, "unknown key", repr(key), f"{near[0] if near else sorted(_KEYS)}")
    for key in (*_TEXTS, "viewpoints", "reader", "videos"):
        if key not in raw:
            raise _fault(path, f"key {key} is missing", "nothing", f"{key} = ...")
    for key in ("reader", "videos", "vocabulary", "expected"):
        if not isinstance(raw.get(key, {}), dict):
            raise _fault(path, f"{key} is no table", repr(raw[key]), f"[{key}]")
    viewpoints = raw["viewpoints"]
    known = isinstance(viewpoints, list) and all(v in VIEWPOINTS for v in viewpoints)
    if not viewpoints or not known:
        raise _fault(path, "unknown viewpoint", repr(viewpoints), "a list of fpv, tpv or both")
    options = dict(raw["reader"])
    reader = options.pop("name", None)
    if not isinstance(reader, str):
        raise _fault(path, "reader has no name", repr(reader), 'name = "..." under [reader]')
    return Card(
        name=path.stem,
        path=path,
        **{key: str(raw[key]) for key in _TEXTS},
        viewpoints=tuple(viewpoints),
        reader=reader,
        options=options,
        videos=_templates(path, raw["videos"]),
        fps=_rates(path, raw["videos"].get("fps", {})),
        scene=_scene(path, raw["videos"].get("scene")),
        vocabulary=_vocabulary(path, raw.get("vocabulary", {})),
        expected=_expected(path, raw.get("expected", {})),
    )


def _templates(path: Path, raw: dict[str, Any]) -> tuple[str, ...]:
    templates = raw.get("paths")
    if (
        not isinstance(templates, list)
        or not templates
        or not all(isinstance(t, str) for t in templates)
    ):
        raise _fault(path, "videos has no paths", repr(raw), 'paths = ["{video_id}.mp4"]')
    for template in templates:
        if not _is_template(template):
            expected = "{video_id} and {participant} only"
            raise _fault(path, "unknown field in a path", repr(template), expected)
    return tuple(templates)


def _is_template(text: str) -> bool:
    """Whether it has no field but the two, and these without attribute, conversion or width."""
    try:
        fields = [found[1:] for found in string.Formatter().parse(text) if found[1] is not None]
    except ValueError:
        return False
    return all(field in {(name, "", None) for name in _FIELDS} for field in fields)


def _rates(path: Path, raw: Any) -> dict[str, float]:
    rates = raw if isinstance(raw, dict) else {"*": raw}
    for rate in rates.values():
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < math.inf:
            expected = 'frames per second, or { "PATTERN" = N }'
            raise _fault(path, "videos.fps", repr(raw), expected)
    return {pattern: float(rate) for pattern, rate in rates.items()}


def _scene(path: Path, raw: Any) -> str | None:
    if raw is None:
        return None
    try:
        sound = isinstance(raw, str) and re.compile(raw).groups >= 1
    except re.error:
        sound = False
    if not sound:
        raise _fault(path, "videos.scene", repr(raw), 'a pattern with a group, such as "(.+)EGO"')
    return str(raw)


def _vocabulary(path: Path, raw: dict[str, Any]) -> dict[str, VocabularySource]:
    sources = {}
    for kind, entry in raw.items():
        if kind not in LABELS:
            raise _fault(path, "unknown vocabulary", repr(kind), ", ".join(LABELS))
        try:
            names = tuple(entry.get("names", ()))
            source = VocabularySource(**{"size": len(names), **entry, "names": names})
        except (TypeError, AttributeError) as error:
            raise _fault(
                path, f"vocabulary.{kind}", str(error), "size and names or file"
            ) from error
        texts = (*names, source.name, *(t for t in (source.file, source.id, source.forms) if t))
        if type(source.size) is not int or not all(isinstance(text, str) for text in texts):
            raise _fault(path, f"vocabulary.{kind}", repr(entry), "a whole size, names as texts")
        if not 0 <= source.size <= _MOST_CLASSES:
            expected = f"0 to {_MOST_CLASSES:,} classes"
            raise _fault(path, f"vocabulary.{kind}.size", str(source.size), expected)
        if names and source.size != len(names):
            raise _fault(path, f"vocabulary.{kind}.size", str(source.size), f"{len(names)} names")
        sources[kind] = source
    return sources


def _expected(path: Path, raw: dict[str, Any]) -> dict[str, dict[str, int]]:
    for split, counts in raw.items():
        known = isinstance(counts, dict) and set(counts) <= {*VIEWPOINTS, "videos"}
        if not known or not all(isinstance(n, int) for n in counts.values()):
            raise _fault(path, f"expected.{split}", repr(counts), "{ fpv = N, tpv = N }")
    return raw


def _fault(path: Path, what: str, got: str, expected: str) -> SumlError:
    return SumlError(path, what, got=got, expected=expected, fix=_FIX)
