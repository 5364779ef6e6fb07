"""Search in an inverted file: most of the base is left out, and what that may cost is told.

Lists are made by spherical k-means on a sample of the base (Dhillon and Modha, Machine Learning 42,
2001); each query is compared with the lists nearest to it, as many as a sample of queries needs
(Jegou et al., PAMI 33, 2011, Sec. IV). Within them the answer is exact and proven, so it follows
from the vectors, the seed and the recall alone, whatever machine searches.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sumlctl.jobs.units import Unit, fingerprint
from sumlctl.mining.search import probed
from sumlctl.mining.search.audit import at_least, smallest
from sumlctl.mining.search.blocks import Blocks, Vectors, block_rows, read, save
from sumlctl.mining.search.exact import DECIMALS, Certified, certified, prove
from sumlctl.mining.search.probed import Lists, Probed
from sumlctl.tables import whole_file

AUDITED = 3000  # queries that are searched exactly as well, to count how many are right
TUNED = 1000  # other ones, which choose the number of probes
ROUNDS = 8  # of k-means
_SAMPLED = 40  # vectors for each list that k-means sees
_MOST_SAMPLED = 2**20
BLOCK_ROWS = 2**16  # queries of a unit, and vectors of the base
ROWS = 2**15  # vectors that are copied together


class Aim(NamedTuple):
    """What an inverted file is to reach.

    Args:
        recall: share of the queries whose k best rows are to be found, below 1.
        seed: of the samples.
    """

    recall: float = 0.99
    seed: int = 0


class Guarantee(NamedTuple):
    """What is known of the answers of an inverted file.

    Args:
        lists: of the file.
        probes: lists that each query was compared with.
        recall: the aim.
        certified: share of the queries whose answer is exact, as the bounds of the lists that were
            left out prove.
        audited: queries that were also searched exactly, drawn at random.
        right: those of them whose answer is exact.
        at_least: the share of all queries with an exact answer is above, with 95 % confidence.
    """

    lists: int
    probes: int
    recall: float
    certified: float
    audited: int
    right: int
    at_least: float


def lists_for(rows: int) -> int:
    """How many lists a base is divided into: finding them costs as much as searching them."""
    return max(1, min(round(4 * math.sqrt(rows)), rows // 39))


def sampled(rows: int, lists: int) -> int:
    """How many vectors of a base k-means sees."""
    return min(rows, _SAMPLED * lists, _MOST_SAMPLED)


def search(
    blocks: Blocks, queries: Vectors, base: Vectors, k: int, aim: Aim
) -> tuple[Certified, Guarantee]:
    """Most of the k rows of the base most similar to each query.

    Args:
        blocks: who searches.
        queries: unit vectors.
        base: unit vectors, at least k.
        k: how many.
        aim: what to reach.

    Returns:
        The answers, proven among the lists that were searched, and what is known of them.

    Raises:
        SumlError: a unit could not be done.
    """
    lists = lists_for(len(base))
    assigned = _build(blocks, base, lists, aim.seed)
    rng = np.random.default_rng([aim.seed, len(queries)])
    some = rng.choice(len(queries), min(len(queries), TUNED + AUDITED), replace=False)
    sample = Vectors.save(blocks.folder / "sample.npy", queries.load()[some])
    exact = blocks.nearest(sample, base, k, f"sample.{aim.seed}", "searching a sample exactly")
    tuned = max(1, len(some) * TUNED // (TUNED + AUDITED))
    centres = read(probed.files(blocks.folder)[2])["centres"]
    wanted = assigned[exact.row[:tuned]]
    needed = probed.ranks(sample.load()[:tuned], centres, wanted)
    probes = smallest(needed, aim.recall)

    found, sure = _probe(blocks, queries, k, probes, (lists, aim.seed))
    audited = slice(tuned if len(some) > 1 else 0, None)
    right = (found.row[some[audited]] == exact.row[audited]).all(axis=1)
    share = math.floor(1e4 * sure.mean()) / 1e4
    n, hits = len(right), int(right.sum())
    told = Guarantee(lists, probes, aim.recall, share, n, hits, round(at_least(hits, n), 6))
    return found, told


def _build(blocks: Blocks, base: Vectors, lists: int, seed: int) -> np.ndarray:
    """Divides the base into lists, on files; returns the list of each row."""
    folder, facts = blocks.folder, (blocks.facts, lists, seed)
    centres = folder / "centres.npy"
    item = _Training(base, lists, seed, blocks.device, str(centres))
    training = Unit("lists.train", item, fingerprint(*facts), (centres,))
    blocks.do(_train, [training], "finding lists")
    parts = base.cut(block_rows(len(base), BLOCK_ROWS))
    units = []
    for i, part in enumerate(parts):
        result = folder / f"lists.assign.{i:04d}.npy"
        assigning = _Assigning(part, str(centres), blocks.device, str(result))
        about = fingerprint(*facts, part.start, part.stop)
        units.append(Unit(result.stem, assigning, about, (result,)))
    blocks.do(_assign, units, "filling lists")
    assigned = [str(unit.files[0]) for unit in units]
    sorting = _Sorting(base, str(centres), assigned, str(folder))
    unit = Unit("lists.sort", sorting, fingerprint(*facts), probed.files(folder))
    blocks.do(_sort, [unit], "sorting lists")
    return _lists(assigned)


def _lists(assigned: list[str]) -> np.ndarray:
    """The list of each row, from the files of the parts."""
    return np.concatenate([np.load(path, allow_pickle=False) for path in assigned])


class _Training(NamedTuple):
    base: Vectors
    lists: int
    seed: int
    device: str
    result: str


def _train(item: _Training) -> None:
    """Spherical k-means; exact assignments and sums in float64 make it the same everywhere."""
    rng = np.random.default_rng(item.seed)
    size = sampled(len(item.base), item.lists)
    sample = item.base.load()[np.sort(rng.choice(len(item.base), size, replace=False))]
    centres = sample[rng.choice(size, item.lists, replace=False)]
    for _ in range(ROUNDS):
        lists = certified(sample, centres, 1, item.device).row[:, 0]
        sums = np.zeros(centres.shape)
        for part in _in_parts(np.argsort(lists, kind="stable")):
            first = np.flatnonzero(np.diff(lists[part], prepend=-1))
            sums[lists[part[first]]] += np.add.reduceat(sample[part].astype(np.float64), first)
        empty = ~sums.any(axis=1)
        sums[empty] = centres[empty]
        centres = probed.unit(sums).astype(np.float32)
    save(Path(item.result), centres=centres)


class _Assigning(NamedTuple):
    base: Vectors
    centres: str
    device: str
    result: str


def _assign(item: _Assigning) -> None:
    found = certified(item.base.load(), np.load(item.centres, allow_pickle=False), 1, item.device)
    save(Path(item.result), lists=found.row[:, 0].astype(np.int32))


class _Sorting(NamedTuple):
    base: Vectors
    centres: str
    assigned: list[str]
    folder: str


def _sort(item: _Sorting) -> None:
    """Copies the base list after list, and measures how far each list reaches."""
    vectors, rows, small = probed.files(Path(item.folder))
    base, lists = (
        item.base.load(),
        _lists(item.assigned),
    )
    centres = probed.unit(np.load(item.centres, allow_pickle=False))
    order = np.argsort(lists, kind="stable")
    nearness = np.ones(len(centres))
    with whole_file(vectors) as beside:
        out = np.lib.format.open_memmap(beside, "w+", base.dtype, base.shape)
        written = 0
        for part in _in_parts(order):
            copied = base[part]
            out[written : written + len(part)] = copied
            written += len(part)
            np.minimum.at(nearness, lists[part], probed.nearness(copied, centres, lists[part]))
        out.flush()
    save(rows, rows=order)
    edges = np.searchsorted(lists[order], np.arange(len(centres) + 1))
    save(small, centres=centres, edges=edges, nearness=nearness)


def _in_parts(rows: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), ROWS):
        yield rows[start : start + ROWS]


def _probe(
    blocks: Blocks, queries: Vectors, k: int, probes: int, facts: tuple[int, int]
) -> tuple[Certified, np.ndarray]:
    """The best rows of the lists nearest to each query, and which of them are sure."""
    units = []
    for i, block in enumerate(queries.cut(block_rows(len(queries), BLOCK_ROWS))):
        result = blocks.folder / f"probe.{i:04d}.npz"
        item = _Probing(block, k, probes, str(blocks.folder), str(result))
        about = fingerprint(blocks.facts, facts, block.start, block.stop, k, probes)
        units.append(Unit(result.stem, item, about, (result,)))
    told = blocks.do(_search, units, "searching lists")
    parts = [read(unit.files[0]) for unit in units]
    names = ("similarity", "row", "at_once", "sure")
    similarity, row, at_once, sure = (np.concatenate([p[name] for p in parts]) for name in names)
    return Certified(similarity, row, at_once, sum(one["widened"] for one in told)), sure


class _Probing(NamedTuple):
    queries: Vectors
    k: int
    probes: int
    folder: str
    result: str


def _search(item: _Probing) -> dict[str, int]:
    lists = Lists.load(Path(item.folder))
    pool = Probed(item.queries.load(), lists, min(item.probes, len(lists.sizes)), item.k)
    found = prove(pool, item.k)
    sure = pool.ceiling.round(DECIMALS) < found.similarity[:, -1].round(DECIMALS)
    best = {"similarity": found.similarity, "row": found.row, "at_once": found.at_once}
    save(Path(item.result), **best, sure=sure)
    return {"sure": int(sure.sum()), "widened": found.widened}
