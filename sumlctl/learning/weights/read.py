"""Reads weights of any layout that we know, without running anything that is in the file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from torch import Tensor

from sumlctl.errors import SumlError
from sumlctl.learning.weights import caffe2, channels, layouts, names, torch_files
from sumlctl.tables import unpickle

FORMAT = "sumlctl.checkpoint/1"
_EXPECTED = "weights of PySlowFast, Ego-Exo, SUM-L, pytorchvideo, Caffe2's model zoo or sumlctl"
_COUNTER = "num_batches_tracked"  # of a BatchNorm, the one weight that is a single number
_LONGEST = 80  # letters of a name in a message


@dataclass(frozen=True)
class ForeignWeights:
    """Weights in our names, expecting RGB.

    Args:
        path: the file.
        origin: `pytorchvideo`, `pyslowfast`, `ego-exo`, `sum-l`, `caffe2` or `sumlctl`.
        weights: `encoder.<backbone's name>`, `heads.<task>.{weight,bias}` and
            `projection.{weight,bias}`; in a file of two branches each behind `fpv.` or `tpv.`.
        sources: our name -> the name in the file.
        unknown: names in the file that have no place with us.
        turned: views whose first convolutions expected BGR in the file.
        backbone: the encoder's name if the file says it, else empty.
    """

    path: Path
    origin: str
    weights: Mapping[str, Tensor]
    sources: Mapping[str, str]
    unknown: tuple[str, ...]
    turned: tuple[str, ...]
    backbone: str = ""

    @property
    def views(self) -> tuple[str, ...]:
        """`fpv`, `tpv` or both; one empty name where the file does not say."""
        found = {name.partition(".")[0] for name in self.weights}
        return tuple(view for view in ("fpv", "tpv") if view in found) or ("",)

    def prefix(self, view: str) -> str:
        """What stands before a view's names; a file of one branch has it for either view.

        Raises:
            SumlError: the file has two branches, none of that view.
        """
        if len(self.views) == 1:
            view = self.views[0]
        elif view not in self.views:
            raise SumlError(
                self.path,
                "no such view",
                got=repr(view),
                expected=" or ".join(self.views),
                fix="Choose one of them.",
            )
        return f"{view}." if view else ""

    def part(self, view: str, part: str) -> dict[str, Tensor]:
        """A view's weights of one part, `encoder`, `heads` or `projection`, under its own names."""
        start = f"{self.prefix(view)}{part}."
        return {n.removeprefix(start): w for n, w in self.weights.items() if n.startswith(start)}


def weights(path: Path) -> ForeignWeights:
    """The weights of a file, whichever of the programs wrote it.

    Raises:
        SumlError: no file, damaged, asking for code to be run, or of no layout that we know.
    """
    content, is_torch = _content(path)
    if not isinstance(content, dict):
        _refuse(path, type(content).__name__)
    if isinstance(content.get("blobs"), dict) and not is_torch:
        return _placed(path, list(caffe2.tensors(content["blobs"])), "", "caffe2")
    if not is_torch:
        _refuse(path, "a pickle without `blobs`")
    written = content.get("format", FORMAT)
    if written != FORMAT:
        _refuse(path, f"format {_told(written)}", f"format {FORMAT!r}")
    state = content.get("model_state", content.get("model", content.get("state_dict", content)))
    if not isinstance(state, dict):
        _refuse(path, f"weights that are a {type(state).__name__}")
    named = [(n, names.unwrapped(n), w) for n, w in state.items() if isinstance(n, str)]
    cfg = content.get("cfg")
    return _placed(path, named, cfg if isinstance(cfg, str) else "", backbone=_backbone(content))


def _content(path: Path) -> tuple[Any, bool]:
    """What a file holds, and whether torch wrote it."""
    start = torch_files.beginning(path)
    is_torch = start.startswith(torch_files.ZIP) or start == torch_files.LEGACY
    try:
        return (torch_files if is_torch else unpickle).load(path), is_torch
    except SumlError as error:
        _refuse(path, error.got)


def _placed(
    path: Path,
    named: Iterable[tuple[str, str, Any]],
    cfg: str,
    origin: str = "",
    backbone: str = "",
) -> ForeignWeights:
    """Gives the weights our names.

    Args:
        path: the file.
        named: name in the file, name without wrappers, value.
        cfg: PySlowFast's configuration, or empty.
        origin: where the names do not tell it.
        backbone: as `ForeignWeights` has it.
    """
    named = list(named)
    layout = layouts.recognise({plain for _, plain, _ in named}, cfg)
    if layout is None:
        first = ", ".join(name[:_LONGEST] for name, _, _ in named[:3])
        _refuse(path, f"names such as {first}" if first else "nothing")
    placed: dict[str, Tensor] = {}
    sources, unknown = {}, []
    for name, plain, value in named:
        ours = layout.place(plain) if _is_weight(plain, value) else None
        if ours is None or ours in placed:
            unknown.append(name)
        else:
            placed[ours], sources[ours] = value, name
    for prefix in layout.bgr:
        channels.turn(placed, prefix)
    turned = tuple(prefix.removesuffix(".") for prefix in layout.bgr)
    origin = origin or layout.origin
    return ForeignWeights(path, origin, placed, sources, tuple(unknown), turned, backbone)


def _is_weight(name: str, value: Any) -> bool:
    return torch_files.is_weight(value) and (value.dim() > 0 or name.endswith(_COUNTER))


def _told(value: Any) -> str:
    """A value in a message, which a hostile file may have made immense."""
    return repr(value[:_LONGEST]) if isinstance(value, str) else f"a {type(value).__name__}"


def _backbone(content: Mapping[str, Any]) -> str:
    """The encoder's name in a checkpoint of ours: converted files and runs say it."""
    pipeline = content.get("pipeline")
    in_run = pipeline.get("backbone") if isinstance(pipeline, dict) else None
    said = content.get("backbone", in_run)
    name = said.get("name") if isinstance(said, dict) else said
    return name if isinstance(name, str) else ""


def _refuse(path: Path, got: object, expected: str = _EXPECTED) -> NoReturn:
    raise SumlError(
        path,
        "not weights that we can read",
        got=got,
        expected=expected,
        fix="Use the file as its authors published it.",
    )
