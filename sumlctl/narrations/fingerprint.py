"""The identity of a model folder: the digests of every file that shapes a vector."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from sumlctl import tables

# What sentence-transformers never reads to encode a text with PyTorch: documentation, other
# programs' copies of the weights, what training and tests leave. Any other file counts, so that
# an unknown one costs an encoding and never a wrong vector.
_OTHER_FOLDERS = ("onnx", "openvino", "coreml", "eval", "runs", "checkpoint-*", "__pycache__", ".*")
_OTHER_FILES = (
    *("*.md", "*.rst", "*.pdf", "*.png", "*.jpg", "*.csv", "*.log", "*.lock", "*.py", ".*"),
    *("*.onnx", "*.h5", "*.ot", "*.msgpack", "*.tflite", "*.gguf", "openvino_model*"),
    *("LICENSE*", "NOTICE*", "training_args.bin", "trainer_state.json", "data_config.json"),
    *("optimizer.*", "scheduler.*", "rng_state*"),
)
_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")


def digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file of a model folder that shapes a vector, by relative name."""
    return {name: tables.digest(folder / name) for name in files(folder)}


def files(folder: Path) -> list[str]:
    """Return the relative names of the files that shape a vector, sorted; links are followed."""
    found, seen = [], set()
    for root, folders, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(root)) in seen:  # a link in a circle
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not _is_like(name, _OTHER_FOLDERS)]
        # Both formats of the same weights: the libraries read the first.
        both = any(name.endswith(".safetensors") for name in names)
        skipped = (*_OTHER_FILES, *(("pytorch_model*",) if both else ()))
        kept = (Path(root, name) for name in names if not _is_like(name, skipped))
        found += [path.relative_to(folder).as_posix() for path in kept if path.is_file()]
    return sorted(found)


def fingerprint(named: Mapping[str, str]) -> str:
    """Return one digest for several files, given the sha256 of each by name."""
    lines = "".join(f"{name}\0{named[name]}\n" for name in sorted(named))
    return hashlib.sha256(lines.encode()).hexdigest()


def weights(named: Mapping[str, str]) -> str:
    """Return the sha256 of the weights: of the file, or the fingerprint of several; else empty.

    Weights in the folder itself go before those of its modules, which a fingerprint covers.
    """
    every = {n: d for n, d in named.items() if _is_like(n.rsplit("/", 1)[-1], _WEIGHTS)}
    chosen = {n: d for n, d in every.items() if "/" not in n} or every
    return fingerprint(chosen) if len(chosen) > 1 else next(iter(chosen.values()), "")


def _is_like(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
