"""`[[matrix]]`: which runs a sweep consists of, and what tells them apart."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sumlctl.config import parsing

_MOST_CELLS = 10_000
# Dotted key -> the values that it takes.
Block = Mapping[str, Sequence[Any]]


def blocks(raw: Any, faults: list[str]) -> list[Block]:
    """The blocks of a matrix as read from TOML: each is a product, all together are the sweep."""
    if not isinstance(raw, list) or not all(isinstance(block, dict) for block in raw):
        faults.append("matrix is not written as [[matrix]]")
        return []
    found: list[Block] = [dict(_flat(block)) for block in raw]
    for block in found:
        faults += [f"matrix: {key} = [] has no value" for key, value in block.items() if not value]
    count = sum(math.prod(map(len, block.values())) for block in found)
    if count > _MOST_CELLS:
        faults.append(f"matrix: {count:,} cells are more than {_MOST_CELLS:,}")
        return []
    return found


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, list[Any]]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, list) else _Fixed([value])


def said(block: Block) -> dict[str, Any]:
    """A block as a pipeline says it, with dotted keys."""
    return {key: v[0] if isinstance(v, _Fixed) else list(v) for key, v in block.items()}


class _Fixed(list[Any]):
    """The one value of a key that is not swept."""


def cells(
    blocks: Sequence[Block], overrides: Sequence[str], faults: list[str]
) -> Iterator[tuple[dict[str, Any], list[str], dict[str, str]]]:
    """Each cell of a sweep, in order; one without values where there is no matrix.

    Args:
        blocks: of the matrix.
        overrides: `KEY=VALUE`. One of a key that is swept picks the cells with its value; a value
            that no cell has takes the place of all.
        faults: told are overrides that are none.

    Returns:
        For each cell its values by key, the overrides that remain, and by key what its name says.
    """
    told = list(_telling(blocks))
    chosen: list[dict[str, Sequence[Any]]] = [dict(block) for block in blocks] or [{}]
    common = []
    for text in overrides:
        key, value = parsing.assignment(text, faults)
        if any(key in block for block in chosen):
            chosen = _picked(chosen, key, value)
        elif key:
            common.append(text)
    for block in chosen:
        for combination in itertools.product(*block.values()):
            values = dict(zip(block, combination, strict=True))
            names = {key: _name(key, values[key]) for key in told if key in values}
            yield values, common, names


def _picked(
    chosen: list[dict[str, Sequence[Any]]], key: str, value: Any
) -> list[dict[str, Sequence[Any]]]:
    """The blocks that have that value of a key, with no other; all of them, if none has it."""
    having = [block for block in chosen if value in block.get(key, ())]
    return [block | {key: [value]} for block in having or chosen]


def _telling(blocks: Sequence[Block]) -> Iterator[str]:
    """Keys that tell cells apart: swept ones, and fixed ones that not all blocks have alike."""
    for key in dict.fromkeys(key for block in blocks for key in block):
        found = [block.get(key) for block in blocks]
        swept = any(not isinstance(values, _Fixed | None) for values in found)
        if swept or found.count(found[0]) < len(found):
            yield key


def _name(key: str, value: Any) -> str:
    """A value in a cell's name: words as they are, numbers after their key."""
    if isinstance(value, list):
        text = "+".join(str(item) for item in value)
    elif isinstance(value, str):
        text = value.rsplit("/", 1)[-1]
    else:
        text = f"{key.rsplit('.', 1)[-1]}-{parsing.toml(value)}"
    return re.sub(r"[^\w.+-]+", "-", text) or "none"
