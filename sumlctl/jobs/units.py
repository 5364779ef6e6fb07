"""Units of work: each is done once, whoever does it, and leaves a receipt when it is done."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from sumlctl.config import documents
from sumlctl.errors import InstallationError, SumlError, WriteError
from sumlctl.jobs.executors import Executor, Limits
from sumlctl.jobs.worker import Failure
from sumlctl.tables import whole_file


class Unit(NamedTuple):
    """A piece of work that is done as a whole or not at all.

    Args:
        name: of its receipt, unique in its folder; letters, digits and `-_.%`.
        item: what the function gets: paths and numbers, never frames or vectors.
        stands_on: digest of the settings and of the inputs that the result follows from.
        files: that the function writes, each whole or not at all.
    """

    name: str
    item: Any
    stands_on: str
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Done:
    """A unit that is done.

    Args:
        unit: the unit.
        result: what the function returned, as JSON has it.
        earlier: whether an earlier command did it.
    """

    unit: Unit
    result: Any
    earlier: bool


@dataclass(frozen=True)
class Failed:
    """A unit that could not be done.

    Args:
        unit: the unit.
        failure: the last one.
        reasons: of every attempt, first to last.
    """

    unit: Unit
    failure: Failure
    reasons: tuple[str, ...]

    def as_error(self, where: str, verb: str) -> SumlError:
        """The fault, for work that cannot be done without this unit, which could not be `verb`."""
        return self.failure.error or SumlError(
            where,
            f"block {self.unit.name} could not be {verb}",
            got="; then ".join(self.reasons),
            expected="an answer",
            fix="Run the command again: the blocks that are done are kept.",
        )


class _Call(NamedTuple):
    """A unit as it travels to whoever does it."""

    unit: Unit
    receipt: Path


def fingerprint(*facts: Any) -> str:
    """Digest of settings and inputs; equal for equal values, and for tuples and lists alike."""
    told = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()


class Work:
    """The units of one command: those that earlier commands finished are not done again.

    Args:
        folder: of their receipts, which all executors can reach.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()  # others have another working folder

    def do(
        self,
        function: Callable[[Any], Any],
        units: Sequence[Unit],
        executor: Executor,
        limits: Limits,
        *,
        only_failed: bool = False,
    ) -> Iterator[Done | Failed]:
        """Yields each unit once, finished ones first, the others in order of completion.

        Args:
            function: of a unit's item, importable by name; its result goes through JSON. It
                depends on the item alone, and on what `stands_on` tells.
            units: the units; their names differ.
            executor: who does them.
            limits: of one unit.
            only_failed: whether to leave out what no earlier command has failed at.

        Raises:
            WriteError: the file system refused a result, and will refuse the next.
            InstallationError: a unit found the installation at fault; the others would as well.
        """
        todo = []
        for unit in units:
            receipt = self._receipt(unit)
            if receipt is not None:
                yield Done(unit, receipt["result"], earlier=True)
            elif not only_failed or self._reasons(unit):
                todo.append(unit)
        yield from self._fresh(function, todo, executor, limits)

    def forget(self, units: Iterable[Unit] | None = None) -> None:
        """Removes the receipts of units whose results are kept elsewhere by now; None for all."""
        if units is None:
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        for unit in units:
            self._path(unit).unlink(missing_ok=True)
            self._failure(unit).unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _fresh(
        self,
        function: Callable[[Any], Any],
        todo: Sequence[Unit],
        executor: Executor,
        limits: Limits,
    ) -> Iterator[Done | Failed]:
        attempts: Counter[Unit] = Counter()
        while todo:
            lost = []
            calls = [_Call(unit, self._path(unit)) for unit in todo]
            for call, answer in executor.run(partial(_perform, function), calls, limits):
                unit = call.unit
                if isinstance(answer, WriteError):
                    raise answer
                if isinstance(answer, Failure) and isinstance(answer.error, InstallationError):
                    raise answer.error
                if not isinstance(answer, Failure):
                    self._failure(unit).unlink(missing_ok=True)
                    yield Done(unit, answer, earlier=False)
                    continue
                attempts[unit] += 1
                reasons = self._keep_reason(unit, answer)
                # One that was stuck once may have waited for a disk, and is not to be blamed.
                if answer.lost and attempts[unit] < limits.attempts + answer.stuck:
                    lost.append(unit)
                else:
                    yield Failed(unit, answer, reasons)
            todo = lost

    def _receipt(self, unit: Unit) -> dict[str, Any] | None:
        """The receipt of a unit that is done as it would be done now; None for any other."""
        told = _json(self._path(unit))
        if not isinstance(told, dict) or told.get("stands_on") != unit.stands_on:
            return None
        there = {path.name: _size(path) for path in unit.files}
        return told if "result" in told and told.get("files") == there else None

    def _keep_reason(self, unit: Unit, failure: Failure) -> tuple[str, ...]:
        reasons = (*self._reasons(unit), failure.reason)
        with whole_file(self._failure(unit)) as beside:
            told = {"unit": unit.name, "stands_on": unit.stands_on, "reasons": reasons}
            beside.write_text(json.dumps(told), encoding="utf-8")
        return reasons

    def _reasons(self, unit: Unit) -> tuple[str, ...]:
        told = _json(self._failure(unit))
        same = isinstance(told, dict) and told.get("stands_on") == unit.stands_on
        reasons = told.get("reasons") if same else None
        return tuple(map(str, reasons)) if isinstance(reasons, list) else ()

    def _path(self, unit: Unit) -> Path:
        return self.folder / f"{unit.name}.json"

    def _failure(self, unit: Unit) -> Path:
        return self.folder / f"{unit.name}.failed.json"


def _perform(function: Callable[[Any], Any], call: _Call) -> Any:
    """Does a unit and leaves its receipt: what `do` has done elsewhere."""
    unit = call.unit
    try:
        result = json.loads(json.dumps(function(unit.item)))
        files = {path.name: _size(path) for path in unit.files}
        told = {"unit": unit.name, "stands_on": unit.stands_on, "files": files, "result": result}
        with whole_file(call.receipt) as beside:
            beside.write_text(json.dumps(told), encoding="utf-8")
    except WriteError as error:
        return error  # nobody's fault but the disk's: it ends the whole work
    return result


def _json(path: Path) -> Any:
    """What a file says; None for one that is absent or damaged."""
    try:
        return documents.from_json(path.read_bytes())
    except (OSError, ValueError):
        return None


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
