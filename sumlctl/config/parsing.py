"""Dataclasses from TOML: typed, limited, every fault told at once; and TOML from dataclasses."""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields, is_dataclass
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from sumlctl.config import documents, registry
from sumlctl.errors import SumlError, nearest_names

_BARE_WORD = re.compile(r"[A-Za-z~./][\w.+~/-]*")


def limits(
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    choices: tuple[str, ...] | None = None,
    neutral: bool = False,
    later: bool = False,
) -> dict[str, Any]:
    """A field's metadata.

    Args:
        at_least, above, at_most, choices: the values that are possible for it, or for each item
            of its list.
        neutral: whether results stay the same whatever its value.
        later: whether earlier versions did not have it and did what its default says: at its
            default it is in no fingerprint, so that what they made still fits.
    """
    possible = {"at_least": at_least, "above": above, "at_most": at_most, "choices": choices}
    return possible | {"neutral": neutral, "later": later}


@dataclass(frozen=True)
class Component:
    """A part of the program: the module's name and the keyword arguments of its callable.

    A field of this type says which kind (`sumlctl.config.registry`) in its metadata.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)


def dump(*several: Any) -> str:
    """Dataclasses of scalars and sections as one TOML, every setting written out."""
    scalars, sections = [], []
    for values in several:
        for f in fields(values):
            value = getattr(values, f.name)
            if isinstance(value, Component):
                sections.append(section(f"[{f.name}]", {"name": value.name, **value.options}))
            elif is_dataclass(value):
                sections.append(section(f"[{f.name}]", asdict(value)))  # type: ignore[arg-type]
            else:
                scalars.append(f"{f.name} = {toml(value)}\n")
    return "\n".join(["".join(scalars), *sections])


def section(header: str, values: Mapping[str, Any]) -> str:
    """A section of TOML under its header; dotted keys stay as they are."""
    return f"{header}\n" + "".join(f"{key} = {toml(value)}\n" for key, value in values.items())


def toml(value: Any) -> str:
    """A scalar, list or inline table as TOML."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(toml(v) for v in value)}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{toml(str(k))} = {toml(v)}' for k, v in value.items())} }}"
    return repr(value)


def flat(values: Any, prefix: str = "") -> dict[str, Any]:
    """Every setting of a dataclass by its dotted key, neutral ones aside."""
    found: dict[str, Any] = {}
    for f in fields(values):
        value, where = getattr(values, f.name), f"{prefix}{f.name}"
        if f.metadata.get("neutral") or _as_before(f, value):
            continue
        if isinstance(value, Component):
            options = {"name": value.name, **value.options}
            found |= {f"{where}.{key}": option for key, option in options.items()}
        elif is_dataclass(value):
            found |= flat(value, f"{where}.")
        else:
            found[where] = value
    return found


def section_facts(values: Any) -> dict[str, Any]:
    """Return the settings of a section by key, for a fingerprint (see `later` of `limits`)."""
    facts = asdict(values)
    return {f.name: facts[f.name] for f in fields(values) if not _as_before(f, facts[f.name])}


def _as_before(f: Field[Any], value: Any) -> bool:
    return bool(f.metadata.get("later")) and value == f.default


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Which of two sets of flat settings differ, such as `stage_two.epochs = 30, was 20`.

    Where a part has another name, its options go without saying.
    """
    told = []
    for key in dict.fromkeys([*before, *after]):
        name = f"{key.rpartition('.')[0]}.name"
        of_one_only = key not in before or key not in after
        if of_one_only and before.get(name) != after.get(name):
            continue
        if of_one_only or before[key] != after[key]:
            new, old = (_told(s.get(key)) for s in (after, before))
            told.append(f"{key} = {new}, was {old}")
    return told


def _told(value: Any) -> str:
    return "nothing" if value is None else toml(value)


def merged(cls: type, below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Two sets of settings as read from TOML, key by key; those `above` win.

    Naming another module for a part drops the options of the former one.
    """
    result = dict(below)
    for key, value in above.items():
        old = below.get(key)
        if isinstance(value, dict) and isinstance(old, dict) and not _renamed(cls, key, old, value):
            result[key] = merged(cls, old, value)
        else:
            result[key] = value
    return result


def _renamed(cls: type, key: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether `new` names another module for the part `key` than `old` does."""
    parts = [f.name for f in fields(cls) if "kind" in f.metadata]
    if key not in parts or "name" not in new:
        return False
    return registry.fold(str(old.get("name"))) != registry.fold(str(new["name"]))


def assignment(text: str, faults: list[str]) -> tuple[str, Any]:
    """The key and the value of one `KEY=VALUE`; no key, with the fault told, if it is none.

    Values are TOML; a bare word is a string, and so is no value at all: the empty one.
    """
    key, equals, shown_value = (part.strip() for part in text.partition("="))
    if not equals or not key:
        faults.append(f"{text} is not KEY=VALUE")
        return "", None
    if not shown_value:
        return key, ""
    try:
        return key, documents.from_toml(f"value = {shown_value}")["value"]
    except ValueError:
        if _BARE_WORD.fullmatch(shown_value):
            return key, shown_value
    faults.append(f"{text} has a value that is not TOML")
    return "", None


def override(cls: type, raw: dict[str, Any], text: str, faults: list[str]) -> None:
    """Applies one `KEY=VALUE` to what was read for the dataclass `cls`.

    Keys are dotted, values as `assignment` has them. Naming another module for a part
    drops the options of the former one.
    """
    key, value = assignment(text, faults)
    if not key:
        return
    *sections, last = key.split(".")
    table = raw
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            faults.append(f"{text}: {section} is not a section")
            return
    if last == "name" and any(_renamed(cls, s, table, {last: value}) for s in sections):
        table.clear()
    table[last] = value


def parse(cls: type, raw: Mapping[str, Any], faults: list[str], prefix: str = "") -> Any:
    """An instance of the dataclass `cls`, or None with the faults told.

    Every option of every part is written out, with the defaults of its callable's signature.
    `cls.contradictions()`, where there is one, tells which values do not go together.
    """
    before = len(faults)
    known = {f.name: f for f in fields(cls)}
    types = get_type_hints(cls)
    values: dict[str, Any] = {}
    for key, f in known.items():
        where, wanted = f"{prefix}{key}", types[key]
        if "kind" in f.metadata:
            values[key] = _parse_part(where, raw.get(key, {}), f, faults)
        elif is_dataclass(wanted) and key in raw:
            values[key] = _parse_section(where, raw[key], wanted, faults)
        elif key in raw:
            values[key] = _parse_value(where, raw[key], wanted, f.metadata, faults)
    faults += [_unknown(f"{prefix}{key}", key, known) for key in raw if key not in known]
    if len(faults) > before:
        return None
    instance = cls(**values)
    clashes = instance.contradictions() if hasattr(cls, "contradictions") else []
    faults += [f"{prefix}{clash}" for clash in clashes]
    return instance


def _parse_section(where: str, raw: Any, wanted: Any, faults: list[str]) -> Any:
    if isinstance(raw, dict):
        return parse(wanted, raw, faults, f"{where}.")
    faults.append(f"{where} = {toml(raw)} is not a section")
    return None


def _parse_value(
    where: str, value: Any, wanted: Any, limits: Mapping[str, Any], faults: list[str]
) -> Any:
    if get_origin(wanted) is list:
        if not isinstance(value, list):
            faults.append(f"{where} = {toml(value)} is not a list")
            return None
        (inner,) = get_args(wanted)
        return [_parse_value(where, v, inner, limits, faults) for v in value]
    if isinstance(wanted, UnionType):  # a number or a word, each with its own limits
        wanted = str if isinstance(value, str) else float
        limits = {
            rule: limit for rule, limit in limits.items() if (rule == "choices") == (wanted is str)
        }
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not wanted:
        words = {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}
        faults.append(f"{where} = {toml(value)} is not {words[wanted]}")
        return None
    if wanted is float and not math.isfinite(value):
        faults.append(f"{where} = {toml(value)} is not finite")
        return value
    possible = {
        "at_least": lambda limit: value >= limit,
        "above": lambda limit: value > limit,
        "at_most": lambda limit: value <= limit,
        "choices": lambda limit: value in limit,
    }
    for rule, fits in possible.items():
        limit = limits.get(rule)
        if limit is not None and not fits(limit):
            shown = f"one of {', '.join(limit)}" if rule == "choices" else f"{limit:g}"
            faults.append(f"{where} = {toml(value)} is not {_WORDING[rule]}{shown}")
    return value


_WORDING = {"at_least": "at least ", "above": "above ", "at_most": "at most ", "choices": ""}


def _parse_part(section: str, raw: Any, f: Field[Any], faults: list[str]) -> Component | None:
    """The part with every option written out."""
    kind = f.metadata["kind"]
    name = raw.get("name", f.default.name) if isinstance(raw, dict) else None
    if not isinstance(name, str):
        faults.append(f'{section} is not a section with name = "..."')
        return None
    before = len(faults)
    try:
        build = registry.load(kind, name, f"{section}.name")
    except SumlError as error:
        faults.append(f"{section}.name = {toml(name)} does not exist. {error.fix}")
        return None
    options = {p.name: p.default for p in inspect.signature(build).parameters.values()}
    for key, value in raw.items():
        if key in options:
            wanted = type(options[key])
            options[key] = _parse_value(f"{section}.{key}", value, wanted, {}, faults)
        elif key != "name":
            faults.append(_unknown(f"{section}.{key}", key, options))
    # A method checks its own values and costs nothing to build, unlike a backbone.
    if kind == "losses" and len(faults) == before:
        try:
            build(**options)
        except ValueError as error:
            faults += [f"{section}.{line}" for line in str(error).splitlines()]
    return Component(name, options) if len(faults) == before else None


def _unknown(where: str, key: str, known: Mapping[str, Any]) -> str:
    near = nearest_names(key, known)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
    return f"{where} is unknown, {hint}"
