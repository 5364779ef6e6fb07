"""`sumlctl mine-pairs --plan`: what a search will take, before it starts.

What this machine does in a second is measured. What a GPU does is taken from its maker's data
sheet: single-precision throughput without tensor cores and memory bandwidth (NVIDIA: "T4 Tensor
Core GPU", "V100", "A10", "L4", "A100 80GB SXM", "H100 SXM", "H200", and "Ada GPU Architecture" for
the L40S and the RTX 4090), of which half is assumed to be reached.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sumlctl.mining.search import certified, ivf
from sumlctl.mining.search.blocks import Vectors, block_rows, shard_rows
from sumlctl.mining.search.exact import BLOCK, SPARE, prove
from sumlctl.mining.search.probed import Lists, Probed
from sumlctl.mining.side import MiningSide, narrated
from sumlctl.workspace import Workspace

REACHED = 0.5  # share of a GPU's published throughput and bandwidth; assumed
PROBED = 0.06  # share of the lists for a query, at least _LEAST; assumed, as clustered vectors need
PATIENCE_S = 3600.0  # what an exact search may take before another is advised
_LEAST = 8
_FLOAT, _ANSWER = 4, 17  # bytes of a component, and of a similarity, a row and a flag
_TEXT = 128  # bytes that a narration takes in the columns of both sides; assumed
_GPU_SCRATCH = 1.5 * 2**30  # bytes that faiss sets aside on a GPU
_GPU_TRAFFIC = 8  # bytes written and read again for each similarity on a GPU


@dataclass(frozen=True)
class Gpu:
    """A data sheet.

    Args:
        name: as its maker calls it.
        tflops: single precision, 10^12 operations a second; a multiply-add is two.
        bandwidth: of its memory, 10^9 bytes a second.
        memory: 10^9 bytes.
    """

    name: str
    tflops: float
    bandwidth: float
    memory: float


GPUS = (
    Gpu("T4", 8.1, 320, 16),
    Gpu("V100", 15.7, 900, 32),
    Gpu("A10", 31.2, 600, 24),
    Gpu("L4", 30.3, 300, 24),
    Gpu("RTX 4090", 82.6, 1008, 24),
    Gpu("L40S", 91.6, 864, 48),
    Gpu("A100", 19.5, 2039, 80),
    Gpu("H100", 66.9, 3350, 80),
    Gpu("H200", 66.9, 4800, 141),
)


@dataclass(frozen=True)
class Sizes:
    """A search.

    Args:
        queries: distinct first-person narrations.
        base: distinct third-person narrations.
        dimension: of a vector.
        top_k: rows wanted for each query.
    """

    queries: int
    base: int
    dimension: int = 384
    top_k: int = 1

    @classmethod
    def of(
        cls,
        workspace: Workspace,
        fpv: str,
        tpv: Sequence[str],
        split: str,
        top_k: int,
        encoder: str | None,
    ) -> Sizes:
        """Those of datasets; arguments as of `mine`.

        Raises:
            SumlError: a table is missing.
        """
        dimension = narrated(workspace, [fpv, *tpv], encoder).dimension
        first = MiningSide.load(workspace, [fpv], "fpv", split)
        pool = MiningSide.load(workspace, tpv, "tpv", split)
        return cls(len(first.texts), len(pool.texts), dimension, top_k)


@dataclass(frozen=True)
class Speed:
    """What this machine does without a GPU.

    Args:
        exact: multiply-adds a second of a search in the whole base.
        lists: the same in lists, choosing them left out.
        proof_s: seconds for the proof of one query in one shard.
        disk: bytes a second that a file grows by until it is safe.
    """

    exact: float
    lists: float
    proof_s: float
    disk: float


@dataclass(frozen=True)
class Cost:
    """What a search takes.

    Args:
        multiply_adds: of vectors' components.
        seconds: on one machine or one GPU; several divide it.
        memory: bytes of the machine.
        gpu_memory: bytes.
        disk: bytes, until the pairs are written.
    """

    multiply_adds: float
    seconds: float
    memory: float
    gpu_memory: float
    disk: float


def measure(dimension: int, folder: Path | None = None) -> Speed:
    """Searches small random bases on the processors; a few seconds at most.

    Args:
        dimension: of the vectors.
        folder: on the disk that counts; None for the usual one of temporary files.
    """
    rng = np.random.default_rng(0)

    def some(rows: int) -> np.ndarray:
        vectors = rng.standard_normal((rows, dimension), np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    queries, base = some(BLOCK), some(2**15)
    few = queries[: BLOCK // 8]
    proof = _quickest(lambda: certified(queries, base[:64], 1, "cpu")) / len(queries)
    whole = _quickest(lambda: certified(few, base, 1, "cpu")) - len(few) * proof
    lists, probes = 2**7, 2**4
    edges = np.arange(0, len(base) + 1, len(base) // lists)
    places, nearness = np.arange(len(base)), np.zeros(lists)
    file = Lists(base, places, some(lists).astype(np.float64), edges, nearness)
    pool = Probed(queries, file, probes, 1)
    probed = _quickest(lambda: prove(pool, 1))
    with tempfile.TemporaryDirectory(dir=folder) as beside:
        written = _quickest(lambda: Vectors.save(Path(beside) / "written.npy", base))
    return Speed(
        exact=len(few) * base.size / whole,
        lists=len(queries) * probes * base.size / lists / probed,
        proof_s=proof,
        disk=base.nbytes / written,
    )


def _quickest(run: Callable[[], Any]) -> float:
    """Seconds: the least of three, since other programs only ever add to it."""
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return min(taken)


def exact(sizes: Sizes, speed: Speed, gpu: Gpu | None = None) -> Cost:
    """The cost of comparing everything with everything, on the processors or on a GPU."""
    n, m, d = sizes.queries, sizes.base, sizes.dimension
    rows = min(m, shard_rows(d))
    shards = -(-m // rows)
    pairs = float(n) * m
    answers = float(n) * shards * min(sizes.top_k, rows) * _ANSWER
    disk = _FLOAT * d * float(n + m) + answers
    if gpu is None:
        search = pairs * d / speed.exact
    else:
        search = pairs * d / (REACHED * gpu.tflops * 1e12 / 2)
        search += pairs * _GPU_TRAFFIC / (REACHED * gpu.bandwidth * 1e9)
    seconds = search + n * shards * speed.proof_s + disk / speed.disk
    candidates = BLOCK * (sizes.top_k + SPARE) * 32
    block = min(n, block_rows(n))
    vectors = _FLOAT * d * float(block + rows)
    memory = vectors + candidates + 2 * n * sizes.top_k * _ANSWER + _TEXT * float(n + m)
    gpu_memory = _FLOAT * d * float(rows) + _GPU_SCRATCH if gpu else 0.0
    return Cost(pairs * d, seconds, memory, gpu_memory, disk)


def inverted(sizes: Sizes, speed: Speed) -> Cost:
    """The cost of a search by `--index ivf`, which is done on the processors."""
    n, m, d = sizes.queries, sizes.base, sizes.dimension
    lists = ivf.lists_for(m)
    probes = min(lists, max(_LEAST, round(PROBED * lists)))
    sample = min(n, ivf.TUNED + ivf.AUDITED)
    seen = ivf.sampled(m, lists)
    build = float(ivf.ROUNDS * seen + m) * lists * d
    choose = float(n) * lists * d
    scan = float(n) * probes * m / lists * d
    audit = float(sample) * m * d
    proofs = ivf.ROUNDS * seen + m + n
    disk = _FLOAT * d * float(n + 2 * m) + 12.0 * m + float(n) * sizes.top_k * (_ANSWER + 1)
    # Lists are chosen in float64, at half the speed.
    seconds = (build + 2 * choose + audit) / speed.exact + scan / speed.lists
    seconds += proofs * speed.proof_s + disk / speed.disk
    block = _FLOAT * d * float(min(n, block_rows(n, ivf.BLOCK_ROWS)) + 2 * ivf.ROWS + seen)
    candidates = 2 * 2**24 * 12.0
    memory = block + candidates + 2 * n * sizes.top_k * _ANSWER + _TEXT * float(n + m) + 24.0 * m
    return Cost(build + choose + scan + audit, seconds, memory, 0.0, disk)


def plan(sizes: Sizes, speed: Speed) -> dict[str, Any]:
    """The costs here and on GPUs, which index to take here and why."""
    here, by_lists = exact(sizes, speed), inverted(sizes, speed)
    index, why = _advice(here.seconds, by_lists.seconds)
    places = [{"where": "these processors", "index": "exact", **asdict(here)}]
    places += [{"where": "these processors", "index": "ivf", **asdict(by_lists)}]
    for gpu in GPUS:
        cost = exact(sizes, speed, gpu)
        if cost.gpu_memory <= gpu.memory * 1e9:
            places.append({"where": f"one {gpu.name}", "index": "exact", **asdict(cost)})
    return {
        **asdict(sizes),
        "measured": asdict(speed),
        "assumed": {"share_of_gpu_reached": REACHED, "share_of_lists_probed": PROBED},
        "costs": places,
        "index": index,
        "why": why,
    }


def _advice(exact_s: float, ivf_s: float) -> tuple[str, str]:
    took = f"exact takes {duration(exact_s)} on these processors"
    if exact_s <= PATIENCE_S:
        return "exact", f"{took}, and proves every pair"
    if ivf_s < exact_s / 2:
        return "ivf", f"{took}, ivf {duration(ivf_s)}; a GPU may make exact worth while"
    return "exact", f"{took}, and ivf would take {duration(ivf_s)}"


def duration(seconds: float) -> str:
    """Such as `3.2 h`."""
    for size, unit in ((86_400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
