"""Whether a table is what it says: its columns, its keys, and what it tells of itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sumlctl.config import documents
from sumlctl.errors import SumlError, nearest_names
from sumlctl.tables.schemas import ADDED

if TYPE_CHECKING:
    import pyarrow as pa

# Columns with a value in every row; of the kinds that are not named here, none need one.
_EVERY = ("clips", "segments", "narrations", "predictions")
_KEYS = {
    "videos": ("dataset", "video_id", "path", "status"),
    "pairs": ("fpv_clip_id", "tpv_clip_id", "rank", "similarity", "fpv_narration", "tpv_narration"),
}
_READ_BY_OTHERS = ("pairs", "predictions", "metrics")  # kinds whose settings other steps read


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_utf8(content: bytes) -> bool:
    return content.decode(errors="ignore").encode() == content


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_vocabulary(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(classes, list) and all(map(_are_texts, classes)) for classes in value.values()
    )


_SETTINGS = {
    "fpv": _is_text,
    "tpv": _are_texts,
    "split": _is_text,
    "encoder": lambda value: isinstance(value, dict) and _is_text(value.get("name")),
    "clips_mined": lambda value: type(value) is int,
    "protocol": _is_text,
    "views": _is_text,
}
_METADATA = {
    "inputs": lambda value: isinstance(value, dict) and all(map(_is_text, value.values())),
    "config": lambda value: isinstance(value, dict),
    "encoder": lambda value: isinstance(value, dict),
    "videos_root": lambda value: _is_text(value) and "\0" not in value,
    "indexed_sha256": _is_text,
    "quarantined": _are_texts,
    "scene": lambda value: value is None or _is_text(value),
    "vocabulary": _is_vocabulary,
}


class TableValidator:
    """Judges the table of a file.

    Args:
        path: the file.
        kind: of the table.
        fix: what to do about one that is not sound.
    """

    def __init__(self, path: Path, kind: str, fix: str) -> None:
        self._path, self._kind, self._fix = path, kind, fix

    def schema(self, found: pa.Schema, wanted: pa.Schema) -> None:
        """Raises a SumlError unless columns and metadata are as they should be."""
        label = (found.metadata or {}).get(b"sumlctl.schema", b"none").decode(errors="replace")
        if label != f"{self._kind}/1":
            raise self._fault("table of another schema", f"schema {label}", f"{self._kind}/1")
        for field in wanted:
            places = found.get_all_field_indices(field.name)
            if not places and field.name in ADDED.get(self._kind, ()):
                continue
            if not places:
                near = nearest_names(field.name, found.names)
                got = f"nearest {near[0]}" if near else f"columns {', '.join(found.names)}"
                what = f"column {field.name} is missing"
                raise self._fault(what, got, f"{field.name}: {field.type}")
            if [found.field(place).type for place in places] != [field.type]:
                got = ", ".join(str(found.field(place).type) for place in places)
                raise self._fault(f"column {field.name} has another type", got, str(field.type))
        for key, value in (found.metadata or {}).items():
            name = key.decode(errors="replace").removeprefix("sumlctl.")
            # polars ends its process at metadata that is no text.
            if not _is_utf8(key) or not _is_utf8(value) or not self._is_sound(name, value):
                raise self.damaged(name, repr(value[:60]))

    def keys(self, table: pa.Table | pa.RecordBatch) -> None:
        """Raises a SumlError where a value is missing that no row can do without."""
        names = table.column_names if self._kind in _EVERY else _KEYS.get(self._kind, ())
        for name in set(names).intersection(table.column_names):
            if missing := table.column(name).null_count:
                what = f"column {name} has rows without a value"
                raise self._fault(what, f"{missing:,} of {table.num_rows:,}", "none")

    def damaged(self, name: str, got: str) -> SumlError:
        """The error for metadata that is not as it was written."""
        return self._fault(f"metadata {name} is damaged", got, "what sumlctl writes there")

    def _is_sound(self, name: str, value: bytes) -> bool:
        if name not in _METADATA:
            return True
        try:
            told = documents.from_json(value)
        except ValueError:
            return False
        if not _METADATA[name](told):
            return False
        read = name == "config" and self._kind in _READ_BY_OTHERS
        return not read or all(_SETTINGS[k](told[k]) for k in _SETTINGS.keys() & told.keys())

    def _fault(self, what: str, got: str, expected: str) -> SumlError:
        return SumlError(self._path, what, got=got, expected=expected, fix=self._fix)
