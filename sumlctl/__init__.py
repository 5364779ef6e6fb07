"""Semantics-based unpaired multiview learning (SUM-L, ICCV 2023) as software."""

__version__ = "0.1.0"
