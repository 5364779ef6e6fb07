"""Finds the files that come with the package: dataset cards and pipelines."""

from __future__ import annotations

from pathlib import Path

from sumlctl.errors import unknown_name

_PACKAGE = Path(__file__).parent.parent


def _shipped(kind: str) -> Path:
    packed = _PACKAGE / "_shipped" / kind
    return packed if packed.is_dir() else _PACKAGE.parent / kind


def available(kind: str, own: Path) -> dict[str, Path]:
    """Every TOML of a kind by name; the user's own file shadows a shipped one.

    Args:
        kind: `manifests` (cards) or `pipelines`.
        own: the folder of that kind in the user's workspace.
    """
    files = [*sorted(_shipped(kind).glob("*.toml")), *sorted(own.glob("*.toml"))]
    return {f.stem: f for f in files}


def find(kind: str, name: str, own: Path, where: object = "command line") -> Path:
    """The TOML of that name.

    Args:
        kind: `manifests` or `pipelines`.
        name: without its ending.
        own: the folder of that kind in the user's workspace.
        where: what asks for it, for the error.

    Raises:
        SumlError: there is none; the nearest names are given.
    """
    known = available(kind, own)
    if name not in known:
        raise unknown_name(where, {"manifests": "dataset"}.get(kind, "pipeline"), name, known)
    return known[name]
