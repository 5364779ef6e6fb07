"""Converts a file of weights: read whatever wrote it, fit it into a backbone, write it anew."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from sumlctl.errors import SumlError
from sumlctl.learning import backbones, checkpoints
from sumlctl.learning.weights import export, load, read
from sumlctl.learning.weights.read import ForeignWeights

_SLOW_BLOCK = re.compile(r"blocks\.3\.(?:multipathway_blocks\.0\.)?res_blocks\.(\d+)\..+")
# pathways, blocks in the fourth stage -> backbone
_RESNETS = {(1, 6): "r3d50", (2, 6): "slowfast50", (2, 23): "slowfast101"}


@dataclass(frozen=True)
class Conversion:
    """What became of a file's weights.

    Args:
        origin: which program wrote them.
        backbone: that they fit.
        why: what the backbone was guessed from; empty if it was named.
        turned: views that expected BGR in the file read; `""` in a file of one branch.
        heads: of the file written, name -> classes.
        used: names in the file read of what was written.
        unused: names in the file read of what was not.
        missing: names in the file written of what was not in the file read: BatchNorm counters.
    """

    origin: str
    backbone: str
    why: str
    turned: tuple[str, ...]
    heads: Mapping[str, int]
    used: tuple[str, ...]
    unused: tuple[str, ...]
    missing: tuple[str, ...]


def convert(
    source: Path,
    target: Path,
    backbone: str | None = None,
    *,
    to: str = "sumlctl",
    classes: Mapping[str, int] | None = None,
    drop_heads: bool = False,
    task: str = "",
    bgr: bool = False,
) -> Conversion:
    """Reads weights of any layout and writes them in ours or in PySlowFast's.

    Our layout is `format`, `origin`, `backbone` and `model`, whose names are `encoder.<name>`,
    `heads.<task>.<name>` and `projection.<name>`, behind `fpv.` and `tpv.` if there are both.

    Args:
        source: the file to read.
        target: the file to write; whole or absent.
        backbone: that the weights must fit; guessed from them if None.
        to: `sumlctl` or `pyslowfast`, which gets the first-person branch.
        classes: task -> number of classes that a head must have, of the first-person branch if
            there are two.
        drop_heads: leave out heads of other classes than those, all of them without `classes`.
        task: for PySlowFast, as `export.write` has it.
        bgr: for PySlowFast, as `export.write` has it.

    Raises:
        SumlError: the file cannot be read, does not fit the backbone, has other heads or no place
            in PySlowFast.
    """
    found = read.weights(source)
    views = found.views if to == "sumlctl" else found.views[:1]
    why = ""
    if backbone is None:
        backbone, why = guess(found)
    own, model = backbones.build(backbone).state_dict(), dict[str, Tensor]()
    for view in views:
        prefix = found.prefix(view)
        heads = _heads(found, view, classes if view == views[0] else None, drop_heads)
        parts = _encoder(found, view, own) | heads
        if to == "sumlctl":
            projection = found.part(view, "projection")
            parts |= {f"projection.{name}": weight for name, weight in projection.items()}
        model |= {f"{prefix}{name}": weight for name, weight in parts.items()}
    if to == "sumlctl":
        _write(target, model, found.origin, backbone)
    else:
        prefix = found.prefix(views[0])
        export.write(target, {n.removeprefix(prefix): w for n, w in model.items()}, task, bgr)
    return _conversion(found, model, backbone, why)


def guess(found: ForeignWeights) -> tuple[str, str]:
    """The backbone that weights are of, and what tells it.

    Raises:
        SumlError: nothing tells it.
    """
    if found.backbone:
        return found.backbone, "the file names it"
    names = found.part(found.views[0], "encoder").keys()
    if any(name.startswith("patch_embed.") for name in names):
        return "mvit_b", "patch embedding"
    if "blocks.0.conv.conv_xy.weight" in names:
        return "x3d_s", "separable stem"
    pathways = 2 if any(".multipathway_blocks.1." in name for name in names) else 1
    blocks = len({block[1] for block in map(_SLOW_BLOCK.fullmatch, names) if block})
    told = f"{pathways} {'pathways' if pathways > 1 else 'pathway'}, {blocks} blocks in stage 4"
    if (pathways, blocks) not in _RESNETS:
        raise SumlError(
            found.path,
            "cannot tell the backbone",
            got=told,
            expected=", ".join(_RESNETS.values()),
            fix="Name it with --backbone.",
        )
    return _RESNETS[pathways, blocks], told


def _encoder(found: ForeignWeights, view: str, own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a new encoder after the file's have been set."""
    given = load.fitting(own, found, view)
    return {f"encoder.{n}": given.get(n, weight).to(weight.dtype) for n, weight in own.items()}


def _heads(
    found: ForeignWeights, view: str, classes: Mapping[str, int] | None, drop: bool
) -> dict[str, Tensor]:
    """The heads that the classes allow."""
    given = found.part(view, "heads")
    sizes = _sizes(given)
    if classes is None:
        kept: Collection[str] = () if drop else sizes.keys()
    else:
        kept = [task for task, size in classes.items() if sizes.get(task) == size]
        other = [task for task in {*sizes, *classes} if task not in kept]
        if other and not drop:
            raise SumlError(
                found.path,
                "other heads than asked for",
                got=_worded(sizes),
                expected=_worded(classes),
                fix="Use weights of the same classes, or add --drop-heads.",
            )
    return {f"heads.{n}": w for n, w in given.items() if n.partition(".")[0] in kept}


def _sizes(heads: Mapping[str, Tensor]) -> dict[str, int]:
    return {n.removesuffix(".weight"): len(w) for n, w in heads.items() if n.endswith(".weight")}


def _worded(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{task}={size}" for task, size in sizes.items()) or "none"


def _write(target: Path, model: Mapping[str, Tensor], origin: str, backbone: str) -> None:
    content = {"format": read.FORMAT, "origin": origin, "backbone": backbone}
    checkpoints.write(target, {**content, "model": dict(model)})


def _conversion(
    found: ForeignWeights, model: Mapping[str, Tensor], backbone: str, why: str
) -> Conversion:
    sizes = {name.replace("heads.", ""): w for name, w in model.items() if "heads." in name}
    return Conversion(
        origin=found.origin,
        backbone=backbone,
        why=why,
        turned=found.turned,
        heads=_sizes(sizes),
        used=tuple(found.sources[name] for name in model if name in found.sources),
        unused=load.unused(found, model),
        missing=tuple(name for name in model if name not in found.sources),
    )
