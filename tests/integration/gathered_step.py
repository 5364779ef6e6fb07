"""Steps with gathered negatives on pairs that are kept unevenly; writes their gradients."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch.nn import functional

from sumlctl.config import Pipeline
from sumlctl.config.parsing import Component
from sumlctl.learning import two_view
from sumlctl.learning.losses import suml, triplet, typical_cl
from sumlctl.learning.losses.terms import Method
from sumlctl.learning.tasks import Block, Task
from sumlctl.learning.training import stages
from sumlctl.learning.training.meter import weighted_sum

TASKS = {v: [Task("noun", True, (Block("d", "nouns", ("a", "b", "c")),))] for v in ("fpv", "tpv")}
SUML = {"w_aw": 1.0, "w_m": 1.0, "threshold": 0.5}
# Similarity of each pair's narrations; the first process has the first half.
ALL = (0.9, 0.6, 0.8, 0.7, 0.95, 0.55, 0.65, 0.85)
UNEVEN = (0.9, 0.6, 0.8, 0.7, 0.95, 0.1, 0.2, 0.3)
ONE_EACH = (0.1, 0.9, 0.2, 0.3, 0.4, 0.2, 0.6, 0.1)
ONLY_ONE = (0.1, 0.9, 0.2, 0.3, 0.4, 0.2, 0.3, 0.1)
CASES: dict[str, tuple[Method, tuple[float, ...]]] = {
    "all kept": (suml.build(**SUML), ALL),
    "kept unevenly": (suml.build(**SUML), UNEVEN),
    "one kept by each process": (suml.build(**SUML), ONE_EACH),
    "one kept of all": (suml.build(**SUML), ONLY_ONE),
    "without weights": (suml.build(**SUML, weighted=False), UNEVEN),
    "negatives of both views": (suml.build(**SUML, negatives="cross+intra"), UNEVEN),
    "video and text alone": (suml.build(w_aw=0.0, w_m=1.0), UNEVEN),
    "typical-cl": (typical_cl.build(w_a=1.0), UNEVEN),
    "triplet, fpv": (triplet.build(w_a=1.0, negative="fpv", margin=2.0), UNEVEN),
    "triplet, tpv": (triplet.build(w_a=1.0, negative="tpv", margin=2.0), UNEVEN),
}


def step(fabric: Any, name: str) -> dict[str, torch.Tensor]:
    """Gradients, and values of the terms (`term.<name>`), of this process's share of the pairs."""
    method, similarity = CASES[name]
    pairs, world = len(similarity), fabric.world_size
    torch.manual_seed(0)
    model = two_view.build(Pipeline(backbone=Component("tiny", {"width": 4})), TASKS, 6)
    own = slice(fabric.global_rank * pairs // world, (fabric.global_rank + 1) * pairs // world)
    batch: dict[str, Any] = {
        view: {"clips": torch.randn(pairs, 3, 4, 16, 16)[own]} for view in TASKS
    }
    for view in TASKS:
        batch[view]["targets"] = {"noun": (torch.arange(pairs) % 3)[own]}
    batch["vectors"] = {key: v[own] for key, v in _vectors(torch.tensor(similarity)).items()}
    # Statistics of a batch are those of one process; without them the step is comparable.
    model.eval()
    module = fabric.setup_module(model)
    module.eval()
    terms = stages.stage_two_terms(_as_they_are, TASKS, method, gather=True)(module, batch, 0, 0)  # type: ignore[arg-type]
    fabric.backward(weighted_sum(terms))
    gradients = {key: w.grad for key, w in model.named_parameters()}
    return gradients | {f"term.{key}": term.value.detach() for key, term in terms.items()}


def _vectors(similarity: torch.Tensor) -> dict[str, torch.Tensor]:
    """Narration vectors, and those of their partners: as similar as they are to be."""
    d_f = functional.normalize(torch.randn(len(similarity), 6), dim=1)
    across = torch.randn_like(d_f)
    across = functional.normalize(across - (across * d_f).sum(1, keepdim=True) * d_f, dim=1)
    d_t = similarity[:, None] * d_f + (1 - similarity[:, None] ** 2).sqrt() * across
    return {"d_f": d_f, "d_t": d_t, "similarity": similarity}


def _as_they_are(batch: Any, views: Any, epoch: int, number: int) -> dict[str, torch.Tensor]:
    return {view: batch[view]["clips"] for view in views}


def main(path: Path) -> None:
    """Every case in one of two processes."""
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    fabric = Fabric(accelerator="cpu", devices=2, strategy="ddp")
    fabric.launch()
    gradients = {name: step(fabric, name) for name in CASES}
    torch.save(gradients, path.with_name(f"{path.name}.{fabric.global_rank}"))
