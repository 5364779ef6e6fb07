"""Narration encoders: a module with `load` is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np


class Encoder(Protocol):
    """What `embed` needs of an encoder.

    Attributes:
        max_tokens: tokens that are read of a text; what follows is ignored.
    """

    max_tokens: int

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, before any truncation."""

    def encode(self, texts: Sequence[str], length: int) -> np.ndarray:
        """Vectors [n, d] in float32 of one batch, each text padded or cut to `length` tokens."""
