"""A stand-in encoder for unit tests: words hashed to signs. It knows nothing of meaning."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

DIMENSION = 64


def load(folder: object = None, device: str = "auto", prompt: str = "") -> Hashed:
    """Return the stand-in; it takes no weights, runs on any device and has no prompts."""
    return Hashed()


class Hashed:
    """Sums a pseudo-random sign vector per word."""

    max_tokens = 256.0

    def lengths(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def encode(self, texts: Sequence[str], batch_size: int) -> np.ndarray:
        return np.stack([sum(map(_signs, text.split()), np.zeros(DIMENSION)) for text in texts])


def _signs(word: str) -> np.ndarray:
    raw = np.frombuffer(hashlib.sha256(word.encode()).digest()[: DIMENSION // 8], np.uint8)
    return np.unpackbits(raw).astype(np.float64) * 2 - 1
