"""The commands that make a run and its tables again, from what the tables remember."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from sumlctl import tables
from sumlctl.errors import SumlError
from sumlctl.mining.mine import MiningSettings
from sumlctl.report.content.subject import Subject


def gather(subject: Subject) -> list[str]:
    """One command per line, in the order in which they run; what cannot be read is left out."""
    lines = [_index(subject, name) for name in subject.datasets]
    try:
        needed = ("fpv", "tpv", "encoder")
        made = _config(subject.pairs[0], "pairs", *needed) if subject.pairs else None
    except SumlError:
        made = None
    if made:
        encoder = made["encoder"]
        options = {"prompt-name": encoder["prompt_name"]} if "prompt_name" in encoder else {}
        lines.append(_line("embed", *subject.datasets, encoder=encoder["name"], **options))
        lines.append(_mining(made))
        lines.append(_line("histogram", fpv=made["fpv"], tpv="+".join(made["tpv"])))
    if subject.run is not None:
        lines += _training(subject, subject.run)
    return lines


def _index(subject: Subject, name: str) -> str:
    """`index`, with the folders where the data are not where the workspace expects them."""
    workspace, options = subject.workspace, {}
    remembered = workspace.remembered(name) or {}
    if "annotations" in remembered:
        options["annotations"] = workspace.relative_or_absolute(remembered["annotations"])
    elif not workspace.data(name, "annotations").is_dir():
        options["annotations"] = "DIR"
    try:
        videos = tables.read(workspace.table(name, "videos"), "videos", ["status"])
    except SumlError:
        return _line("index", name, **options)
    root = tables.metadata(videos, "videos_root")
    usual = workspace.data(name, "videos").resolve()
    there = pl.DataFrame(pl.from_arrow(videos)).get_column("status").is_in(["ok"]).any()
    if there and workspace.videos_root(name, root).resolve() != usual:
        options["videos"] = root
    return _line("index", name, **options)


def _mining(made: dict[str, Any]) -> str:
    pools = [word for name in made["tpv"] for word in ("--tpv", name)]
    changed = {
        key.replace("_", "-"): made[key]
        for key, default in asdict(MiningSettings()).items()
        if made.get(key, default) != default
    }
    line = _line("mine-pairs", "--fpv", made["fpv"], *pools, **changed)
    return f"{line} {shlex.join(['--encoder', made['encoder']['name']])}"


def _training(subject: Subject, run: Path) -> list[str]:
    again = f"{run.name}.again"
    file = shlex.quote(f"pipelines/{run.name}.toml")
    source = shlex.quote(subject.workspace.relative(run / "pipeline.toml"))
    lines = [f"mkdir -p pipelines && cp {source} {file}", _line("train", run.name, run=again)]
    try:
        views = _config(run / "predictions.parquet", "predictions", "views")["views"]
        protocol = _config(run / "metrics.parquet", "metrics", "protocol")["protocol"]
    except SumlError:
        return lines
    lines.append(_line("eval", again, protocol=protocol.replace("_", "-"), views=views))
    return [*lines, _line("report", again)]


def _config(path: Path, kind: str, *needed: str) -> dict[str, Any]:
    return tables.made_with(path, kind, tables.read(path, kind), *needed)


def _line(*words: str, **options: Any) -> str:
    given = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return shlex.join(["sumlctl", *words, *given])
