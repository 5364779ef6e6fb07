"""`sumlctl run`: does the steps of a pipeline that are not up to date, one after another."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sumlctl import console, tables
from sumlctl.errors import Interrupted, SumlError
from sumlctl.workflow import records, trainings
from sumlctl.workflow.plan import Planned
from sumlctl.workflow.recipe import Recipe
from sumlctl.workflow.records import State
from sumlctl.workflow.step import Step
from sumlctl.workflow.step_options import STEPS
from sumlctl.workspace import Workspace

# Does one command line, and tells why.
Command = Callable[[Sequence[str], str], None]


@dataclass(frozen=True)
class Outcome:
    """What became of a step.

    Args:
        step: its name, such as `embed ek55`.
        status: `up to date`, `done`, `failed`, `left out` (before `--from`) or `not reached`.
        reasons: why it was not up to date, or what went wrong.
        seconds: that it took.
    """

    step: str
    status: str
    reasons: tuple[str, ...] = ()
    seconds: float = 0.0


def perform(
    recipe: Recipe,
    workspace: Workspace,
    steps: Sequence[Planned],
    command: Command,
    start: str | None = None,
) -> list[Outcome]:
    """Does what is not up to date, in order. What fails for one cell of a matrix stops that cell.

    Args:
        recipe: the pipeline.
        workspace: where everything lies.
        steps: of the pipeline, in order.
        command: does one command line and tells why; most leave their receipts themselves.
        start: a kind of step; those before it are left as they are, it is done again.

    Raises:
        SumlError: a step of several cells, or of a pipeline without a matrix, failed; or an
            output was edited.
        Interrupted: somebody stopped a training.
    """
    _check(recipe, workspace, steps, start)
    outcomes: dict[str, Outcome] = {}
    for planned in steps:
        name = planned.step.name
        broken = [earlier for earlier in planned.after if outcomes[earlier].status in _BROKEN]
        if broken:
            outcomes[name] = Outcome(name, "not reached", (f"needs {broken[0]}",))
            continue
        try:
            outcomes[name] = _do(recipe, workspace, planned, command, start)
        except Interrupted as stop:
            text = f"{stop}, or with the same `sumlctl run`"
            raise Interrupted(stop.signal_number, text) from stop
        except Exception as error:
            if planned.cell is None or len(recipe.cells) == 1:
                raise
            told = _told(workspace, planned, error)
            outcomes[name] = Outcome(name, "failed", (told,))
            console.warn(f"{name} failed, going on with the next: {told}")
    return [*outcomes.values()]


_BROKEN = ("failed", "not reached")


def failures(recipe: Recipe, outcomes: Sequence[Outcome]) -> SumlError | None:
    """The error that names the cells that failed, if any did."""
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    if not failed:
        return None
    return SumlError(
        recipe.name,
        f"{len(failed)} of {len(recipe.cells)} runs failed",
        got="; ".join(f"{one.step} ({one.reasons[0]})" for one in failed),
        expected="all of them finished",
        fix="Mend it and run the same command again: what is finished stays.",
    )


def _check(
    recipe: Recipe, workspace: Workspace, steps: Sequence[Planned], start: str | None
) -> None:
    """Finds out before the work begins what would end it later."""
    told = (os.environ.get(name) for name in ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS"))
    processes = max(int(n) if n and n.isdecimal() else 1 for n in told)
    if processes > 1:
        raise SumlError(
            "run",
            "started several times over, by torchrun or srun",
            got=f"{processes} processes",
            expected="one, which starts others by itself",
            fix="Start it once and set `devices` in the pipeline.",
        )
    if start is not None and start not in recipe.steps:
        raise SumlError(
            "--from",
            "no such step in the pipeline",
            got=repr(start),
            expected=", ".join(recipe.steps),
            fix="Correct the option or the pipeline's `steps`.",
        )
    made = {path for planned in steps for path in planned.step.outputs}
    for cell in recipe.cells if "train" in recipe.steps else ():
        if cell.init and workspace.weights(cell.init) not in made:
            workspace.find_weights(cell.init)
    if "train" in recipe.steps and any(records.state(workspace, p.step).reasons for p in steps):
        for cell in recipe.cells:
            cell.pipeline  # noqa: B018, its faults


def _do(
    recipe: Recipe, workspace: Workspace, planned: Planned, command: Command, start: str | None
) -> Outcome:
    step, began = planned.step, time.monotonic()
    if start is not None and STEPS.index(step.kind) < STEPS.index(start):
        return Outcome(step.name, "left out")
    again = step.kind == start
    state = records.state(workspace, step)
    if not again:
        _refuse_edited(recipe, step, state)
    if not again and not state.reasons:
        console.show(f"{step.name}: up to date")
        return Outcome(step.name, "up to date")
    reasons = state.reasons or (f"--from {start}",)
    words: Sequence[str] = step.words
    if step.kind == "train" and planned.cell:
        words = trainings.ready(workspace, planned.cell, step, again)
    before = records.read(step.receipt)
    if words:
        command(words, "; ".join(reasons))
        left = records.read(step.receipt)
        if left is None or left == before or not left.finished:
            records.commit(workspace, step)
    for reason in records.state(workspace, step).reasons:
        console.warn(f"{step.name} is not up to date yet: {reason}")
    return Outcome(step.name, "done", reasons, round(time.monotonic() - began, 3))


def _refuse_edited(recipe: Recipe, step: Step, state: State) -> None:
    """Insists that what a step wrote is still as it wrote it.

    Raises:
        SumlError: it is not; nobody but the user knows which of the two is meant.
    """
    if state.edited:
        later = [kind for kind in STEPS[STEPS.index(step.kind) + 1 :] if kind in recipe.steps]
        go_on = f", or go on with it as it is by `--from {later[0]}`" if later else ""
        raise SumlError(
            state.edited[0],
            f"edited since `{step.name}` wrote it",
            got="other content",
            expected="what the step's receipt says",
            fix=f"Make it anew with `--from {step.kind}`{go_on}.",
        )


def _told(workspace: Workspace, planned: Planned, error: Exception) -> str:
    """A fault in one line; one that nobody expected leaves its traceback in the run's folder."""
    if isinstance(error, SumlError):
        return str(error)
    told = f"{type(error).__name__}: {error}".splitlines()[0]
    if planned.cell and (folder := workspace.run(planned.cell.run)).is_dir():
        with tables.whole_file(folder / "failed.txt") as beside:
            beside.write_text(traceback.format_exc(), encoding="utf-8")
        told += f" ({workspace.relative(folder / 'failed.txt')} has the traceback)"
    return told
