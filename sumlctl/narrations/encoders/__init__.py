"""Narration encoders: a module with `load` is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np


class Encoder(Protocol):
    """What `embed` needs of an encoder.

    Attributes:
        max_tokens: tokens that are read of a text; what follows is ignored. It may be infinite.
    """

    max_tokens: float

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Return the tokens of each text with its prompt, before any truncation.

        Texts of one length make batches that need no padding, so that no vector depends on the
        batch it was in.
        """

    def encode(self, texts: Sequence[str], batch_size: int) -> np.ndarray:
        """Return vectors [n, d] of texts of one length, `batch_size` at a time."""
