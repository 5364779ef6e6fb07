"""Reads pickles from downloads without running what is in them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from sumlctl.errors import SumlError

# Enough for containers, numbers, text and numeric arrays, under both of numpy's package names.
_ADMITTED = {
    ("_codecs", "encode"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    *(
        (f"numpy.{core}.{module}", name)
        for core in ("core", "_core")
        for module, name in (
            ("multiarray", "_reconstruct"),
            ("multiarray", "scalar"),
            ("numeric", "_frombuffer"),
        )
    ),
}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


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
