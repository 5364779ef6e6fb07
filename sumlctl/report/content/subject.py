"""What a page is about: a run, its datasets and pairs, and the runs beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sumlctl import config, console, tables
from sumlctl.config import Pipeline
from sumlctl.errors import SumlError
from sumlctl.workspace import Workspace

_MOST_OTHERS = 4  # runs that are compared with unless they are asked for


@dataclass(frozen=True)
class Subject:
    """What a page is about.

    Args:
        workspace: where everything is.
        run: the run's folder; None for data and pairs alone.
        pipeline: the run's settings.
        datasets: names of the datasets, the first-person one first.
        pairs: pairs tables, the one that the run learned from (else the newest) first.
        others: folders of evaluated runs to compare with.
    """

    workspace: Workspace
    run: Path | None
    pipeline: Pipeline | None
    datasets: list[str]
    pairs: list[Path]
    others: list[Path]

    @property
    def page(self) -> Path:
        """Where the page goes unless told otherwise."""
        return (self.run or self.workspace.root) / "report.html"

    def first_pairs(self) -> Path:
        """The pairs table that the page is about.

        Raises:
            SumlError: there is none.
        """
        if not self.pairs:
            raise SumlError(
                "pairs",
                "no pairs yet",
                got="none",
                expected="a pairs table",
                fix="Make one with `sumlctl mine-pairs --fpv NAME --tpv NAME`.",
            )
        return self.pairs[0]

    def outcome(self) -> Path:
        """The file that everything else went into.

        Raises:
            SumlError: there is neither a trained run nor a pairs table.
        """
        made = []
        if self.run:
            made = [self.run / "metrics.parquet", self.run / "predictions.parquet"]
            made.append(self.workspace.checkpoint(self.run.name))
        return next((path for path in made if path.is_file()), None) or self.first_pairs()


def find(workspace: Workspace, run: str | None = None, against: Sequence[str] = ()) -> Subject:
    """Finds out what there is to tell.

    Args:
        workspace: where the runs and tables are.
        run: name of the run; default the newest, and without any run data and pairs alone.
        against: runs to compare with; default those evaluated on the same split, the newest four.

    Raises:
        SumlError: no such run, or there is neither a run nor a dataset.
    """
    runs = workspace.runs()
    if run is None and not runs:
        if against:
            workspace.find_run(against[0], "--against")
        console.note("no run yet: data and pairs alone")
        return _without_run(workspace)
    folder = workspace.find_run(run) if run else runs[-1]
    if run is None:
        console.note(f"run: {workspace.relative(folder)}, the newest of {len(runs)}")
    pipeline = config.load(folder / "pipeline.toml")
    data = pipeline.data
    own = workspace.pairs(data.fpv, data.tpv)
    alike = [path for path in workspace.all_pairs() if path.stem.startswith(f"{data.fpv}--")]
    pairs = sorted(alike, key=lambda path: (path != own, path.stem.count("+"), path))
    others = (
        [workspace.find_run(name, "--against") for name in dict.fromkeys(against)]
        if against
        else _evaluated(folder, pipeline, runs)
    )
    return Subject(workspace, folder, pipeline, [data.fpv, *data.tpv], pairs, others)


def _without_run(workspace: Workspace) -> Subject:
    indexed = workspace.indexed()
    if not indexed:
        raise SumlError(
            workspace.root,
            "nothing to report",
            got="neither a run nor an indexed dataset",
            expected="at least one dataset",
            fix="Start with `sumlctl index DATASET`, or see it all with `sumlctl demo`.",
        )
    newest = sorted(workspace.all_pairs(), key=lambda path: -path.stat().st_mtime_ns)
    if not newest:
        return Subject(workspace, None, None, indexed, [], [])
    table = tables.read(newest[0], "pairs", ["rank"])
    made = tables.made_with(newest[0], "pairs", table, "fpv", "tpv")
    alike = [path for path in newest if path.stem.startswith(f"{made['fpv']}--")]
    return Subject(workspace, None, None, [made["fpv"], *made["tpv"]], alike, [])


def _evaluated(folder: Path, pipeline: Pipeline, runs: Sequence[Path]) -> list[Path]:
    """The newest other runs that have predicted the same split."""
    found = []
    for other in reversed(runs):
        if other == folder or not (other / "predictions.parquet").is_file():
            continue
        try:
            data = config.load(other / "pipeline.toml").data
        except SumlError as error:
            console.warn(f"not compared with {other.name}: {error}")
            continue
        if (data.fpv, data.eval_split) == (pipeline.data.fpv, pipeline.data.eval_split):
            found.append(other)
    return found[:_MOST_OTHERS]
