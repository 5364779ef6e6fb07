"""Probes of many videos, each by a process that a file can cost without harm to this one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import av

from sumlctl.jobs import pool
from sumlctl.jobs.executors import Executor, Limits
from sumlctl.jobs.units import Failed, Unit, Work, fingerprint
from sumlctl.video.installation import with_fault_check
from sumlctl.video.probe import Probe, noting, probe, stamp

# What a probe's findings depend on besides the video.
PROBED_WITH = {"av": av.__version__}
_FINDS = 2  # changes of what a probe finds: 2, when the pictures begin and whether mirrored
_DECODED_AT_LEAST = 200_000  # bytes per second; small 1080p60 files came to 500,000 on one core


class ProbeRequest(NamedTuple):
    """How a video is to be probed; see `probe`."""

    path: Path
    fps: float | None
    ask_decord: bool
    whole: bool


@with_fault_check
def answer_probe(wanted: ProbeRequest) -> dict[str, Any]:
    """What `probe` says."""
    path, fps, ask_decord, whole = wanted
    return asdict(probe(path, fps=fps, ask_decord=ask_decord, whole=whole))


def probe_many(
    rates: Mapping[Path, float | None],
    work: Work,
    executor: Executor,
    *,
    deadline_s: float = 120.0,
    whole: bool = False,
    ask_decord: bool = True,
) -> Iterator[tuple[Path, Probe]]:
    """Probes videos elsewhere, in order of completion; what `work` has receipts of, not again.

    A file whose process crashes, overruns the deadline or outgrows its memory is probed once more
    without decord, the usual culprit; a second failure makes it unreadable.

    Args:
        rates: the videos, and frames per second of those that are folders of frames.
        work: keeps the receipts.
        executor: who probes.
        deadline_s: seconds that one video may take; more if all of it is decoded.
        whole: whether to decode all of each file.
        ask_decord: whether decord is asked too.
    """
    if whole:
        deadline_s += max((stamp(path)[0] or 0 for path in rates), default=0) / _DECODED_AT_LEAST
    limits = Limits(deadline_s, pool.DECODING_MB, attempts=1)
    failed: dict[Path, str] = {}
    units = _units(rates, ask_decord, whole)
    for found in work.do(answer_probe, [*units], executor, limits):
        path = units[found.unit]
        if isinstance(found, Failed):
            failed[path] = found.failure.reason
        else:
            yield path, Probe(**found.result)
    units = _units({path: rates[path] for path in failed}, False, whole)
    for found in work.do(answer_probe, [*units], executor, limits):
        path = units[found.unit]
        if isinstance(found, Failed):
            yield path, Probe("unreadable", found.failure.reason)
        else:
            read = replace(Probe(**found.result), decord="doubted")
            yield path, noting(read, f"with decord: {failed[path]}")


def _units(rates: Mapping[Path, float | None], ask_decord: bool, whole: bool) -> dict[Unit, Path]:
    """The looks at some videos, as units of work."""
    found = {}
    for path, fps in rates.items():
        wanted = ProbeRequest(path.absolute(), fps, ask_decord, whole)
        name = hashlib.sha256(f"{wanted.path} {ask_decord}".encode()).hexdigest()
        asked = fps, ask_decord, whole, _FINDS
        facts = fingerprint(str(wanted.path), asked, stamp(path), PROBED_WITH)
        found[Unit(name[:32], wanted, facts)] = path
    return found
