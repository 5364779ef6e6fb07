"""The options that a card gives its reader."""

from __future__ import annotations

from sumlctl.config.dataset import DatasetConfig
from sumlctl.errors import SumlError, unknown_name


def value_of(card: DatasetConfig, key: str, kind: type, default: object = None) -> object:
    """A reader option of the card.

    Raises:
        SumlError: missing without a default, or of another type.
    """
    value = card.options.get(key, default)
    if not isinstance(value, kind):
        raise SumlError(
            card.path,
            f"reader.{key} is {'missing' if value is None else 'of another type'}",
            got=repr(value),
            expected=kind.__name__,
            fix="Correct the card.",
        )
    return value


def texts(card: DatasetConfig, key: str, default: dict[str, str] | None = None) -> dict[str, str]:
    """A reader option of the card that names something for each of several names.

    Raises:
        SumlError: it is missing or empty without a default, or has other values than texts.
    """
    value = value_of(card, key, dict, default)
    sound = isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
    if not sound or not (value or default is not None):
        raise SumlError(
            card.path,
            f"reader.{key} names nothing",
            got=repr(value),
            expected='{ name = "text" }',
            fix="Correct the card.",
        )
    return value  # type: ignore[return-value]


def check(card: DatasetConfig, known: set[str]) -> None:
    """Refuses reader options that the reader does not have."""
    for key in card.options:
        if key not in known:
            raise unknown_name(card.path, f"option of reader {card.reader}", key, known)
