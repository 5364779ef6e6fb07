"""What the setups of a sweep gain over one of them: as a table, as CSV, and drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from sumlctl.evaluation.seed_gains import Gain, Group
from sumlctl.report.charts import label
from sumlctl.report.figures import COLOURS, written
from sumlctl.report.svg import as_csv

_COLUMNS = ("task", "subset", "metric", "k")
_ROW = 0.2  # inches per setup


def shown(groups: Sequence[Group], against: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows for people, in per cent: mean ± sd over seeds, then what is gained.

    Top-5 accuracies are left out.
    """
    numbers = [_main(group.gains) for group in groups]
    header = ["group", "seeds"]
    for gain in numbers[0]:
        header += [label(_row(gain)), "gain [95 %]"]
    first = [against, str(len(numbers[0][0].first))]
    for gain in numbers[0]:
        first += [_spread(gain.first), ""]
    rows = [first]
    for group, found in zip(groups, numbers, strict=True):
        row = [group.name, str(len(found[0].second))]
        for gain in found:
            low, high = 100 * gain.low, 100 * gain.high
            row += [_spread(gain.second), f"{100 * gain.difference:+.1f} [{low:+.1f}, {high:+.1f}]"]
        rows.append(row)
    return header, rows


def described(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Every number of every group as plain values; values are fractions."""
    return [
        {
            "group": group.name,
            "similarity": group.similarity,
            **_row(gain),
            "seeds": len(gain.second),
            "mean": fmean(gain.second),
            "sd": stdev(gain.second),
            "mean_against": fmean(gain.first),
            "sd_against": stdev(gain.first),
            "difference": gain.difference,
            "ci_low": gain.low,
            "ci_high": gain.high,
        }
        for group in groups
        for gain in group.gains
    ]


def csv(groups: Sequence[Group]) -> str:
    """`described` as CSV."""
    rows = described(groups)
    return as_csv(list(rows[0]), [list(row.values()) for row in rows])


def draw(groups: Sequence[Group], against: str, path: Path) -> None:
    """Writes the gains with their intervals; below them, where pools differ, along similarity.

    Args:
        groups: what to draw.
        against: what they are compared with.
        path: `.png`, `.svg` or `.pdf`; whole or absent.

    Raises:
        SumlError: another ending.
    """
    lines = _lines(groups)
    columns = len(_main(groups[0].gains))
    heights = [0.8 + _ROW * len(groups), *([2.4] if lines else [])]
    with written(path, (3.4 * columns + 1.2, sum(heights))) as figure:
        grid = figure.subplots(
            len(heights), columns, squeeze=False, sharey="row", height_ratios=heights
        )
        figure.suptitle(f"gain over {against}, with 95 % intervals", fontsize=10)
        for i in range(columns):
            _forest(grid[0, i], groups, [_main(group.gains)[i] for group in groups])
            if lines:
                _curves(grid[1, i], lines, i)
        if lines:
            grid[1, 0].set_ylabel("percentage points")
            handles, labels = grid[1, 0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)


def _forest(axes: Any, groups: Sequence[Group], gains: Sequence[Gain]) -> None:
    axes.axvline(0, color="0.5", lw=0.8)
    for place, gain in enumerate(gains):
        axes.plot([100 * gain.low, 100 * gain.high], [place, place], color="0.1", lw=1.2)
        face = "0.1" if gain.sure else "white"
        axes.plot(100 * gain.difference, place, "o", ms=4.5, mfc=face, mec="0.1", mew=1.2)
    axes.set_yticks(range(len(groups)), [group.name for group in groups], parse_math=False)
    axes.set_ylim(len(groups) - 0.4, -0.6)
    axes.set_xlabel("percentage points")
    axes.set_title(label(_row(gains[0])), fontsize=9)
    axes.grid(axis="x", alpha=0.3, lw=0.5)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _lines(groups: Sequence[Group]) -> dict[str, list[Group]]:
    """Setups that several pools were tried with, under the name that their groups share."""
    found: dict[str, list[Group]] = {}
    for group in groups:
        if group.similarity is not None:
            found.setdefault(group.setup, []).append(group)
    return {
        setup: sorted(alike, key=lambda group: group.similarity or 0)
        for setup, alike in found.items()
        if len({group.similarity for group in alike}) > 1
    }


def _curves(axes: Any, lines: dict[str, list[Group]], number: int) -> None:
    axes.axhline(0, color="0.5", lw=0.8)
    for i, (setup, alike) in enumerate(lines.items()):
        gains = [_main(group.gains)[number] for group in alike]
        at = [(group.similarity or 0) + 0.004 * (i - (len(lines) - 1) / 2) for group in alike]
        middle = [100 * gain.difference for gain in gains]
        below = [100 * (gain.difference - gain.low) for gain in gains]
        above = [100 * (gain.high - gain.difference) for gain in gains]
        colour = COLOURS[i % len(COLOURS)]
        axes.errorbar(
            at, middle, (below, above), color=colour, marker="o", ms=4, lw=1.4, label=setup
        )
    axes.set_xlabel("mean similarity of the best third-person match")
    axes.grid(alpha=0.3, lw=0.5)
    axes.spines[["top", "right"]].set_visible(False)


def _main(gains: Sequence[Gain]) -> list[Gain]:
    return [gain for gain in gains if gain.k in (None, 1)]


def _row(gain: Gain) -> dict[str, Any]:
    return {column: getattr(gain, column) for column in _COLUMNS}


def _spread(values: Sequence[float]) -> str:
    return f"{100 * fmean(values):.1f} ± {100 * stdev(values):.1f}"
