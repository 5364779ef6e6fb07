"""The report: seconds to write, size, and how quickly a browser has it and answers.

10,000 pairs without videos, then the demo's two datasets with 200 previewed pairs. The browser's
part is left out where there is no Chromium (`SUMLCTL_CHROMIUM`, or one on the PATH).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import report, seconds
from sumlctl.datasets.index import index
from sumlctl.mining.mine import MiningSettings, mine
from sumlctl.narrations import choose
from sumlctl.narrations.embed import embed
from sumlctl.report import page
from sumlctl.workspace import Workspace
from tests import chromium
from tests.unit.report import many_pairs

PAIRS, PREVIEWS = 10_000, 200
_FILTER = """
(() => {
  const field = document.querySelector('#pair-filter [name=text]');
  const begin = performance.now();
  for (const text of ['9', '99', '999', '']) {
    field.value = text;
    field.dispatchEvent(new Event('input', { bubbles: true }));
    document.body.offsetHeight;
  }
  return (performance.now() - begin) / 4000;
})()
"""


def main() -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        many, demo = (Workspace(Path(folder) / name) for name in ("many", "demo"))
        many_pairs.build(many, PAIRS)
        names = ("demo-fpv", "demo-tpv")
        for name in names:
            index(name, demo)
        list(embed(names, demo, choose.choose(choose.PACKAGED)))
        mine("demo-fpv", ["demo-tpv"], demo, MiningSettings(assign="spread"))
        rows = [
            _row(f"{PAIRS:,} pairs, no videos", many, 0, Path(folder)),
            _row(f"demo, {PREVIEWS} previewed pairs", demo, PREVIEWS, Path(folder)),
        ]
    report("report", "sumlctl report (the filter: a keystroke, layout included)", rows)


def _row(what: str, workspace: Workspace, previews: int, folder: Path) -> dict[str, Any]:
    page.write(workspace, previews=previews)  # imports are no part of it
    taken = seconds(lambda: page.write(workspace, previews=previews))
    written = workspace.root / "report.html"
    row = {"what": what, "write (s)": taken, "size (MB)": written.stat().st_size / 1e6}
    return row | _browsed(written, folder / f"profile of {workspace.root.name}")


def _browsed(written: Path, profile: Path) -> dict[str, Any]:
    binary = chromium.find()
    if binary is None:
        sys.stderr.write("no Chromium: the browser's part is left out\n")
        return {"open (s)": None, "filter (s)": None}
    with chromium.launched(binary, profile) as browser:
        browser.screen(1280, 900)
        browser.open(written)
        opened = seconds(lambda: browser.open(written))
        assert browser.faults == []
        return {"open (s)": opened, "filter (s)": browser.value(_FILTER)}
