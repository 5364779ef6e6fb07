"""Weights on disk: written whole or not at all, read without running any code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sumlctl import tables
from sumlctl.errors import SumlError
from sumlctl.learning.weights import names, torch_files

_FORMAT = "sumlctl.checkpoint/1"
_MOST_NAMED = 10


@dataclass(frozen=True)
class Coverage:
    """How a file's weights met a module's.

    Args:
        loaded: names set from the file.
        missing: names of the module that the file lacks; they keep their values.
        unused: names of the file that the module lacks.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]

    def require(self, path: Path, apart_from: str = "") -> None:
        """Insists that nothing was missing.

        Args:
            path: the file, for the error.
            apart_from: a part that may be, such as `tpv.projection`.

        Raises:
            SumlError: something was.
        """
        missing = [n for n in self.missing if not (apart_from and n.startswith(f"{apart_from}."))]
        if missing:
            raise SumlError(
                path,
                f"{len(missing)} weights are missing",
                got=f"none named {missing[0]}",
                expected="all weights of the model",
                fix="Use the pipeline that the checkpoint was trained with.",
            )


def save(path: Path, model: nn.Module, record: Mapping[str, Any]) -> None:
    """Writes a model's weights and a record about them: plain values, and tensors in them."""
    content = {"format": _FORMAT, **record, "model": model.state_dict()}
    write(path, content)


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Writes what torch can save; the file is whole or absent.

    Raises:
        SumlError: the file system refused.
    """
    with tables.whole_file(path) as beside, beside.open("wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:  # torch ends the file even where it could not be written
            raise error.__context__ if isinstance(error.__context__, OSError) else error from None


def of_run(folder: Path, name: str | None = None) -> Path:
    """A checkpoint of a run by its file's name, default `stage_two.pt`; else `name` as a path."""
    inside = folder / "checkpoints" / (name or "stage_two.pt")
    return inside if name is None or inside.is_file() else Path(name)


def read(path: Path) -> dict[str, Any]:
    """The content of a checkpoint: the record of `save`, and `model`, weights left on disk.

    Their names are without what wrappers such as torch.compile add.

    Raises:
        SumlError: missing, damaged, or not a checkpoint of this program.
    """
    if not path.is_file():
        raise SumlError(
            path,
            "checkpoint is missing",
            got="no file",
            expected="the weights of a trained stage",
            fix="Make it with `sumlctl train`.",
        )
    try:
        content = torch_files.load(path)
        found = _format(content)
    except SumlError as error:
        found = error.got
    if found != _FORMAT:
        raise SumlError(
            path,
            "not a checkpoint of sumlctl",
            got=found,
            expected=_FORMAT,
            fix="Choose a file under runs/<run>/checkpoints.",
        )
    return content | {"model": names.by_unwrapped_name(content["model"])}


def _format(content: Any) -> str:
    """The format of what was read, or what is wrong with it."""
    if not isinstance(content, dict):
        return f"a {type(content).__name__}"
    if content.get("format") != _FORMAT:
        return f"format {content.get('format')}"[:80] if "format" in content else "no format"
    weights, stage = content.get("model"), content.get("stage", "")
    sound = isinstance(weights, dict) and all(
        isinstance(name, str) and torch_files.is_weight(value) for name, value in weights.items()
    )
    return _FORMAT if sound and isinstance(stage, str) else "no weights of a stage"


def load_weights(module: nn.Module, path: Path) -> Coverage:
    """Sets a module's weights from the file's weights of the same names, wrappers aside.

    Raises:
        SumlError: the file cannot be read, or a weight has another shape than the module's.
    """
    weights, own = read(path)["model"], module.state_dict()
    sources = {name: name if name in weights else names.unwrapped(name) for name in own}
    loaded = {name: weights[source] for name, source in sources.items() if source in weights}
    other = [
        f"{name} {[*weight.shape]} instead of {[*own[name].shape]}"
        for name, weight in loaded.items()
        if weight.shape != own[name].shape
    ]
    if other:
        more = f" and {len(other) - _MOST_NAMED} more" if len(other) > _MOST_NAMED else ""
        raise SumlError(
            path,
            f"{len(other)} weights have another shape",
            got=", ".join(other[:_MOST_NAMED]) + more,
            expected="the shapes of the model",
            fix="Use the pipeline that the checkpoint was trained with.",
        )
    module.load_state_dict(loaded, strict=False)
    missing = tuple(name for name in own if name not in loaded)
    unused = set(weights).difference(sources.values())
    return Coverage(tuple(loaded), missing, tuple(name for name in weights if name in unused))
