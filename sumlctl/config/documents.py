"""JSON and TOML that may be damaged, or written to do harm."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from sumlctl.errors import SumlError

_MOST = 2**63  # TOML's integers, and those of our tables, have 64 bits


def from_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is none, or nested beyond reason.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file with one per line; a line that was cut short is passed over."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            with suppress(ValueError):
                if isinstance(found := from_json(line), dict):
                    yield found


def from_toml(text: str) -> dict[str, Any]:
    """The settings of a TOML text.

    Raises:
        ValueError: it is none, nested beyond reason, or has a number of more than 64 bits.
    """
    try:
        found = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    _check_integers(found)
    return found


def _check_integers(found: dict[str, Any]) -> None:
    """Python writes out no integer of thousands of digits, which TOML's hexadecimals can be."""
    ahead: list[Any] = [found]
    while ahead:
        value = ahead.pop()
        if isinstance(value, dict | list):
            ahead += value.values() if isinstance(value, dict) else value
        elif isinstance(value, int) and not -_MOST <= value < _MOST:
            raise ValueError(f"a number of {value.bit_length()} bits")


def read_toml(path: Path, expected: str, fix: str) -> dict[str, Any]:
    """A TOML file.

    Args:
        path: the file.
        expected: what it should be, for the error.
        fix: what to do about it.

    Raises:
        SumlError: it is something else.
    """
    try:
        return from_toml(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SumlError(path, "not valid TOML", got=error, expected=expected, fix=fix) from error
