"""The only place that opens files of torch: weights and plain values, and nothing that runs."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sumlctl.errors import SumlError, from_os_error

LEGACY = pickle.dumps(torch.serialization.MAGIC_NUMBER, protocol=2)  # how torch < 1.6 begins
ZIP = b"PK"
_MOST_REPEATED = 2**28  # bytes


def beginning(path: Path) -> bytes:
    """The first bytes of a file, as many as `LEGACY` has.

    Raises:
        SumlError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(len(LEGACY))
    except OSError as error:
        raise from_os_error(error, path) from error


def load(path: Path) -> Any:
    """What a file of torch holds; the weights of newer ones stay on disk.

    Raises:
        SumlError: it cannot be read, asks for code to be run, or would grow when it is unpacked.
    """
    packed = beginning(path).startswith(ZIP)
    try:
        if packed:
            _check_size(path)
        with warnings.catch_warnings(action="ignore"):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=packed)
    except Exception as error:  # a hostile or broken file can raise anything
        raise SumlError(
            path,
            "not a file of torch that we can read",
            got=f"{type(error).__name__}: {[*str(error).splitlines(), ''][0][:120]}",
            expected="weights and plain values",
            fix="Use the file as its authors published it.",
        ) from error


def _check_size(path: Path) -> None:
    """torch packs nothing; what is packed, or lies in two places at once, is no work of its."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if any(info.compress_type != zipfile.ZIP_STORED for info in members):
        raise ValueError("its members are compressed")
    if sum(info.file_size for info in members) > path.stat().st_size:
        raise ValueError("its members are larger than the file")


def is_weight(value: Any) -> bool:
    """Whether a value is a plain tensor, not much larger than what the file holds of it.

    Few bytes can be said to be repeated without end, and fill the memory once they are copied.
    """
    if not isinstance(value, Tensor) or value.layout != torch.strided:
        return False
    if value.device.type != "cpu" or value.is_quantized or value.is_complex():
        return False
    held = value.untyped_storage().nbytes()
    return value.numel() * value.element_size() <= max(held, _MOST_REPEATED)
