"""`embed` on every EK55 narration against `SentenceTransformer.encode` over the segments.

Both sides load the same packaged weights outside the clock, run in one process on the same
threads, and take turns.
"""

from __future__ import annotations

import tempfile

import polars as pl

from benchmarks.common import report, seconds, shared_data
from sumlctl.datasets.index import index
from sumlctl.narrations import choose
from sumlctl.narrations import embed as embedding
from sumlctl.narrations.encoders import sbert
from sumlctl.workspace import Workspace


def main() -> None:
    from sentence_transformers import SentenceTransformer

    choice = choose.choose(choose.PACKAGED)
    assert choice.folder is not None
    plain = SentenceTransformer(str(choice.folder))
    ours = sbert.load(choice.folder)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(folder)
        index("ek55", workspace, annotations=shared_data() / "annotations" / "ek55")
        clips = pl.read_parquet(workspace.table("ek55", "clips"), columns=["narration"])
        segments = clips.get_column("narration").to_list()

        def embed(fresh: bool) -> None:
            path = workspace.narrations("ek55", choice.name)
            if fresh:
                path.unlink(missing_ok=True)
            list(embedding.embed(["ek55"], workspace, choice))

        original, sbert.load = sbert.load, lambda *_: ours
        try:
            plain.encode(segments[:512], normalize_embeddings=True)
            pairs = [
                (
                    seconds(lambda: plain.encode(segments, normalize_embeddings=True), 1),
                    seconds(lambda: embed(fresh=True), 1),
                )
                for _ in range(2)
            ]
            again = seconds(lambda: embed(fresh=False), 5)
        finally:
            sbert.load = original
    rows = []
    for theirs, mine in pairs:
        rows += [
            {
                "what": "SentenceTransformer.encode, 28,472 segments",
                "seconds": theirs,
                "ratio": 1.0,
            },
            {"what": "sumlctl embed, 8,793 distinct", "seconds": mine, "ratio": theirs / mine},
            {"what": "sumlctl embed, nothing new", "seconds": again, "ratio": theirs / again},
        ]
    report("embed", "embedding EK55's narrations (ratio: times faster)", rows)
