"""Video backbones: a module with `build` is one."""

from __future__ import annotations

from typing import Any

from sumlctl.config import registry


def build(name: str, **kwargs: Any) -> Any:
    """The backbone of that name: clips [B, 3, T, H, W] -> features [B, D].

    Args:
        name: a module of this package, such as `tiny`.
        kwargs: what its own `build` takes.

    Returns:
        A `sumlctl.learning.backbones.backbone.Backbone`.

    Raises:
        SumlError: no such backbone.
        ValueError: a value that is impossible for it.
    """
    return registry.load("backbones", name)(**kwargs)
