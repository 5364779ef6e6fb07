"""Processes that srun started, by the variables that it sets in each (srun(1), output environment).

Lightning Fabric has such a class too, but takes every shell with SLURM_NTASKS for one of several
processes unless it is named `bash` or `interactive`, and refuses steps without --ntasks-per-node.
"""

from __future__ import annotations

import os

from lightning_fabric.plugins.environments import ClusterEnvironment, SLURMEnvironment

from sumlctl.errors import SumlError

_FIRST_PORT = 15000  # the last digits of the job's number are added, as Fabric does


def under_srun() -> bool:
    """Return whether srun started this process as one of several.

    A batch script, and a shell that salloc or `srun --pty` opened, are none, whatever they are
    named and however many tasks the job may have.
    """
    if os.isatty(0):
        return False
    if "SLURM_STEP_NUM_TASKS" in os.environ:
        return _number("SLURM_STEP_NUM_TASKS") > 1
    of_a_task = {"SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID"} <= os.environ.keys()
    in_a_script = os.environ.get("ENVIRONMENT") == "BATCH"  # where the task is the script itself
    return of_a_task and not in_a_script and _number("SLURM_NTASKS") > 1


class SrunStep(ClusterEnvironment):
    """One process of a step of several, for Fabric."""

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        nodes = os.environ.get("SLURM_STEP_NODELIST", os.environ.get("SLURM_NODELIST", "127.0.0.1"))
        first = SLURMEnvironment.resolve_root_node_address(nodes)
        return os.environ.setdefault("MASTER_ADDR", first)

    @property
    def main_port(self) -> int:
        job = os.environ.get("SLURM_JOB_ID", "")[-4:]
        port = _FIRST_PORT + int(job) if job.isdecimal() else _FIRST_PORT
        os.environ.setdefault("MASTER_PORT", str(port))
        return _number("MASTER_PORT")

    @staticmethod
    def detect() -> bool:
        return under_srun()

    def world_size(self) -> int:
        return _number("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS")

    def set_world_size(self, size: int) -> None:
        """Srun has set it."""

    def global_rank(self) -> int:
        return _number("SLURM_PROCID")

    def set_global_rank(self, rank: int) -> None:
        """Srun has set it."""

    def local_rank(self) -> int:
        return _number("SLURM_LOCALID")

    def node_rank(self) -> int:
        return _number("SLURM_NODEID")

    def per_node(self) -> int:
        """Return the number of processes on each node.

        Raises:
            SumlError: they are not as many on every node.
        """
        tasks = self.world_size()
        nodes = _number("SLURM_STEP_NUM_NODES", "SLURM_NNODES", default=1)
        if nodes < 1 or tasks % nodes:
            raise SumlError(
                "srun",
                "tasks cannot be shared evenly among the nodes",
                got=f"{tasks} tasks on {nodes} nodes",
                expected="as many on every node, one for each device",
                fix="Start it with `srun --ntasks-per-node=N`.",
            )
        return tasks // nodes


def _number(*names: str, default: int | None = None) -> int:
    """Return the first of the variables that is set.

    Raises:
        SumlError: none is, and there is no default, or it is no number.
    """
    name = next((name for name in names if name in os.environ), names[0])
    text = os.environ.get(name, "" if default is None else str(default))
    if text.isdecimal():
        return int(text)
    raise SumlError(
        name,
        "not what SLURM sets it to",
        got=repr(text) if text else "nothing",
        expected="a whole number",
        fix="Start it with srun, or unset SLURM's variables in a shell that is none of its tasks.",
    )
