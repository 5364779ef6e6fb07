"""The search of `mine-pairs`, certificate included, against `util.semantic_search`.

EK55 -> Charades-Ego: `semantic_search` compares every segment with every third-person clip, as
its documentation suggests; ours compares distinct narrations and joins the clips. A second
comparison gives `semantic_search` the distinct narrations too.
"""

from __future__ import annotations

import tempfile

import torch

from benchmarks.common import report, seconds, shared_data
from sumlctl.datasets.index import index
from sumlctl.mining.mine import MiningSettings, mine
from sumlctl.mining.search import certified
from sumlctl.mining.side import MiningSide, narrated
from sumlctl.narrations import choose
from sumlctl.narrations.embed import embed
from sumlctl.workspace import Workspace


def main() -> None:
    report("mine", "EK55 -> Charades-Ego, top-1 (ratio: times faster)", _real())


def _real() -> list[dict[str, object]]:
    from sentence_transformers.util import semantic_search

    names = ("ek55", "charades-ego")
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(folder)
        for name in names:
            index(name, workspace, annotations=shared_data() / "annotations" / name)
        list(embed(names, workspace, choose.choose(choose.PACKAGED)))
        first = MiningSide.load(workspace, ["ek55"], "fpv", "train")
        pool = MiningSide.load(workspace, ["charades-ego"], "tpv", "train")
        vectors = narrated(workspace, names, None)
        whole = seconds(lambda: mine("ek55", ["charades-ego"], workspace, MiningSettings()))
    queries, base = vectors.of(first.texts), vectors.of(pool.texts)
    segments = torch.from_numpy(vectors.of(first.clips.get_column("narration").to_list()))
    clips = torch.from_numpy(vectors.of(pool.clips.get_column("narration").to_list()))

    def search() -> None:
        found = certified(queries, base, 1, "cpu")
        assert found.row.shape == (len(first.texts), 1)

    ours = seconds(search, 5)
    theirs = seconds(lambda: semantic_search(segments, clips, top_k=1), 1)
    distinct = torch.from_numpy(queries), torch.from_numpy(base)
    fair = seconds(lambda: semantic_search(*distinct, top_k=1), 5)
    sizes = f"{len(segments):,} x {len(clips):,}"
    small = f"{len(queries):,} x {len(base):,}"
    return [
        {"what": f"semantic_search, segments {sizes}", "seconds": theirs, "ratio": 1.0},
        {"what": f"semantic_search, distinct {small}", "seconds": fair, "ratio": theirs / fair},
        {"what": f"certified search, distinct {small}", "seconds": ours, "ratio": theirs / ours},
        {"what": "whole of mine-pairs, tables included", "seconds": whole, "ratio": theirs / whole},
    ]
