"""Rows of all processes in one tensor, with gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed


def gathered(rows: Tensor) -> Tensor:
    """Rows of all processes [world * N, ...], in the order of the processes.

    Each process computes the same loss of the same rows. Backward adds up what all processes
    want of a row and DDP then averages over them, so that the step is that of one process with
    all the rows.

    Args:
        rows: of this process [N, ...], as many in each.
    """
    if not distributed.is_initialized() or distributed.get_world_size() == 1:
        return rows
    return _Gather.apply(rows)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        world = distributed.get_world_size()
        everyone = rows.new_empty(world * len(rows), *rows.shape[1:])
        distributed.all_gather_into_tensor(everyone, rows.contiguous())
        return everyone

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (wanted,) = gradients
        wanted = wanted.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(wanted)
        return wanted.chunk(distributed.get_world_size())[distributed.get_rank()]
