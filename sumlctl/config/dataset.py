"""Dataset configurations: one TOML per dataset, what it is, which files it has, what to expect."""

from __future__ import annotations

import math
import re
import string
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from sumlctl.config import documents, shipped
from sumlctl.errors import SumlError, nearest_names
from sumlctl.workspace import Workspace

VIEWPOINTS = ("fpv", "tpv")
LABELS = ("verbs", "nouns", "actions")
_TEXTS = ("title", "homepage", "licence", "citation")
_FIELDS = ("video_id", "participant")
MOST_CLASSES = 100_000  # more is a slip
_FIX = "Correct the file; README has every key."
REDISTRIBUTE = ("all", "ids", "none")
_KEYS = (*_TEXTS, "viewpoints", "redistribute", "reader", "videos", "vocabulary", "expected")
_VOCABULARY_KEYS = ("size", "names", "file", "name", "id", "forms")
_VIDEO_KEYS = ("paths", "fps", "scene")


@dataclass(frozen=True)
class VocabularySource:
    """Where the class names of one label kind come from, and how many there must be.

    Args:
        from_table: whether they are the names in the clip table itself, in alphabetical order.
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
    from_table: bool = False


@dataclass(frozen=True)
class DatasetConfig:
    """A dataset as its configuration describes it.

    Args:
        redistribute: what may be passed on: `all`; `ids` alone; or `none`, neither text nor frames.
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
    redistribute: str = "none"
    fps: dict[str, float] = field(default_factory=dict)
    scene: str | None = None
    vocabulary: dict[str, VocabularySource] = field(default_factory=dict)
    expected: dict[str, dict[str, int]] = field(default_factory=dict)

    def folder_fps(self, video_id: str) -> float | None:
        """Frames per second of a video that comes as a folder of JPEG files, if the card knows."""
        return next((n for p, n in self.fps.items() if fnmatchcase(video_id, p)), None)


def load(name: str, workspace: Workspace) -> DatasetConfig:
    """Read and check the configuration of a dataset.

    Raises:
        SumlError: there is none of that name, or it has faults.
    """
    return parse(shipped.find("manifests", name, workspace.manifests))


def parse(path: Path) -> DatasetConfig:
    """Read one configuration file.

    Raises:
        SumlError: it is not TOML, or has faults; all of them are named.
    """
    raw = documents.read_toml(path, "a dataset configuration", _FIX)
    faults = _Faults()
    faults.unknown("", raw, _KEYS)
    tables = {
        key: _table(key, raw, faults) for key in ("reader", "videos", "vocabulary", "expected")
    }
    texts = {key: _text(key, raw.get(key, ""), faults) for key in _TEXTS}
    if not texts["title"]:
        texts["title"] = path.stem
    reader = dict(tables["reader"])
    name = reader.pop("name", None)
    if "reader" in raw and not isinstance(name, str) and isinstance(raw["reader"], dict):
        faults.add("reader has no name", repr(name), 'name = "..." under [reader]')
    card = DatasetConfig(
        name=path.stem,
        path=path,
        **texts,
        viewpoints=_viewpoints(raw, faults),
        redistribute=_redistribute(raw, faults),
        reader=str(name),
        options=reader,
        videos=_templates(tables["videos"], faults),
        fps=_rates(tables["videos"].get("fps", {}), faults),
        scene=_scene(tables["videos"].get("scene"), faults),
        vocabulary=_vocabulary(tables["vocabulary"], faults),
        expected=_expected(tables["expected"], faults),
    )
    faults.refuse(path)
    return card


class _Faults:
    """The faults of a file, found one after another and told together."""

    def __init__(self) -> None:
        self._found: list[tuple[str, str, str]] = []

    def add(self, what: str, got: str, expected: str) -> None:
        self._found.append((what, got, expected))

    def unknown(self, section: str, raw: dict[str, Any], known: tuple[str, ...]) -> None:
        """Add a fault for each key that is not known, with the nearest one that is."""
        for key in raw:
            if key not in known:
                near = nearest_names(key, known)
                expected = f"{section}{near[0]}" if near else ", ".join(known)
                self.add("unknown key", repr(f"{section}{key}"), expected)

    def refuse(self, path: Path) -> None:
        """Raise a SumlError if there was any."""
        if len(self._found) == 1:
            what, got, expected = self._found[0]
            raise SumlError(path, what, got=got, expected=expected, fix=_FIX)
        if self._found:
            each = "; ".join(f"{w}: {g}, not {e}" for w, g, e in self._found)
            what = f"{len(self._found)} faults in the dataset configuration"
            expected = "known keys with possible values"
            raise SumlError(path, what, got=each, expected=expected, fix=_FIX)


def _table(key: str, raw: dict[str, Any], faults: _Faults) -> dict[str, Any]:
    found = raw.get(key, {})
    if not isinstance(found, dict):
        faults.add(f"{key} is no table", repr(found), f"[{key}]")
        return {}
    if key not in raw and key in ("reader", "videos"):
        faults.add(f"key {key} is missing", "nothing", f"[{key}]")
    return found


def _text(key: str, found: Any, faults: _Faults) -> str:
    if not isinstance(found, str):
        faults.add(key, repr(found), "a text")
    return str(found)


def _viewpoints(raw: dict[str, Any], faults: _Faults) -> tuple[str, ...]:
    found = raw.get("viewpoints")
    expected = "a list of fpv, tpv or both"
    if "viewpoints" not in raw:
        faults.add("key viewpoints is missing", "nothing", expected)
    elif not isinstance(found, list) or not found or any(v not in VIEWPOINTS for v in found):
        faults.add("unknown viewpoint", repr(found), expected)
    else:
        return tuple(dict.fromkeys(found))
    return ()


def _redistribute(raw: dict[str, Any], faults: _Faults) -> str:
    found = raw.get("redistribute", "none")
    if found not in REDISTRIBUTE:
        faults.add("redistribute", repr(found), ", ".join(REDISTRIBUTE))
    return str(found)


def _templates(raw: dict[str, Any], faults: _Faults) -> tuple[str, ...]:
    if not raw:  # its absence is a fault already
        return ()
    faults.unknown("videos.", raw, _VIDEO_KEYS)
    found = raw.get("paths")
    if not isinstance(found, list) or not found or not all(isinstance(t, str) for t in found):
        faults.add("videos has no paths", repr(raw), 'paths = ["{video_id}.mp4"]')
        return ()
    for template in found:
        if not _is_template(template):
            expected = "{video_id} and {participant} only"
            faults.add("unknown field in a path", repr(template), expected)
    return tuple(found)


def _is_template(text: str) -> bool:
    """Whether it has no field but the two, and these without attribute, conversion or width."""
    try:
        fields = [found[1:] for found in string.Formatter().parse(text) if found[1] is not None]
    except ValueError:
        return False
    return all(field in {(name, "", None) for name in _FIELDS} for field in fields)


def _rates(raw: Any, faults: _Faults) -> dict[str, float]:
    rates = raw if isinstance(raw, dict) else {"*": raw}
    for rate in rates.values():
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < math.inf:
            faults.add("videos.fps", repr(raw), 'frames per second, or { "PATTERN" = N }')
            return {}
    return {pattern: float(rate) for pattern, rate in rates.items()}


def _scene(raw: Any, faults: _Faults) -> str | None:
    if raw is None:
        return None
    try:
        sound = isinstance(raw, str) and re.compile(raw).groups >= 1
    except re.error:
        sound = False
    if not sound:
        faults.add("videos.scene", repr(raw), 'a pattern with a group, such as "(.+)EGO"')
    return str(raw)


def _vocabulary(raw: dict[str, Any], faults: _Faults) -> dict[str, VocabularySource]:
    sources = {}
    for kind, entry in raw.items():
        if kind not in LABELS:
            faults.add("unknown vocabulary", repr(kind), ", ".join(LABELS))
        elif source := _source(f"vocabulary.{kind}", entry, faults):
            sources[kind] = source
    return sources


def _source(where: str, entry: Any, faults: _Faults) -> VocabularySource | None:
    """One vocabulary; None where something is wrong with it."""
    if entry == "table":
        return VocabularySource(size=0, from_table=True)
    if not isinstance(entry, dict):
        faults.add(where, repr(entry), 'size and names or file, or "table"')
        return None
    faults.unknown(f"{where}.", entry, _VOCABULARY_KEYS)
    names, size = entry.get("names", []), entry.get("size")
    texts = [*(names if isinstance(names, list) else [None])]
    texts += [entry[key] for key in ("file", "name", "id", "forms") if key in entry]
    if size is None and isinstance(names, list) and names:
        size = len(names)
    expected = f"0 to {MOST_CLASSES:,} classes"
    if not all(isinstance(text, str) for text in texts) or type(size) not in (int, type(None)):
        faults.add(where, repr(entry), "a whole size, names as texts")
    elif size is None:
        faults.add(f"{where}.size is missing", repr(entry), expected)
    elif not 0 <= size <= MOST_CLASSES:
        faults.add(f"{where}.size", str(size), expected)
    elif names and size != len(names):
        faults.add(f"{where}.size", str(size), f"{len(names)} names")
    elif set(entry) <= set(_VOCABULARY_KEYS):
        return VocabularySource(**{**entry, "size": size, "names": tuple(names)})
    return None


def _expected(raw: dict[str, Any], faults: _Faults) -> dict[str, dict[str, int]]:
    for split, counts in raw.items():
        known = isinstance(counts, dict) and set(counts) <= {*VIEWPOINTS, "videos"}
        if not known or not all(isinstance(n, int) for n in counts.values()):
            faults.add(f"expected.{split}", repr(counts), "{ fpv = N, tpv = N }")
    return raw
