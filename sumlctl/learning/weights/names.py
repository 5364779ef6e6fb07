"""Names of weights in PySlowFast, and in pytorchvideo, whose names are ours.

Both describe the same layers: PySlowFast in `slowfast/models/stem_helper.py`, `resnet_helper.py`
and `video_model_builder.py`, pytorchvideo in `models/resnet.py` and `models/slowfast.py`. Stages
s1...s5 are blocks 0...4. A network without a fast pathway has no `multipathway_blocks`. SUM-L's
third-person branch appends `_t` to the name of a stage.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

_LAYERS = {
    "conv": "conv",
    "bn": "norm",
    "conv_f2s": "conv_fast_to_slow",
    "branch1": "branch1_conv",
    "branch1_bn": "branch1_norm",
    **{f"branch2.{part}": f"branch2.conv_{part}" for part in "abc"},
    **{f"branch2.{part}_bn": f"branch2.norm_{part}" for part in "abc"},
}
_THEIR_LAYERS = {ours: theirs for theirs, ours in _LAYERS.items()}
_VALUE = r"(?P<value>weight|bias|running_mean|running_var|num_batches_tracked)"
_THEIRS = re.compile(
    r"s(?P<stage>[1-5])(?P<fuse>_fuse)?(?P<tpv>_t)?\."
    r"(?:pathway(?P<pathway>\d)_(?:stem|res(?P<block>\d+))\.)?"
    rf"(?P<layer>.+)\.{_VALUE}"
)
_OURS = re.compile(
    r"blocks\.(?P<stage>[0-4])\.(?P<fuse>multipathway_fusion\.)?"
    r"(?:multipathway_blocks\.(?P<pathway>\d)\.)?(?:res_blocks\.(?P<block>\d+)\.)?"
    rf"(?P<layer>.+)\.{_VALUE}"
)
# DataParallel and DDP, training frameworks, torch.compile, FSDP and activation checkpointing
# (torch/distributed/fsdp/_common_utils.py, .../_checkpoint/checkpoint_wrapper.py).
_ADDED = "_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module"
_COMPILED = re.compile(rf"(?:(?<=\.)|^)(?:{_ADDED})\.")
_WRAPPER = re.compile(rf"(?:(?<=\.)|^)(?:module|model|{_ADDED})\.")


class Placed(NamedTuple):
    """A weight of an encoder.

    Args:
        name: in our encoder.
        tpv: of SUM-L's third-person branch.
    """

    name: str
    tpv: bool


def unwrapped(name: str) -> str:
    """The name without what wrappers add, such as `module.` or `_orig_mod.`, anywhere in it."""
    return _WRAPPER.sub("", name)


def by_unwrapped_name(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Return weights by unwrapped names, where the whole was wrapped or a part compiled.

    A module may have a part called `model` of its own: that alone changes no name, nor is any
    changed where two weights would get one name.
    """
    whole = all(_WRAPPER.match(name) for name in weights)
    if not whole and not any(_COMPILED.search(name) for name in weights):
        return dict(weights)
    plain = {unwrapped(name): weight for name, weight in weights.items()}
    return plain if len(plain) == len(weights) else dict(weights)


def from_pyslowfast(name: str, fast: bool) -> Placed | None:
    """Our name of an encoder's weight in PySlowFast; None for anything else.

    Args:
        name: such as `s2.pathway0_res0.branch2.a.weight`.
        fast: whether the network has a fast pathway.
    """
    found = _THEIRS.fullmatch(name)
    layer = _LAYERS.get(found["layer"]) if found else None
    if found is None or layer is None or bool(found["fuse"]) == bool(found["pathway"]):
        return None
    parts = [f"blocks.{int(found['stage']) - 1}"]
    if found["fuse"]:
        parts.append("multipathway_fusion")
    elif fast:
        parts.append(f"multipathway_blocks.{found['pathway']}")
    if found["block"]:
        parts.append(f"res_blocks.{found['block']}")
    return Placed(".".join([*parts, layer, found["value"]]), bool(found["tpv"]))


def to_pyslowfast(name: str) -> str | None:
    """PySlowFast's name of a weight of our SlowFast or Slow encoder; None for anything else."""
    found = _OURS.fullmatch(name)
    layer = _THEIR_LAYERS.get(found["layer"]) if found else None
    if found is None or layer is None:
        return None
    stage = f"s{int(found['stage']) + 1}"
    if found["fuse"]:
        return f"{stage}_fuse.{layer}.{found['value']}"
    unit = f"res{found['block']}" if found["block"] else "stem"
    return f"{stage}.pathway{found['pathway'] or 0}_{unit}.{layer}.{found['value']}"
