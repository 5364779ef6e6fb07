"""Processes, devices and precision: one process per device, started by torchrun or SLURM."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    TorchElasticEnvironment,
)
from lightning_fabric.strategies import DDPStrategy
from torch import distributed

from sumlctl import console
from sumlctl.config import Pipeline
from sumlctl.errors import Interrupted, SumlError
from sumlctl.learning.training.slurm import SrunStep, under_srun


def started_externally() -> bool:
    """Whether torchrun or SLURM started this process as one of several."""
    return TorchElasticEnvironment.detect() or under_srun()


def with_launcher_world(pipeline: Pipeline) -> Pipeline:
    """The pipeline with the devices and nodes that torchrun or SLURM chose, if one of them did."""
    if TorchElasticEnvironment.detect():
        world, per_node = (
            TorchElasticEnvironment().world_size(),
            int(os.environ["LOCAL_WORLD_SIZE"]),
        )
    elif under_srun():
        world, per_node = SrunStep().world_size(), SrunStep().per_node()
    else:
        return pipeline
    return replace(pipeline, devices=per_node, nodes=world // per_node)


def _cluster(several: bool) -> ClusterEnvironment | None:
    """Who started this process, where Fabric's own detection is not to be asked (`slurm`)."""
    if TorchElasticEnvironment.detect() or not any(n.startswith("SLURM_") for n in os.environ):
        return None
    return SrunStep() if several and under_srun() else LightningEnvironment()


def resolved(precision: str) -> str:
    """What `auto` means here: bf16-mixed where a GPU has it, else 32-true."""
    if precision != "auto":
        return precision
    bf16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return "bf16-mixed" if bf16 else "32-true"


def launch(devices: int, precision: str, nodes: int = 1) -> Fabric:
    """This process's devices and precision; processes but the first say nothing from here on.

    Args:
        devices: processes per node.
        precision: in Lightning Fabric's names; `auto` is bf16-mixed where a GPU has it.
        nodes: machines.

    Raises:
        SumlError: there are fewer GPUs than `devices`.
    """
    if precision == "16-mixed" and not torch.cuda.is_available():
        raise SumlError(
            "precision",
            "16-mixed needs a GPU",
            got="a CPU",
            expected="32-true or bf16-mixed",
            fix="Choose another with --precision.",
        )
    torch.backends.cudnn.benchmark = True  # every batch has the same shape
    if torch.cuda.is_available() and devices > torch.cuda.device_count():
        raise SumlError(
            "devices",
            "not so many GPUs",
            got=devices,
            expected=f"at most {torch.cuda.device_count()} on this machine",
            fix="Lower --devices.",
        )
    several = devices * nodes > 1
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    fabric = Fabric(
        devices=devices,
        num_nodes=nodes,
        precision=resolved(precision),  # type: ignore[arg-type]
        plugins=_cluster(several),
        strategy=DDPStrategy(gradient_as_bucket_view=True) if several else "auto",
    )
    fabric.launch()
    if not fabric.is_global_zero:
        console.silence()
    return fabric


def check_restarts(run: str | None) -> None:
    """Sees whether a restart by torchrun, where it may come to that, would succeed.

    Args:
        run: its name, where it was given one.

    Raises:
        SumlError: it would begin another run, or meet what the lost processes left behind.
    """
    if not int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")):
        return
    if run is None:
        raise SumlError(
            "--run",
            "a restart could not tell which run to go on with",
            got="no name",
            expected="one wherever torchrun may restart (--max-restarts)",
            fix="Name the run: `--run NAME`.",
        )
    # Addresses of lost processes stay in that store: https://github.com/pytorch/pytorch/issues/135712
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        raise SumlError(
            "TORCH_DISABLE_SHARE_RDZV_TCP_STORE",
            "restarted processes would look for those that were lost",
            got="a store that torchrun keeps over restarts",
            expected="1 wherever torchrun may restart (--max-restarts)",
            fix="Set it to 1 on every node before torchrun begins, with --rdzv-backend=c10d.",
        )


@contextmanager
def report_lost_peers(run: str | None) -> Iterator[None]:
    """Says what it means when something that all processes do together fails in this one.

    Args:
        run: its name, where that is known.

    Raises:
        SumlError: another process or the way to it was lost.
    """
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, distributed.DistError) and "gloo" not in str(error):
            raise
        raise SumlError(
            "training",
            "another process, or the way to it, was lost",
            got=str(error).splitlines()[0].partition(". This is")[0],
            expected="all of them until the end",
            fix=f"See what the others say; {_how_to_go_on(run)}.",
        ) from error


def _how_to_go_on(run: str | None) -> str:
    return f"`sumlctl train --resume {run or 'RUN'}` goes on from the last savepoint"


def spawn(pipeline: Pipeline, words: Sequence[str], run: str | None = None) -> None:
    """Runs `sumlctl WORDS` once per device, under torchrun's own launcher.

    Several nodes meet at MASTER_ADDR and MASTER_PORT; the same command runs on each.

    Args:
        pipeline: tells how many processes.
        words: of the command.
        run: the run's name, where it has one already.

    Raises:
        SumlError: a process failed, or there is no address to meet at.
        Interrupted: all stopped for a signal.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=pipeline.nodes,
        max_nodes=pipeline.nodes,
        nproc_per_node=pipeline.devices,
        rdzv_backend="c10d",
        rdzv_endpoint=_meeting_point(pipeline.nodes),
        run_id="sumlctl",
        max_restarts=0,
    )
    # What became of the processes is told here.
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    cores = os.cpu_count() or 1
    os.environ.setdefault("OMP_NUM_THREADS", str(max(cores // pipeline.devices, 1)))
    try:
        elastic_launch(config, sys.executable)("-m", "sumlctl", *words)
    except SignalException as stopped:
        raise Interrupted(int(stopped.sigval), "all processes stopped") from stopped
    except ChildFailedError as failed:
        raise _what_became({r: f.exitcode for r, f in failed.failures.items()}, run) from failed


def _what_became(exit_codes: Mapping[int, int], run: str | None) -> Exception:
    """Why a training ended; a process that was killed takes others with it, some by SIGTERM.

    Args:
        exit_codes: of the processes that failed first.
        run: its name, where that is known.
    """
    stopped = {n: signal.Signals(abs(n) % 128) for n in (-2, -15, 128 + 2, 128 + 15)}
    rank, code = min(exit_codes.items(), key=lambda item: (item[1] in stopped, item[1]))
    if code in stopped:
        return Interrupted(stopped[code], "all processes stopped")
    if code < 0:
        return SumlError(
            f"process {rank}",
            "it was killed, and the training with it",
            got=signal.Signals(-code).name,
            expected="all processes until the end",
            fix=f"If nobody did it, the memory did not suffice; {_how_to_go_on(run)}.",
        )
    return SumlError(
        f"process {rank}",
        "training failed",
        got=f"exit code {code}",
        expected="0 from every process",
        fix=f"Its own error is above; {_how_to_go_on(run)}.",
    )


def _meeting_point(nodes: int) -> str:
    if nodes == 1:
        return "localhost:0"
    if "MASTER_ADDR" not in os.environ:
        raise SumlError(
            "--nodes",
            "no address where the nodes meet",
            got="MASTER_ADDR is not set",
            expected="the first node's name, and MASTER_PORT",
            fix="Set both on every node, or start it with torchrun or srun.",
        )
    return f"{os.environ['MASTER_ADDR']}:{os.environ.get('MASTER_PORT', '29500')}"
