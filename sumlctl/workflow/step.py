"""One step of a pipeline: a command line, what it reads and what it writes.

The commands and `sumlctl run` describe their work with the same functions (`data_steps`,
`run_steps`), so that work done by hand counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sumlctl.workspace import Workspace


def _nothing() -> dict[Path, str]:
    return {}


@dataclass(frozen=True)
class Step:
    """One piece of work.

    Args:
        kind: such as `embed`.
        about: what tells it from others of its kind, such as a dataset or a run.
        words: the command line that does it, without `sumlctl` and the workspace.
        receipt: where its receipt lies.
        inputs: files and folders that it reads.
        outputs: files that it writes, or folders of them.
        settings: what the outputs depend on besides, by dotted key.
        asked: digest of the settings as a pipeline says them, where that is quicker to tell.
        packages: that do the work.
        as_read: input -> sha256, of those that it digests itself while it reads them.
        beside: more inputs, where they are there; nothing waits for them.
    """

    kind: str
    about: str
    words: tuple[str, ...]
    receipt: Path
    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]
    settings: Callable[[], Mapping[str, Any]]
    asked: str = ""
    packages: tuple[str, ...] = ()
    as_read: Callable[[], Mapping[Path, str]] = _nothing
    beside: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """Such as `embed ek55`."""
        return f"{self.kind} {self.about}"


def options(given: Mapping[str, Any]) -> list[str]:
    """Options as words; a list is an option given several times, True a flag."""
    words = []
    for key, value in given.items():
        option = f"--{key.replace('_', '-')}"
        if value is True:
            words.append(option)
        else:
            for one in value if isinstance(value, list) else [value]:
                words += [option, str(one)]
    return words


def under(workspace: Workspace, named: Mapping[str, str]) -> dict[Path, str]:
    """Inputs as provenance names them, as paths; those elsewhere are known by a bare name only."""
    paths = {workspace.root / name: digest for name, digest in named.items()}
    return {path: digest for path, digest in paths.items() if path.is_file()}
