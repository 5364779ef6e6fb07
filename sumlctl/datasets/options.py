"""The options that a card gives its reader."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sumlctl.config.dataset import DatasetConfig
from sumlctl.errors import SumlError, together, unknown_name

T = TypeVar("T")


class Checks:
    """Checks of a card's reader options, whose faults are raised together."""

    def __init__(self) -> None:
        self._faults: list[SumlError] = []

    def __call__(self, check: Callable[..., T], *arguments: object) -> T | None:
        """Return what the check returns, or None and keep its fault for `refuse`."""
        try:
            return check(*arguments)
        except SumlError as fault:
            self.add(fault)
            return None

    def add(self, fault: SumlError) -> None:
        self._faults.append(fault)

    def unknown(self, card: DatasetConfig, known: set[str]) -> None:
        """Keep a fault for each reader option that the reader does not have."""
        for key in card.options:
            if key not in known:
                self.add(unknown_name(card.path, f"option of reader {card.reader}", key, known))

    def refuse(self, card: DatasetConfig) -> None:
        """Raise a SumlError if there was any fault."""
        if self._faults:
            raise together(card.path, "faults in the reader's options", self._faults)


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
    """Refuses reader options that the reader does not have; all of them are named."""
    checks = Checks()
    checks.unknown(card, known)
    checks.refuse(card)
