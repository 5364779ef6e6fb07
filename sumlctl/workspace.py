"""The only place that knows where files live."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sumlctl.errors import SumlError, unknown_name
from sumlctl.tables import provenance

_RAW = ("annotations", "videos")  # kinds of folders of a dataset's raw data


@dataclass(frozen=True)
class Workspace:
    """The folder that holds a user's manifests, runs and, unless told otherwise, data."""

    root: Path

    def __init__(self, root: str | Path = ".") -> None:
        object.__setattr__(self, "root", Path(root).expanduser())

    @property
    def manifests(self) -> Path:
        return self.root / "manifests"

    @property
    def locks(self) -> Path:
        return self.root / ".locks"

    def units(self, work: str) -> Path:
        """Receipts of the units of a work that is under way, such as `index ek55`."""
        return self.root / ".units" / quote(work, safe="")

    @property
    def pipelines(self) -> Path:
        return self.root / "pipelines"

    def table(self, dataset: str, name: str) -> Path:
        """`manifests/<dataset>/<name>.parquet`, such as `clips` or `narrations.<encoder>`."""
        return self.manifests / _one(dataset) / f"{_one(name)}.parquet"

    def narrations(self, dataset: str, encoder: str) -> Path:
        return self.table(dataset, f"narrations.{encoder}")

    def encoders(self, dataset: str) -> list[str]:
        """Names of the encoders whose narrations tables exist for `dataset`."""
        found = (self.manifests / dataset).glob("narrations.*.parquet")
        return sorted(f.name.removeprefix("narrations.").removesuffix(".parquet") for f in found)

    def indexed(self) -> list[str]:
        """Datasets with a clips table, in alphabetical order."""
        return sorted(f.parent.name for f in self.manifests.glob("*/clips.parquet"))

    def pairs(self, fpv: str, tpv: list[str]) -> Path:
        return self.manifests / "pairs" / f"{_one(fpv)}--{_one('+'.join(tpv))}.parquet"

    def all_pairs(self) -> list[Path]:
        return sorted((self.manifests / "pairs").glob("*--*.parquet"))

    def data(self, dataset: str, kind: str) -> Path:
        """Raw `annotations` or `videos` of a dataset; `SUMLCTL_DATA` moves all of them."""
        base = os.environ.get("SUMLCTL_DATA")
        return (Path(base).expanduser() if base else self.root / "data") / _one(dataset) / kind

    def remembered(self, dataset: str) -> dict[str, Path] | None:
        """Folders of `annotations` and `videos` that `index` was given in place of the usual ones.

        Returns:
            Kind -> folder; None where no table says it: it is not there, or of an earlier version.
        """
        table = self.table(dataset, "clips")
        told = provenance.of_table(table).folders if table.is_file() else None
        if told is None:
            return None
        return {kind: self.root / told[kind] for kind in _RAW if kind in told}

    def unusual(self, dataset: str, folders: Mapping[str, Path | None]) -> dict[str, Path]:
        """Those of the folders, by kind, that are not where `data` has them; None is left out."""
        return {
            kind: folder
            for kind, folder in folders.items()
            if folder is not None and folder.resolve() != self.data(dataset, kind).resolve()
        }

    def videos_root(self, dataset: str, told: str | None) -> Path:
        """Where a dataset's videos were when it was indexed, as its tables' metadata tells."""
        return self.root / (told or self.data(dataset, "videos").absolute())

    def store(self, dataset: str) -> Path:
        """Folder of a dataset's videos as `sumlctl decode` keeps them for training."""
        return self.root / "store" / _one(dataset)

    def segments(self, dataset: str) -> Path:
        """The table of what a dataset's store holds."""
        return self.store(dataset) / "segments.parquet"

    def weights(self, name: str) -> Path:
        """A file of pretrained weights.

        Args:
            name: a path, in the workspace or where one is, or the name of a file in `data/weights`.
        """
        given = Path(name).expanduser()
        usual = self.root / given if len(given.parts) > 1 else self.data("weights", name)
        return given if given.is_file() and not usual.is_file() else usual

    def find_weights(self, name: str) -> Path:
        """The same, where there is one.

        Raises:
            SumlError: there is none.
        """
        path = self.weights(name)
        if not path.is_file():
            raise SumlError(
                "encoders.init",
                "weights file is missing",
                got=repr(name),
                expected=f"the file {path}",
                fix="Put it there, name another with `--set encoders.init=FILE`, "
                "or none to start from random weights.",
            )
        return path

    def receipt(self, step: str, about: str) -> Path:
        """The receipt of a step that belongs to no run; those of a run lie in its folder."""
        return self.manifests / "receipts" / f"{step}.{_one(about.replace('/', '%2F'))}.json"

    def receipts(self) -> list[Path]:
        """All receipts."""
        shared, own = self.receipt("*", "*"), self.run("*") / "receipts" / "*.json"
        patterns = (path.relative_to(self.root).as_posix() for path in (shared, own))
        return sorted(path for pattern in patterns for path in self.root.glob(pattern))

    def run(self, name: str) -> Path:
        return self.root / "runs" / _one(name)

    def checkpoint(self, name: str) -> Path:
        """The weights that a run ends with."""
        return self.run(name) / "checkpoints" / "stage_two.pt"

    def runs(self) -> list[Path]:
        """Run folders, the one that was begun last at the end.

        Runs are numbered as they begin, so that a clock that was set back does not matter; those
        without a number come first, by the time of their pipeline.
        """
        found = (self.root / "runs").glob("*/pipeline.toml")
        order = {
            f.parent: (provenance.number(f.parent), f.stat().st_mtime_ns, f)
            for f in found
            if not f.parent.name.startswith(".")  # not whole yet
        }
        return sorted(order, key=order.__getitem__)

    def find_run(self, name: str, where: str = "RUN") -> Path:
        """The folder of a run.

        Raises:
            SumlError: no such run.
        """
        runs = {folder.name: folder for folder in self.runs()}
        if name not in runs:
            raise unknown_name(where, "run", name, runs)
        return runs[name]

    def relative(self, path: Path) -> str:
        """`path` as the workspace names it, so that provenance does not depend on the machine."""
        try:
            return resolved(path).relative_to(resolved(self.root)).as_posix()
        except ValueError:
            return path.name

    def relative_or_absolute(self, path: Path) -> str:
        """`path` relative to the workspace when it lies in it, else absolute."""
        target, root = resolved(path), resolved(self.root)
        if target.is_relative_to(root):
            return target.relative_to(root).as_posix()
        return target.as_posix()


def resolved(path: Path) -> Path:
    """Return the absolute path without links.

    Raises:
        SumlError: its links lead in a circle. `Path.resolve` raises for those up to Python 3.12.
    """
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise SumlError(
                path,
                "links lead in a circle",
                got="a link that leads back to itself",
                expected="a file or folder",
                fix="Correct the link.",
            ) from error
    return path.resolve()


def _one(name: str) -> str:
    """A name that is to be that of one file or folder.

    Raises:
        SumlError: it would lead elsewhere.
    """
    if "/" in name or "\0" in name or name in {".", ".."}:
        raise SumlError(
            "names",
            "a name would lead to another folder",
            got=repr(name),
            expected="the name of a dataset, an encoder or a run, without slashes",
            fix="Correct it in the command or in the pipeline.",
        )
    return name


def all_inside(root: Path, relatives: Iterable[str], where: object) -> None:
    """Insists on the same for very many paths.

    Raises:
        SumlError: one escapes.
    """
    base = os.path.realpath(root)
    for relative in relatives:
        escapes = "\0" in relative or relative.startswith("/")
        if escapes or not os.path.realpath(f"{base}/{relative}").startswith(f"{base}/"):
            inside(root, relative, where)


def inside(root: Path, relative: str, where: object) -> Path:
    """`root / relative`, refused when it would leave `root` (`../`, absolute, symlink).

    Raises:
        SumlError: the path escapes.
    """
    path = root / relative
    try:
        stays = "\0" not in relative and resolved(path).is_relative_to(resolved(root))
    except (OSError, SumlError):  # links in a circle
        stays = False
    if not stays:
        raise SumlError(
            where,
            "path leaves its folder",
            got=repr(relative),
            expected=f"a path inside {root}",
            fix="Correct the annotation or the card.",
        )
    return path
