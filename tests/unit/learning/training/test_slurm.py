"""SLURM's variables, as batch scripts, shells and steps have them, tell who started a process."""

from __future__ import annotations

import os

import pytest

from sumlctl.config import Pipeline
from sumlctl.errors import SumlError
from sumlctl.learning.training import launch
from sumlctl.learning.training.slurm import SrunStep, under_srun
from tests.unit.learning import small_world

JOB = {"SLURM_JOB_ID": "4711", "SLURM_NNODES": "2", "SLURM_NTASKS": "4"}
# What each shell has that is none of several processes (srun(1), sbatch(1), salloc(1)).
SHELLS = {
    "ntasks without ntasks-per-node": JOB,
    "a batch script": JOB
    | {"ENVIRONMENT": "BATCH", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"},
    "salloc": JOB | {"SLURM_JOB_NAME": "interactive", "SLURM_NTASKS_PER_NODE": "2"},
    "salloc zsh": {"SLURM_JOB_NAME": "zsh", "SLURM_NTASKS": "1", "SLURM_JOB_ID": "4711"},
    "salloc bash": JOB | {"SLURM_JOB_NAME": "bash"},
    "srun --pty zsh": JOB
    | {"SLURM_JOB_NAME": "zsh", "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"},
    "uneven": {"SLURM_NTASKS": "3", "SLURM_NNODES": "2", "SLURM_JOB_NAME": "sh"},
    "no number": {"SLURM_NTASKS": "many", "SLURM_NTASKS_PER_NODE": "2(x2)"},
    "an odd job": {"SLURM_NTASKS": "1", "SLURM_JOB_ID": "12_a", "SLURM_JOB_NAME": "fish"},
}
STEP = JOB | {
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_NODELIST": "n[7-8]",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
}


@pytest.fixture
def given(monkeypatch):
    """Sets SLURM's variables to those given, and no others."""

    def put(variables):
        for name in [n for n in os.environ if n.startswith(("SLURM_", "MASTER_"))]:
            monkeypatch.delenv(name)
        for name in ("MASTER_ADDR", "MASTER_PORT"):  # put back what the environment sets
            monkeypatch.setenv(name, "")
            monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return put


@pytest.mark.parametrize("shell", SHELLS)
def test_train_in_a_shell_of_a_job_is_one_process(workspace, sumlctl, given, shell):
    small_world.build(workspace)
    given(SHELLS[shell])
    assert not under_srun()
    assert launch.with_launcher_world(Pipeline(devices=1)) == Pipeline(devices=1)
    planned = sumlctl("train", "small", "--dry-run", "--json")
    assert planned.code == 0, planned.err
    fabric = launch.launch(1, "32-true")
    assert (fabric.world_size, fabric.global_rank) == (1, 0)


@pytest.mark.parametrize("name", ["bash", "interactive", "zsh", "sum-l"])
@pytest.mark.parametrize("per_node", [{}, {"SLURM_NTASKS_PER_NODE": "2"}])
def test_a_step_of_several_tasks_is_one_training(given, name, per_node):
    """Whatever the job is named: each task that trained alone would claim the same run."""
    given(STEP | per_node | {"SLURM_JOB_NAME": name})
    assert launch.started_externally()
    started = launch.with_launcher_world(Pipeline())
    assert (started.devices, started.nodes) == (2, 2)
    step = launch._cluster(several=True)
    ranks = (step.world_size(), step.global_rank(), step.local_rank(), step.node_rank())
    assert ranks == (4, 3, 1, 1)
    assert (step.main_address, step.main_port) == ("n7", 15000 + 4711)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"SLURM_STEP_NUM_NODES": "3"}, "srun: tasks cannot be shared evenly .*4 tasks on 3 nodes"),
        ({"SLURM_STEP_NUM_TASKS": "many"}, "SLURM_STEP_NUM_TASKS: .*got 'many'; .* whole number"),
    ],
)
def test_a_step_that_cannot_be_is_refused(given, change, says):
    given(STEP | change)
    with pytest.raises(SumlError, match=says):
        launch.with_launcher_world(Pipeline())


def test_a_step_without_a_rank_is_refused(given):
    given({key: value for key, value in STEP.items() if key != "SLURM_PROCID"})
    with pytest.raises(SumlError, match="SLURM_PROCID: not what SLURM sets it to, got nothing"):
        SrunStep().global_rank()
