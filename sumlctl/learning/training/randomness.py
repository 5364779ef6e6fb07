"""Counter-based randomness: what is drawn depends on a key, never on what was drawn before."""

from __future__ import annotations

import numpy as np
import torch


def generator(*key: int) -> np.random.Generator:
    """A generator of its own for a key such as (seed, epoch, index)."""
    return np.random.Generator(np.random.Philox(_sequence(key)))


def seed_everything(*key: int) -> None:
    """Starts PyTorch's own generators, which dropout draws from, anew for a key."""
    torch.manual_seed(int(_sequence(key).generate_state(1, np.uint64)[0]))


def _sequence(key: tuple[int, ...]) -> np.random.SeedSequence:
    # The length goes first: NumPy takes (1, 2) and (1, 2, 0) for the same seed.
    return np.random.SeedSequence((len(key), *key))
