"""Where a result comes from: the digests that tables and logs keep, as a tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sumlctl.config import shipped
from sumlctl.tables import provenance
from sumlctl.tables.provenance import Provenance
from sumlctl.video import quarantine
from sumlctl.workspace import Workspace


@dataclass(frozen=True)
class Origin:
    """A file and what it was made from.

    Args:
        name: the file, as the workspace names it.
        digest: sha256 that whoever read it recorded; its own for the root.
        state: `same` as recorded, `changed` since, `gone`, or `elsewhere`: outside the workspace.
        config: the settings that it was made with.
        inputs: what it was made from.
        seen: whether it stands further up with its inputs, which are left out here.
    """

    name: str
    digest: str
    state: str
    config: Mapping[str, Any]
    inputs: tuple[Origin, ...]
    seen: bool = False


def trace(workspace: Workspace, path: Path) -> Origin:
    """The tree under a table, down to annotation files and cards.

    Raises:
        SumlError: the table is missing.
    """
    return _Tracer(workspace).origin(workspace.relative(path), quarantine.digest(path))


class _Tracer:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._seen: set[tuple[str, str]] = set()

    def origin(self, name: str, digest: str) -> Origin:
        path = self._file(name)
        state = "elsewhere"
        if path is not None:
            now = quarantine.digest(path) if path.is_file() else None
            state = {digest: "same", None: "gone"}.get(now, "changed")
        made = provenance.of(path) if path is not None and state == "same" else Provenance()
        seen = bool(made.inputs) and (name, digest) in self._seen
        self._seen.add((name, digest))
        below = () if seen else tuple(self.origin(*pair) for pair in made.inputs.items())
        return Origin(name, digest, state, made.config, below, seen)

    def _file(self, name: str) -> Path | None:
        """The file of that name; None for one whose place nobody recorded, as of annotations."""
        if "/" not in name:
            return None
        path = self._workspace.root / name
        if path.parent != self._workspace.manifests:
            return path
        return shipped.available("manifests", path.parent).get(path.stem, path)
