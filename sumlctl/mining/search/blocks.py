"""Exact search in blocks of queries and shards of the base, each pair of them a unit of work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sumlctl.console import progress
from sumlctl.jobs.executors import Executor, Limits
from sumlctl.jobs.units import Failed, Unit, Work, fingerprint
from sumlctl.mining.search.exact import DECIMALS, Certified, Scores, Whole, flat, prove
from sumlctl.tables import whole_file

SHARD_BYTES = 2**32  # of vectors; so much of a GPU's memory as well
BLOCK_ROWS = 2**14  # queries
_MOST_BLOCKS = 2**10  # more queries make larger blocks
_FLOAT = 4  # bytes
# A unit ends by itself; only a machine that hangs takes a day for one.
_LIMITS = Limits(deadline_s=86_400.0, on_device=True)


@dataclass(frozen=True)
class Vectors:
    """Rows of a file of unit vectors, float32: what travels in place of the vectors.

    Args:
        path: a .npy file.
        start: first row.
        stop: the row after the last.
        dimension: of a vector.
    """

    path: str
    start: int
    stop: int
    dimension: int

    @classmethod
    def of(cls, path: Path) -> Vectors:
        """All rows of a file."""
        rows, dimension = np.load(path, mmap_mode="r", allow_pickle=False).shape
        return cls(str(path), 0, rows, dimension)

    @classmethod
    def save(cls, path: Path, vectors: np.ndarray) -> Vectors:
        """Keeps vectors in a file."""
        save(path, vectors=np.ascontiguousarray(vectors, np.float32))
        return cls.of(path)

    def __len__(self) -> int:
        return self.stop - self.start

    def load(self) -> np.ndarray:
        """The vectors [n, d]; the system reads them from the file as they are needed."""
        return np.load(self.path, mmap_mode="r", allow_pickle=False)[self.start : self.stop].view(
            np.ndarray
        )

    def cut(self, rows: int) -> list[Vectors]:
        """Pieces of at most so many rows."""
        starts = range(self.start, self.stop, rows)
        return [replace(self, start=i, stop=min(i + rows, self.stop)) for i in starts]


def save(path: Path, **arrays: np.ndarray) -> None:
    """Keeps arrays in a file, whole or not at all: one as .npy, several as .npz."""
    with whole_file(path) as beside, beside.open("wb") as file:
        if path.suffix == ".npy":
            (array,) = arrays.values()
            np.save(file, array)
        else:
            np.savez(file, **arrays)  # type: ignore[arg-type]


def read(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a .npz file."""
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def block_rows(rows: int, least: int = BLOCK_ROWS) -> int:
    """Rows of a block where there are so many in all."""
    return max(least, -(-rows // _MOST_BLOCKS))


def shard_rows(dimension: int, size: int = SHARD_BYTES) -> int:
    """Rows of a shard of so many bytes."""
    return max(1, size // (_FLOAT * dimension))


@dataclass(frozen=True)
class Blocks:
    """How a search is cut, and who does its units.

    Args:
        folder: of the units' receipts and results, which all executors can reach.
        executor: who does them.
        device: `auto` (a GPU if there is one), `cpu` or `cuda`.
        facts: what the vectors follow from, such as the digests of their tables.
        shard_bytes: of the vectors of a shard.
        block_rows: queries of a block, or more where there would be too many blocks.
    """

    folder: Path
    executor: Executor
    device: str = "auto"
    facts: Any = None
    shard_bytes: int = SHARD_BYTES
    block_rows: int = BLOCK_ROWS

    def do(
        self, function: Callable[[Any], Any], units: Sequence[Unit], what: str
    ) -> list[dict[str, Any]]:
        """The results of units, in their order.

        Args:
            function: of a unit's item.
            units: the units.
            what: is being done, for the progress bar.

        Raises:
            SumlError: a unit could not be done.
        """
        results = {}
        work = Work(self.folder).do(function, units, self.executor, _LIMITS)
        with progress(what, len(units), "blocks") as bar, closing(work) as answers:  # type: ignore[type-var]
            for done in answers:
                if isinstance(done, Failed):
                    raise done.as_error("nearest-neighbour search", "searched")
                results[done.unit.name] = done.result
                bar.advance()
        return [results[unit.name] for unit in units]

    def nearest(
        self, queries: Vectors, base: Vectors, k: int, name: str = "exact", what: str = "searching"
    ) -> Certified:
        """The k rows of the base most similar to each query, whatever blocks and shards there are.

        The best of the whole base are among the best of its shards, in the same order.

        Args:
            queries: unit vectors.
            base: unit vectors, at least k.
            k: how many.
            name: of the units.
            what: is being done, for the progress bar.

        Raises:
            SumlError: a unit could not be done.
        """
        blocks = queries.cut(block_rows(len(queries), self.block_rows))
        shards = base.cut(shard_rows(base.dimension, self.shard_bytes))
        units = [
            self._unit(f"{name}.{j:04d}.{i:04d}", block, shard, k)
            for j, shard in enumerate(shards)  # a worker keeps the shard that it searched last
            for i, block in enumerate(blocks)
        ]
        try:
            told = self.do(_search, units, what)
        finally:
            _shard.cache_clear()
        parts = [
            _merged([units[j].files[0] for j in range(i, len(units), len(blocks))], k)
            for i in range(len(blocks))
        ]
        widened = sum(one["widened"] for one in told)
        similarity, row, at_once = map(np.concatenate, zip(*parts, strict=True))
        return Certified(similarity, row, at_once, widened)

    def _unit(self, name: str, queries: Vectors, base: Vectors, k: int) -> Unit:
        result = self.folder / f"{name}.npz"
        item = _Pair(queries, base, k, self.device, str(result))
        ranges = [(side.start, side.stop) for side in (queries, base)]
        return Unit(name, item, fingerprint(self.facts, name, ranges, k), (result,))


class _Pair(NamedTuple):
    """A block of queries and a shard of the base."""

    queries: Vectors
    base: Vectors
    k: int
    device: str
    result: str


def _search(pair: _Pair) -> dict[str, int]:
    base, scores = _shard(pair.base, pair.device)
    found = prove(Whole(pair.queries.load(), base, scores), min(pair.k, len(base)))
    rows = found.row + pair.base.start
    save(Path(pair.result), similarity=found.similarity, row=rows, at_once=found.at_once)
    return {"certified_at_once": int(found.at_once.sum()), "widened": found.widened}


@lru_cache(maxsize=1)
def _shard(base: Vectors, device: str) -> tuple[np.ndarray, Callable[[np.ndarray, int], Scores]]:
    vectors = base.load()
    return vectors, flat(vectors, device)


def _merged(shards: Sequence[Path], k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best of a block's queries over all shards, and which were certified at once in each."""
    files = [read(shard) for shard in shards]
    similarity, row = (np.concatenate([f[x] for f in files], 1) for x in ("similarity", "row"))
    order = np.lexsort((row, -similarity.round(DECIMALS)), axis=1)[:, :k]
    best, rows = (np.take_along_axis(found, order, 1) for found in (similarity, row))
    return best, rows, np.logical_and.reduce([file["at_once"] for file in files])
