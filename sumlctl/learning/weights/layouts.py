"""Which program wrote a state dict, told from its names, and where each weight goes.

Facts on names: Ego-Exo's `models/kd_models.py` and `video_model_builder.py` (a head is called
`head` and the task), SUM-L's `models/multi_models_builder_ep_lemma_hoi_2s.py` and
`lemma_models_sf.py` (`readout`), pytorchvideo's `models/{resnet,slowfast,x3d,head}.py` and
`vision_transformers.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from sumlctl.learning.weights import channels, names

_OURS = re.compile(r"(?:(?:fpv|tpv)\.)?(?:encoder|heads|projection)\..+")
_HEAD = re.compile(
    r"(?:head(?P<task>[^.]*)|readout)\.projection(?:s\.(?P<index>\d+))?\.(?P<value>weight|bias)"
)
_TASKS = {None: "action", "0": "verb", "1": "noun"}
_FIRST_PERSON = re.compile(r"epic|ego")
_ALIGNMENT = re.compile(r"global_con_head\.(?P<view>fpv|tpv)_global_proj\.(?P<value>weight|bias)")
_HUB_HEAD = re.compile(r"blocks\.[56]\.proj\.(?P<value>weight|bias)")
_HUB_TRANSFORMER_HEAD = re.compile(r"head\.proj\.(?P<value>weight|bias)")


@dataclass(frozen=True)
class Layout:
    """How a program names its weights.

    Args:
        origin: the program.
        place: a name of the file without wrappers -> ours, None if it has no place with us.
        bgr: prefixes of the branches that expect BGR.
    """

    origin: str
    place: Callable[[str], str | None]
    bgr: tuple[str, ...] = ()


def recognise(found: Collection[str], cfg: str) -> Layout | None:
    """The layout of a state dict; None if it is none that we know.

    Args:
        found: its names, without wrappers.
        cfg: PySlowFast's configuration, empty if there is none.
    """
    if any(_OURS.fullmatch(name) for name in found):
        return Layout("sumlctl", lambda name: name if _OURS.fullmatch(name) else None)
    placed = [p for p in (names.from_pyslowfast(name, True) for name in found) if p]
    if any(p.tpv for p in placed):
        return _sum_l(found, cfg)
    if placed:
        return _one_branch(found, cfg)
    if any(name.startswith(("blocks.", "patch_embed.")) for name in found):
        transformer = any(name.startswith("patch_embed.") for name in found)
        head = _HUB_TRANSFORMER_HEAD if transformer else _HUB_HEAD
        return Layout("pytorchvideo", partial(_place_hub, head))
    return None


def _one_branch(found: Collection[str], cfg: str) -> Layout:
    tasks = {head["task"] for head in map(_HEAD.fullmatch, found) if head}
    place = partial(_place, _is_fast(found), _has_two_tasks(found), False)
    if None in tasks:
        return Layout("sum-l", place, ("",) if channels.reversed_input(cfg) else ())
    first_person = any(_FIRST_PERSON.search(task) for task in tasks)
    stated = channels.trained_on_bgr(cfg)
    bgr = first_person if stated is None else stated
    return Layout("ego-exo" if first_person else "pyslowfast", place, ("",) if bgr else ())


def _sum_l(found: Collection[str], cfg: str) -> Layout:
    bgr = "tpv." if channels.reversed_input(cfg) else "fpv."
    place = partial(_place, _is_fast(found), _has_two_tasks(found), True)
    return Layout("sum-l", place, (bgr,))


def _is_fast(found: Collection[str]) -> bool:
    return any(".pathway1_" in name for name in found)


def _has_two_tasks(found: Collection[str]) -> bool:
    """False where Kinetics classes stand beside two tasks that another network taught (Ego-Exo)."""
    return not any(name.startswith("head.projections.2.") for name in found)


def _place(fast: bool, two_tasks: bool, two_branches: bool, name: str) -> str | None:
    encoder = names.from_pyslowfast(name, fast)
    if encoder:
        view = ("tpv." if encoder.tpv else "fpv.") if two_branches else ""
        return f"{view}encoder.{encoder.name}"
    if two_branches and (alignment := _ALIGNMENT.fullmatch(name)):
        return f"{alignment['view']}.projection.{alignment['value']}"
    head = _HEAD.fullmatch(name)
    if head is None or head["index"] not in _TASKS or not (two_tasks or head["index"] is None):
        return None
    view = ("tpv." if head["task"] == "_lemma" else "fpv.") if two_branches else ""
    return f"{view}heads.{_TASKS[head['index']]}.{head['value']}"


def _place_hub(head: re.Pattern[str], name: str) -> str:
    found = head.fullmatch(name)
    return f"heads.action.{found['value']}" if found else f"encoder.{name}"
