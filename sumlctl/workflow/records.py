"""What a finished step leaves behind: a receipt that tells whether its work still holds.

A receipt names the settings, inputs and outputs of one piece of work, with their digests. Files
are read again only where their size or time is another; folders, such as one of videos, are
compared by the names, sizes and times in them. The code counts by the version of sumlctl.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sumlctl import __version__, tables
from sumlctl.config import documents, parsing
from sumlctl.errors import SumlError
from sumlctl.workflow.file_stamps import FileStamp, file_stamp, files_of
from sumlctl.workflow.step import Step
from sumlctl.workspace import Workspace

_FORMAT = "sumlctl.receipt/1"
# Settings that the program fills in: with these values, whatever was filled in will do.
_FILLED_IN = {"precision": "auto"}


@dataclass(frozen=True)
class ProvenanceRecord:
    """A finished step.

    Args:
        step: its kind.
        about: what tells it from others of its kind.
        command: the command line that does it.
        settings: what its outputs depend on besides the inputs, by dotted key.
        asked: digest of the same as a pipeline says them; empty for none.
        inputs: path in the workspace -> stamp.
        outputs: path in the workspace -> stamp.
        version: of sumlctl.
        packages: name -> version of the packages that did the work, and of Python.
        finished: when, in UTC; empty where it was begun and not finished.
    """

    step: str
    about: str
    command: list[str]
    settings: dict[str, Any]
    asked: str
    inputs: dict[str, FileStamp]
    outputs: dict[str, FileStamp]
    version: str = __version__
    packages: dict[str, str] = field(default_factory=dict)
    finished: str = ""


@dataclass(frozen=True)
class State:
    """How a step stands.

    Args:
        reasons: why it has to be done, such as `input manifests/ek55/clips.parquet changed`; none
            when it is up to date.
        edited: outputs that are not as the step left them.
    """

    reasons: tuple[str, ...]
    edited: tuple[str, ...] = ()


def commit(workspace: Workspace, step: Step) -> None:
    """Writes the receipt of a step that has just been done.

    Inputs that the step itself has digested while it read them count as it read them, even if
    they are others by now.
    """
    as_read = step.as_read()
    inputs = {}
    for path in dict.fromkeys([*step.inputs, *step.beside, *as_read]):
        now = file_stamp(path)
        same = as_read.get(path, now.sha256) == now.sha256
        inputs[workspace.relative_or_absolute(path)] = now if same else FileStamp(as_read[path])
    files = [f for path in step.outputs for f in (files_of(path) if path.is_dir() else [path])]
    receipt = ProvenanceRecord(
        step.kind,
        step.about,
        list(step.words),
        dict(step.settings()),
        step.asked,
        inputs,
        {workspace.relative_or_absolute(f): file_stamp(f) for f in files if f.is_file()},
        packages=_versions(step.packages),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    _write(step.receipt, receipt)


@contextmanager
def in_progress(workspace: Workspace, step: Step) -> Iterator[None]:
    """While a step is done, until `leave`: its receipt says that it is not finished.

    So what a killed command has half done is done again, and is not taken for somebody's edits.
    A command that fails before it has changed an output leaves the earlier receipt as it was.
    """
    before = read(step.receipt)
    told = dict(step.settings())
    _write(
        step.receipt,
        ProvenanceRecord(step.kind, step.about, list(step.words), told, step.asked, {}, {}),
    )
    try:
        yield
    except BaseException:
        with suppress(SumlError):  # the fault that ended the step is the one to tell
            if before and other_outputs(workspace, before) == ([], []):
                _write(step.receipt, before)
            elif before is None and not any(path.exists() for path in step.outputs):
                step.receipt.unlink(missing_ok=True)
        raise


def _write(path: Path, receipt: ProvenanceRecord) -> None:
    with tables.whole_file(path) as beside:
        text = json.dumps({"format": _FORMAT, **asdict(receipt)}, indent=1, ensure_ascii=False)
        beside.write_text(text, encoding="utf-8")


def _versions(packages: Iterable[str]) -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def read(path: Path) -> ProvenanceRecord | None:
    """A receipt; None where there is none that can be read, which costs a step and no result.

    A run whose folder has another name by now, such as `tiny.old`, has its files there.
    """
    try:
        raw = documents.from_json(path.read_text(encoding="utf-8"))
        if raw.pop("format") != _FORMAT:
            return None
        moved = _moved(path, raw["about"])
        for key in ("inputs", "outputs"):
            raw[key] = {moved(name): FileStamp(**values) for name, values in raw[key].items()}
        receipt = ProvenanceRecord(**raw)
        return receipt if _is_sound(receipt) else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _moved(path: Path, about: str) -> Callable[[str], str]:
    """What files of a run are called now, given what its receipt calls them."""
    folder = path.parent.parent
    if folder.parent.name != "runs":
        return str
    before, now = f"runs/{about}/", f"runs/{folder.name}/"
    return lambda name: now + name.removeprefix(before) if name.startswith(before) else name


def _is_sound(receipt: ProvenanceRecord) -> bool:
    """Whether every field is of its type."""
    texts = [receipt.step, receipt.about, receipt.asked, receipt.version, receipt.finished]
    marks = [*receipt.inputs.values(), *receipt.outputs.values()]
    return (
        isinstance(receipt.command, list)
        and isinstance(receipt.settings, dict)
        and isinstance(receipt.packages, dict)
        and all(isinstance(t, str) for t in (*texts, *receipt.command, *receipt.packages.values()))
        and all(isinstance(m.sha256, str) for m in marks)
        and all(type(n) is int for m in marks for n in (m.size, m.mtime_ns))
    )


def state(workspace: Workspace, step: Step) -> State:
    """Whether a step's work still holds, and if not, which field or file is why."""
    receipt = read(step.receipt)
    if receipt is None:
        return State(("not done yet",))
    if not receipt.finished:
        return State(("it was begun and not finished",))
    reasons = other_version(receipt)
    if not step.asked or receipt.asked != step.asked:
        changed = differences(receipt.settings, step.settings())
        if step.asked and not changed:  # the same in other words; next time they are known
            receipt = replace(receipt, asked=step.asked, command=list(step.words))
            _write(step.receipt, receipt)
        reasons += changed
    gone, edited = other_outputs(workspace, receipt)
    reasons += other_inputs(workspace, receipt) + _more_inputs(workspace, step, receipt)
    reasons += [f"{name} is gone" for name in gone]
    return State(tuple(reasons), tuple(edited))


def other_version(receipt: ProvenanceRecord) -> list[str]:
    """Whether another version of the code did it, as a reason to do it again."""
    same = receipt.version == __version__
    return [] if same else [f"sumlctl {__version__}, was {receipt.version}"]


def differences(before: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Which settings are not as they were; what the program fills in may be anything."""
    filled_in = {k: before[k] for k, v in _FILLED_IN.items() if wanted.get(k) == v and k in before}
    return [f"setting {text}" for text in parsing.changes(before, {**wanted, **filled_in})]


def other_inputs(workspace: Workspace, receipt: ProvenanceRecord) -> list[str]:
    """Which inputs are not as they were."""
    told = []
    for name, known in receipt.inputs.items():
        now = file_stamp(workspace.root / name, known)
        if now.sha256 != known.sha256:
            told.append(f"input {name} {_happened(known, now)}")
    return told


def _more_inputs(workspace: Workspace, step: Step, receipt: ProvenanceRecord) -> list[str]:
    """Inputs that the step has now and its receipt does not know."""
    named = {workspace.relative_or_absolute(path): path for path in (*step.inputs, *step.beside)}
    new = (name for name, path in named.items() if name not in receipt.inputs and path.exists())
    return [f"input {name} is new" for name in new]


def _happened(before: FileStamp, now: FileStamp) -> str:
    if not now.sha256:
        return "is gone"
    return "changed" if before.sha256 else "is new"


def other_outputs(workspace: Workspace, receipt: ProvenanceRecord) -> tuple[list[str], list[str]]:
    """Outputs that are gone, and outputs that are not as they were."""
    gone: list[str] = []
    edited: list[str] = []
    for name, known in receipt.outputs.items():
        now = file_stamp(workspace.root / name, known)
        if now.sha256 != known.sha256:
            (edited if now.sha256 else gone).append(name)
    return gone, edited
