"""Reads pickles from downloads without running what is in them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

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


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _ADMITTED[module, name]


def load(path: Path) -> Any:
    """The plain containers, numbers, text and numpy arrays of a pickle file.

    Raises:
        SumlError: not a pickle, or one that asks for anything else; nothing of it is executed.
    """
    try:
        with path.open("rb") as file:
            return _PlainUnpickler(file, encoding="latin1").load()
    except OSError:
        raise
    except Exception as error:  # a hostile or broken pickle can raise anything
        raise SumlError(
            path,
            "refused to unpickle",
            got=str(error) or type(error).__name__,
            expected="a pickle of plain containers and numpy arrays",
            fix="Use the file as published by the dataset's authors.",
        ) from error
