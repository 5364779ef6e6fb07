"""One step of two processes with gathered negatives; run by torchrun, writes the gradients."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from sumlctl.config import Pipeline
from sumlctl.learning import two_view
from sumlctl.learning.losses import suml
from sumlctl.learning.losses.terms import Outputs
from sumlctl.learning.tasks import Block, Task, total_loss
from sumlctl.learning.training.gather import gathered
from sumlctl.learning.training.meter import weighted_sum
from sumlctl.settings import Component

PAIRS = 8
TASKS = {v: [Task("noun", True, (Block("d", "nouns", ("a", "b", "c")),))] for v in ("fpv", "tpv")}


def step(fabric: Any, rank: int, world: int) -> dict[str, torch.Tensor]:
    """Gradients of the loss of this process's share of eight pairs."""
    torch.manual_seed(0)
    pipeline = Pipeline(backbone=Component("tiny", {"width": 4}))
    model = two_view.build(pipeline, TASKS, 6)
    clips = {v: torch.randn(PAIRS, 3, 4, 16, 16) for v in TASKS}
    labels = torch.arange(PAIRS) % 3
    vectors = torch.nn.functional.normalize(torch.randn(2, PAIRS, 6), dim=2)
    own = slice(rank * PAIRS // world, (rank + 1) * PAIRS // world)
    # Statistics of a batch are those of one process; without them the step is comparable.
    model.eval()
    module = fabric.setup_module(model)
    module.eval()
    seen = module({v: clip[own] for v, clip in clips.items()})
    losses = {
        f"l_{v[0]}": total_loss(TASKS[v], s.logits, {"noun": labels[own]}) for v, s in seen.items()
    }
    compared = {f"z_{v[0]}": s.z for v, s in seen.items()}
    compared |= {"d_f": vectors[0][own], "d_t": vectors[1][own]}
    compared = {name: gathered(rows) for name, rows in compared.items()}
    similarity = (compared["d_f"] * compared["d_t"]).sum(dim=1)
    outputs = Outputs(**losses, **compared, similarity=similarity)
    fabric.backward(weighted_sum(suml.build(threshold=-1.0, w_aw=1.0, w_m=1.0)(outputs)))
    return {name: weight.grad for name, weight in model.named_parameters()}


if __name__ == "__main__":
    ddp = Fabric(accelerator="cpu", devices=2, strategy="ddp")
    ddp.launch()
    gradients = step(ddp, ddp.global_rank, ddp.world_size)
    if ddp.is_global_zero:
        torch.save(gradients, Path(sys.argv[1]))
