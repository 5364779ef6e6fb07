"""Counter-based randomness: what is drawn depends on a key, never on what was drawn before."""

from __future__ import annotations

import numpy as np


def generator(*key: int) -> np.random.Generator:
    """A generator of its own for a key such as (seed, epoch, index)."""
    # The length goes first: NumPy takes (1, 2) and (1, 2, 0) for the same seed.
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((len(key), *key))))
