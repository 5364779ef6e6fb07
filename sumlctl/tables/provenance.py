"""What tables and runs say themselves of how they were made; a damaged one says nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sumlctl.config import documents


@dataclass(frozen=True)
class Provenance:
    """How a file was made.

    Args:
        config: the settings.
        inputs: what it was made from, name in the workspace -> sha256.
        version: of sumlctl; empty where nothing says it.
        folders: of `annotations` and `videos` where `index` was given others than the usual ones,
            relative to the workspace where they lie in it; None where nothing says it.
    """

    config: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    version: str = ""
    folders: dict[str, str] | None = None


def of(path: Path) -> Provenance:
    """Of a table, or of a checkpoint of a run; of anything else nothing is known."""
    if path.suffix == ".parquet":
        return of_table(path)
    if path.parent.name == "checkpoints":
        return Provenance(inputs=of_training(path.parent.parent))
    return Provenance()


def of_table(path: Path) -> Provenance:
    """From the metadata of a Parquet file, which is not read further."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        found = pq.read_schema(path).metadata or {}
        config, inputs = (
            dict(documents.from_json(found.get(f"sumlctl.{key}".encode(), b"{}")))
            for key in ("config", "inputs")
        )
        version = found.get(b"sumlctl.version", b"").decode()
        folders = documents.from_json(found.get(b"sumlctl.folders", b"null"))
        return Provenance(
            config, _digests(inputs), version, None if folders is None else _texts(folders)
        )
    except (pa.ArrowException, OSError, ValueError, TypeError):
        return Provenance()


def of_training(folder: Path) -> dict[str, str]:
    """The tables that a run was begun with, by their names in the workspace."""
    try:
        return _digests(dict(_begun(folder).get("inputs", {})))
    except (TypeError, ValueError):
        return {}


def number(folder: Path) -> int:
    """Which of a workspace's runs it was when it began, from 1; 0 for one that does not say it."""
    found = _begun(folder).get("number")
    return found if isinstance(found, int) else 0


def _begun(folder: Path) -> dict[str, Any]:
    """The first line of a run's log."""
    try:
        with (folder / "log.jsonl").open(encoding="utf-8") as log:
            told = documents.from_json(log.readline())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _texts(folders: Any) -> dict[str, str]:
    """Raises ValueError unless they are names of folders."""
    if not isinstance(folders, dict) or not all(isinstance(v, str) for v in folders.values()):
        raise ValueError("folders without names")
    return folders


def _digests(inputs: dict[Any, Any]) -> dict[str, str]:
    """Raises ValueError unless they are names and digests."""
    if not all(isinstance(v, str) and "\0" not in str(k) for k, v in inputs.items()):
        raise ValueError("inputs without digests")
    return inputs
