"""How similar the best matches are, over action classes and over clips (Fig. 2)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from sumlctl import console
from sumlctl.errors import SumlError
from sumlctl.mining.similarity import Distribution, distribution
from sumlctl.report.content.subject import Subject

_MOST = 3  # pairs tables in one figure
# Ranges as fine as the coverage over clips is; the last holds 1 itself.
_FINE = tuple(i / 100 for i in range(102))


@dataclass(frozen=True)
class Overlap:
    """One pairs table.

    Args:
        bars: per action class where clips have any, else per clip.
        classes: (similarity s, share of the classes at or above s); None without classes.
    """

    bars: Distribution
    classes: list[tuple[float, float]] | None


def gather(subject: Subject) -> list[Overlap]:
    """The tables that pair the same first-person clips, the subject's own first.

    Raises:
        SumlError: the first of them is missing or does not fit the clips.
    """
    found = []
    for path in subject.pairs[:_MOST]:
        try:
            fine = distribution(path, subject.workspace, edges=_FINE)
            bars = distribution(path, subject.workspace)
            found.append(Overlap(bars, at_or_above(fine)))
        except SumlError as error:
            try:
                found.append(Overlap(distribution(path, subject.workspace, by="clip"), None))
            except SumlError:
                if not found:
                    raise
                console.warn(f"{path.stem} is left out of Fig. 2: {error}")
    return found


def at_or_above(fine: Distribution) -> list[tuple[float, float]]:
    """The share at or above the lower limit of each range."""
    above = list(accumulate(reversed(fine.shares)))[::-1]
    return list(zip(fine.edges[:-1], above, strict=True))
