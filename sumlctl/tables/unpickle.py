"""Reads pickles from downloads without running what is in them.

Python's unpickler in C believes a file in what it says of sizes: ten bytes can make it fill
gigabytes. The one in Python does not, and is as fast with LEMMA's frame lists (1.6 s for 100,000).
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from sumlctl.errors import SumlError


class _Dtype:
    """Stands for a numpy dtype of numbers or text.

    The dtype of Python objects would take bytes of the file for addresses in memory, and numpy's
    own `__setstate__` can turn any dtype into it.
    """

    def __init__(self, code: str, *flags: bool) -> None:
        self.dtype = np.dtype(code)
        if self.dtype.kind not in "biufcSU":
            raise pickle.UnpicklingError(f"it asks for an array of {self.dtype}")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
    """An array that takes its content from plain bytes only."""

    def __setstate__(self, state: Any) -> None:
        version, shape, kind, is_fortran, content = state
        super().__setstate__((version, shape, kind.dtype, is_fortran, content))


def _reconstruct(subtype: object, shape: object, code: object) -> _Array:
    return _Array((0,), np.int8)


def _from_buffer(content: bytes, kind: _Dtype, shape: tuple[int, ...], order: Any) -> np.ndarray:
    return np.frombuffer(content, kind.dtype).reshape(shape, order=order)


def _scalar(kind: _Dtype, content: bytes | str) -> Any:
    plain = content.encode("latin1") if isinstance(content, str) else content
    return np.frombuffer(plain, kind.dtype, count=1)[0]


def _encode(text: str = "", encoding: str = "latin1") -> bytes:
    return text.encode("latin1")


# What a pickle may ask for and what it gets: numbers, text and their arrays, under both of
# numpy's package names.
_ADMITTED: dict[tuple[str, str], Any] = {
    ("_codecs", "encode"): _encode,  # bytes, as old protocols write them
    ("__builtin__", "bytes"): _encode,  # no bytes at all, likewise
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): "numpy.ndarray",  # an argument of _reconstruct, never called
}
for _core in ("core", "_core"):
    _ADMITTED[f"numpy.{_core}.multiarray", "_reconstruct"] = _reconstruct
    _ADMITTED[f"numpy.{_core}.multiarray", "scalar"] = _scalar
    _ADMITTED[f"numpy.{_core}.numeric", "_frombuffer"] = _from_buffer


# Instructions for what is not plain: sets, extension codes, objects kept elsewhere.
_REFUSED = (
    *(pickle.EMPTY_SET, pickle.ADDITEMS, pickle.FROZENSET, pickle.NEXT_BUFFER),
    *(pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.PERSID, pickle.BINPERSID),
)
# Greater integers can be chosen so that all have the same hash, and a dict of them takes hours.
_GREATEST_KEY = 2**60
# A value within many others counts once in a file, and for whoever walks through it each time.
_MOST_GROWTH, _ALWAYS_FINE = 64, 1_000_000


class _PlainUnpickler(pickle._Unpickler):
    dispatch: ClassVar[dict[int, Any]] = {
        code: do for code, do in pickle._Unpickler.dispatch.items() if bytes([code]) not in _REFUSED
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _ADMITTED[module, name]


def _instruction(code: bytes) -> Callable[[Callable[[Any], None]], None]:
    def register(do: Callable[[Any], None]) -> None:
        _PlainUnpickler.dispatch[code[0]] = do

    return register


@_instruction(pickle.BUILD)
def _build(unpickler: Any) -> None:
    """Only what is ours takes a state: any other object would take it for its attributes."""
    if not isinstance(unpickler.stack[-2], _Dtype | _Array):
        raise pickle.UnpicklingError(f"it changes a {type(unpickler.stack[-2]).__name__}")
    state = unpickler.stack.pop()
    unpickler.stack[-1].__setstate__(state)


@_instruction(pickle.BYTEARRAY8)
def _bytearray(unpickler: Any) -> None:
    """Only as long as the file is, whatever it says."""
    unpickler.append(bytearray(unpickler.read(int.from_bytes(unpickler.read(8), "little"))))


@_instruction(pickle.DICT)
def _dict(unpickler: Any) -> None:
    items = unpickler.pop_mark()
    unpickler.append({})
    _put(unpickler, items)


@_instruction(pickle.SETITEM)
def _set_item(unpickler: Any) -> None:
    value = unpickler.stack.pop()
    _put(unpickler, [unpickler.stack.pop(), value])


@_instruction(pickle.SETITEMS)
def _set_items(unpickler: Any) -> None:
    _put(unpickler, unpickler.pop_mark())


def _put(unpickler: Any, items: list[Any]) -> None:
    into = unpickler.stack[-1]
    for key, value in zip(items[::2], items[1::2], strict=True):
        number = type(key) is int and -_GREATEST_KEY < key < _GREATEST_KEY
        if type(into) is not dict or not (number or type(key) is str):
            raise pickle.UnpicklingError(f"a {type(key).__name__} for a key")
        into[key] = value


def _check_size(whole: Any, most: int) -> None:
    """Refuses what takes more steps to walk through than so many, or leads back to itself."""
    sizes: dict[int, int | None] = {}  # by id; None while it is under way
    ahead = [(whole, False)]
    while ahead:
        value, done = ahead.pop()
        inner = [v for v in _members(value) if type(v) in _CONTAINERS]
        if done:
            size = len(value) + sum(sizes[id(v)] or 0 for v in inner)
            if size > most:
                raise pickle.UnpicklingError(f"it unfolds to more than {most:,} values")
            sizes[id(value)] = size
        elif id(value) not in sizes:
            sizes[id(value)] = None
            ahead.append((value, True))
            ahead += ((v, False) for v in inner if id(v) not in sizes)
            if any(sizes.get(id(v), 0) is None for v in inner):
                raise pickle.UnpicklingError("something in it holds itself")


_CONTAINERS = (list, tuple, dict)


def _members(value: Any) -> Any:
    if type(value) is dict:
        return value.values()
    return value if type(value) in _CONTAINERS else ()


def load(path: Path) -> Any:
    """The plain containers, numbers, text and numpy arrays of a pickle file.

    Raises:
        SumlError: not a pickle, or one that asks for anything else; nothing of it is executed.
    """
    try:
        content = path.read_bytes()
        whole = _PlainUnpickler(io.BytesIO(content), encoding="latin1").load()
        if type(whole) in _CONTAINERS:
            _check_size(whole, max(_MOST_GROWTH * len(content), _ALWAYS_FINE))
        return whole
    except OSError:
        raise
    except Exception as error:  # a hostile or broken pickle can raise anything
        raise SumlError(
            path,
            "refused to unpickle",
            got=str(error)[:200] or type(error).__name__,
            expected="a pickle of plain containers and numpy arrays",
            fix="Use the file as published by the dataset's authors.",
        ) from error
