"""`demo`: the pipeline `demo`, the whole path on generated videos."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

import typer

from sumlctl import console
from sumlctl.cli.common import CURRENT_FOLDER, DecoderOption, WorkspaceOption
from sumlctl.cli.run import perform
from sumlctl.workspace import Workspace

NEXT = (
    "pairs list --sort=-similarity",
    "pairs show {clip}",
    "histogram --by clip",
    "train demo --method fpv-only",
    "run demo --dry-run",
    "lineage figures/similarity.png",
    "doctor",
)


def register(app: typer.Typer) -> None:
    @app.command()
    def demo(decoder: DecoderOption = None, workspace: WorkspaceOption = CURRENT_FOLDER) -> None:
        """Go the whole way on generated videos."""
        from sumlctl.config import overrides
        from sumlctl.workflow import recipe

        said = overrides({"decoder": decoder})
        start = time.monotonic()
        before = _files(workspace.root)
        perform(app, recipe.read("demo", workspace, said), workspace)
        _say_what_was_made(workspace, before, time.monotonic() - start)
        console.show(f"\nall of it on one page: {workspace.run('demo') / 'report.html'}")


def _files(root: Path) -> dict[Path, int]:
    found = (path for path in sorted(root.rglob("*")) if path.is_file())
    seen = (path for path in found if not path.parent.name.startswith("."))
    return {path: path.stat().st_mtime_ns for path in seen}


def _say_what_was_made(workspace: Workspace, before: dict[Path, int], spent_s: float) -> None:
    root = workspace.root
    after = _files(root)
    folders: dict[Path, list[Path]] = {}
    for path in after:
        folders.setdefault(path.parent, []).append(path)
    rows = []
    for folder, paths in folders.items():
        videos = [p for p in paths if p.suffix == ".mp4"]
        named = [p.name for p in paths if p.suffix != ".mp4"]
        named += [f"{len(videos)} videos"] if videos else []
        new = sum(before.get(p) != after[p] for p in paths)
        size = sum(p.stat().st_size for p in paths) / 1e6
        rows.append([folder.relative_to(root).as_posix(), ", ".join(named), new, size])
    title = f"\nfiles under {root} after {spent_s:.0f} s"
    console.show_table(title, ("folder", "files", "new", "MB"), rows)
    console.show("\nwhat to look at next")
    for command in next_commands(workspace):
        console.show(f"  {command}")


def next_commands(workspace: Workspace) -> list[str]:
    """Command lines that work once the demo is done, ready for a shell."""
    from sumlctl import tables

    pairs = tables.read(workspace.pairs("demo-fpv", ["demo-tpv"]), "pairs", ["fpv_clip_id"])
    clip = pairs.column("fpv_clip_id")[0].as_py()
    where = shlex.join(["--workspace", str(workspace.root)])
    return [f"sumlctl {command.format(clip=clip)} {where}" for command in NEXT]
