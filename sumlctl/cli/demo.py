"""`demo`: the pipeline `demo`, the whole path on generated videos."""

from __future__ import annotations

import time
from pathlib import Path

import typer

from sumlctl import console
from sumlctl.cli.common import HERE, DecoderOption, WorkspaceOption
from sumlctl.cli.run import perform

NEXT = (
    "pairs list --sort=-similarity",
    "pairs show demo-fpv/F01_0_0",
    "histogram --by clip",
    "train demo --method fpv-only",
    "run demo --dry-run",
    "lineage figures/similarity.png",
    "doctor",
)


def register(app: typer.Typer) -> None:
    @app.command()
    def demo(decoder: DecoderOption = None, workspace: WorkspaceOption = HERE) -> None:
        """Go the whole way on generated videos."""
        from sumlctl.config import overrides
        from sumlctl.workflow import recipe

        said = overrides({"decoder": decoder})
        start = time.monotonic()
        before = _files(workspace.root)
        perform(app, recipe.read("demo", workspace, said), workspace)
        _say_what_was_made(workspace.root, before, time.monotonic() - start)
        console.show(f"\nall of it on one page: {workspace.run('demo') / 'report.html'}")


def _files(root: Path) -> dict[Path, int]:
    found = (path for path in sorted(root.rglob("*")) if path.is_file())
    seen = (path for path in found if not path.parent.name.startswith("."))
    return {path: path.stat().st_mtime_ns for path in seen}


def _say_what_was_made(root: Path, before: dict[Path, int], spent_s: float) -> None:
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
    for command in NEXT:
        console.show(f"  sumlctl {command} --workspace {root}")
