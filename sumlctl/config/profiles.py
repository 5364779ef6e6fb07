"""What the paper and the released research code disagree about, as two named sets of settings.

Read from the code at github.com/wqtwjt1996/SUM-L. It pairs clips by their labels before it looks
at narrations. Its third-person encoder starts from the same weights as the first-person one and
skips stage one. Features are scaled to unit length before they are projected, clips of both views
serve as negatives, and the weights of Eq. 10 are never applied. Its last commit also discards the
cross-view loss altogether: `loss.w_aw = 0` does the same.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from sumlctl.config import registry
from sumlctl.errors import SumlError

# Dotted key -> value; keys of `loss` concern the methods that have such an option.
PROFILES: Mapping[str, Mapping[str, Any]] = {
    "paper": {
        "data.match": "text",
        "encoders.tpv": "original",
        "projection.unit_features": False,
        "loss.weighted": True,
        "loss.negatives": "cross",
    },
    "released-code": {
        "data.match": "labels",
        "encoders.tpv": "same-init",
        "projection.unit_features": True,
        "loss.weighted": False,
        "loss.negatives": "cross+intra",
    },
}


def apply(raw: dict[str, Any], chosen: str | None) -> None:
    """Writes a profile's values into a pipeline as read from TOML.

    Args:
        raw: changed in place. What it holds already wins over a profile that it names itself.
        chosen: a profile that wins over `raw`; None for the one that `raw` names, if any.
    """
    if chosen is not None:
        raw["profile"] = chosen
    named = raw.get("profile")
    for key, value in PROFILES.get(named if isinstance(named, str) else "", {}).items():
        section, name = key.split(".")
        table = raw.setdefault(section, {})
        if not isinstance(table, dict) or (section == "loss" and not _has_option(table, name)):
            continue
        if chosen is not None:
            table[name] = value
        else:
            table.setdefault(name, value)


def _has_option(loss: Mapping[str, Any], name: str) -> bool:
    try:
        build = registry.load("losses", loss.get("name", "sum-l"))
    except (SumlError, AttributeError):  # told when the pipeline is parsed
        return False
    return name in inspect.signature(build).parameters
