"""Finds a part by its name: a kind is a package, a name is a module, nothing is registered."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable
from typing import Any

from sumlctl.errors import unknown_name

# kind -> (the package whose modules are the names, the callable that each module defines)
KINDS = {
    "readers": ("sumlctl.datasets", "read"),
    "encoders": ("sumlctl.narrations.encoders", "load"),
    "backbones": ("sumlctl.learning.backbones", "build"),
    "losses": ("sumlctl.learning.losses", "build"),
    "protocols": ("sumlctl.evaluation.protocols", "score"),
}


def fold(name: str) -> str:
    """A name without what does not matter in it: hyphens, underscores, case."""
    return name.replace("-", "").replace("_", "").casefold()


def names(kind: str) -> list[str]:
    """Names of a kind, found by listing its package; modules without the callable are not parts."""
    package, attribute = KINDS[kind]
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.submodule_search_locations is not None
    found = []
    for module in pkgutil.iter_modules(spec.submodule_search_locations):
        source = importlib.util.find_spec(f"{package}.{module.name}")
        if module.ispkg or source is None or source.loader is None:
            continue
        text = source.loader.get_source(source.name)  # type: ignore[attr-defined]
        if text and f"\ndef {attribute}(" in text:
            found.append(module.name)
    return found


def load(kind: str, name: str, where: object = "command line") -> Callable[..., Any]:
    """The callable of a part: `load("losses", "sum-l")` is `sumlctl.learning.losses.suml.build`.

    Hyphens, underscores and case do not matter.

    Raises:
        SumlError: no such part; the nearest names are given.
    """
    package, attribute = KINDS[kind]
    known = {fold(n): n for n in names(kind)}
    module = known.get(fold(name))
    if module is None:
        raise unknown_name(
            where, kind.removesuffix("s").replace("losse", "loss"), name, known.values()
        )
    return getattr(importlib.import_module(f"{package}.{module}"), attribute)
