"""`sumlctl mine-pairs`: the best third-person clip for every first-person clip (Sec. 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from sumlctl import console, tables
from sumlctl.errors import SumlError
from sumlctl.jobs.executors import THIS_MACHINE, Executor
from sumlctl.jobs.units import Work, fingerprint
from sumlctl.mining import labels
from sumlctl.mining.options import ASSIGNMENTS, KEEP_ALL, MiningOptions
from sumlctl.mining.search import Certified
from sumlctl.mining.search.blocks import Blocks, Vectors
from sumlctl.mining.search.exact import check
from sumlctl.mining.search.ivf import Aim, Guarantee, search
from sumlctl.mining.side import MiningSide, narrated
from sumlctl.tables.narration_vectors import NarrationVectors
from sumlctl.workspace import Workspace

MATCHES = ("text", "labels")
_WINNER = ("tpv_narration", "tpv_labels")


@dataclass(frozen=True)
class MiningSettings(MiningOptions):
    """How pairs are chosen, and from which clips.

    Args:
        split: the split that both sides take their clips from.
        match: the most similar `text` of the pool, as in the paper, or of the clips with the same
            `labels` where there are any, as in the released code.
    """

    split: str = "train"
    match: str = "text"

    def as_dict(self) -> dict[str, Any]:
        """Return what the pairs depend on, as it is recorded."""
        found = {k: v for k, v in vars(self).items() if k != "recall" or self.index == "ivf"}
        return found | ({"min_similarity": None} if self.min_similarity <= KEEP_ALL else {})


@dataclass(frozen=True)
class Mined:
    """The pairs and what the search proved.

    Args:
        pairs: rows of the pairs table, before `min_similarity`.
        kept: the rows written.
        fpv: the first-person side.
        tpv: the third-person side.
        search: over the distinct narrations; None for a match by labels, which compares all.
        guarantee: what is known of a search by `ivf`, which leaves rows out.
        encoder: name of the one whose vectors were compared.
        written: the table.
    """

    pairs: pl.DataFrame
    kept: pl.DataFrame
    fpv: MiningSide
    tpv: MiningSide
    search: Certified | None
    guarantee: Guarantee | None
    encoder: str
    written: Path


def mine(
    fpv: str,
    tpv: Sequence[str],
    workspace: Workspace,
    settings: MiningSettings,
    *,
    encoder: str | None = None,
    device: str = "auto",
    executor: Executor = THIS_MACHINE,
) -> Mined:
    """Pairs each first-person clip with its most similar third-person clips.

    The search runs over the distinct narrations of both sides; clips are joined to its answers,
    so clips that say the same get the same partners. Several third-person datasets are one pool.
    What was searched before an interruption is not searched again.

    Args:
        fpv: dataset whose first-person clips are paired.
        tpv: datasets whose third-person clips are the pool.
        workspace: where their tables are and the pairs table goes.
        settings: how pairs are chosen.
        encoder: whose narrations tables to use; may be left out when there is only one.
        device: `auto`, `cpu` or `cuda`.
        executor: who searches.

    Raises:
        SumlError: a table is missing, or the tables do not fit each other.
    """
    _check(settings, tpv)
    vectors = narrated(workspace, [fpv, *tpv], encoder)
    for source in vectors.unproven if len(vectors.sources) > 1 else ():
        console.warn(
            f"{workspace.relative(source)} was made before encoders had fingerprints: its weights "
            "are the same, its pooling, prompt and tokenizer are not known; `sumlctl embed` checks"
        )
    first = MiningSide.load(workspace, [fpv], "fpv", settings.split)
    pool = MiningSide.load(workspace, tpv, "tpv", settings.split)
    sources = [*first.sources, *pool.sources, *vectors.sources]
    inputs = {workspace.relative(source): tables.digest(source) for source in sources}
    folder = workspace.units(f"mine-pairs {fpv}--{'+'.join(tpv)}").absolute()
    found, guarantee = None, None
    if settings.match == "labels":
        queries, base = vectors.of(first.texts), vectors.of(pool.texts)
        answers = labels.answers(first, pool, queries, base, settings.top_k)
    else:
        blocks = Blocks(folder, executor, device, (inputs, settings.split))
        found, guarantee = _search(blocks, first, pool, vectors, settings)
        answers = _answers(first, pool, found)
    pairs = _join(first, pool, answers, settings)
    if pairs.is_empty():
        raise SumlError(
            "pairs",
            "every partner shows the same scene as its first-person clip",
            got=f"{first.clips.height:,} clips",
            expected="third-person clips of other scenes",
            fix="Choose another --tpv.",
        )
    kept = pairs
    if settings.min_similarity > KEEP_ALL:
        kept = pairs.filter(pl.col("similarity") >= settings.min_similarity)
    if kept.is_empty():
        raise SumlError(
            "--min-similarity",
            "no pair is left",
            got=settings.min_similarity,
            expected=f"at most {pairs['similarity'].to_numpy().max():.3f}, the best pair's",
            fix="Lower it.",
        )
    path = workspace.pairs(fpv, list(tpv))
    config = {
        **settings.as_dict(),
        "fpv": fpv,
        "tpv": list(tpv),
        "encoder": vectors.encoder,
        "clips_mined": first.clips.height,
    }
    extra = {"search": guarantee._asdict()} if guarantee else {}
    tables.write(kept.to_arrow(), path, "pairs", inputs=inputs, config=config, extra=extra)
    Work(folder).forget()  # the table has it all
    return Mined(pairs, kept, first, pool, found, guarantee, vectors.encoder["name"], path)


def _search(
    blocks: Blocks,
    first: MiningSide,
    pool: MiningSide,
    vectors: NarrationVectors,
    settings: MiningSettings,
) -> tuple[Certified, Guarantee | None]:
    """The most similar narrations of the pool, by file: workers read what they need of it."""
    k, n, m, d = settings.top_k, len(first.texts), len(pool.texts), vectors.dimension
    check((n, d), (m, d), k, blocks.device, settings.index)
    queries, base = (
        _saved(blocks, name, side, vectors) for name, side in (("queries", first), ("base", pool))
    )
    if settings.index == "exact":
        return blocks.nearest(queries, base, k), None
    return search(blocks, queries, base, k, Aim(settings.recall, settings.seed))


def _saved(blocks: Blocks, name: str, side: MiningSide, vectors: NarrationVectors) -> Vectors:
    path = blocks.folder / f"{name}.{fingerprint(blocks.facts)[:16]}.npy"
    if not path.is_file():
        vectors.save(side.texts, path)
    return Vectors.of(path)


def _check(settings: MiningSettings, tpv: Sequence[str]) -> None:
    faults = [
        ("--assign", settings.assign in ASSIGNMENTS, settings.assign, " or ".join(ASSIGNMENTS)),
        ("--match", settings.match in MATCHES, settings.match, " or ".join(MATCHES)),
        ("--top-k", settings.top_k >= 1, settings.top_k, "1 or more"),
        ("--tpv", len(set(tpv)) == len(tpv) > 0, ", ".join(tpv), "each dataset once"),
        ("--recall", 0 < settings.recall < 1, settings.recall, "between 0 and 1"),
    ]
    for option, holds, got, expected in faults:
        if not holds:
            fix = "Correct the option."
            raise SumlError(option, "impossible value", got=got, expected=expected, fix=fix)


def _answers(first: MiningSide, pool: MiningSide, search: Certified) -> pl.DataFrame:
    """One row per distinct first-person narration and rank."""
    n, k = search.row.shape
    return pl.DataFrame(
        {
            "narration": first.texts.gather(np.repeat(np.arange(n), k)),
            "labels": "",
            "rank": np.tile(np.arange(k, dtype=np.int16), n),
            "similarity": search.similarity.reshape(-1).astype(np.float32),
            "tpv_narration": pool.texts.gather(search.row.reshape(-1)),
            "tpv_labels": "",
        }
    )


def _join(
    first: MiningSide, pool: MiningSide, answers: pl.DataFrame, settings: MiningSettings
) -> pl.DataFrame:
    """One row per first-person clip and rank, in the order of the clips table."""
    by_labels = settings.match == "labels"
    said, theirs = (
        side.clips.with_columns(
            labels.labels(side.clips) if by_labels else pl.lit("").alias("labels")
        )
        for side in (first, pool)
    )
    rows = said.join(answers, on=["narration", "labels"], how="inner", maintain_order="left_right")
    turn = _turns(rows, settings)
    partners = theirs.select(
        tpv_narration="narration",
        tpv_labels="labels",
        turn=pl.int_range(pl.len()).over("narration", "labels"),
        tpv_clip_id="clip_id",
        tpv_dataset="dataset",
        tpv_verb_words="verb_words",
        tpv_noun_words="noun_words",
        tpv_scene="scene",
    )
    clips = _clips_per_narration(rows, partners)
    rows = rows.with_columns(turn=turn % clips, n=clips)
    joined = _of_other_scenes(rows, partners)
    return joined.select(
        fpv_clip_id="clip_id",
        tpv_clip_id="tpv_clip_id",
        rank="rank",
        similarity="similarity",
        fpv_narration="narration",
        tpv_narration="tpv_narration",
        tpv_dataset="tpv_dataset",
        shared_verb=_shared("verb_words", "tpv_verb_words"),
        shared_noun=_shared("noun_words", "tpv_noun_words"),
    )


def _of_other_scenes(rows: pl.DataFrame, partners: pl.DataFrame) -> pl.DataFrame:
    """Join each row with the clip whose turn it is, or the next that shows another scene.

    Rows whose winner has clips of the row's own scene only are dropped: a clip and its twin from
    the other camera are no unpaired videos.
    """
    done = []
    pending, tries = rows.with_row_index("place"), 0
    while pending.height:
        joined = pending.join(partners, on=[*_WINNER, "turn"], how="left", maintain_order="left")
        same = (pl.col("scene") == pl.col("tpv_scene")).fill_null(False)
        done.append(joined.filter(~same))
        tries += 1
        pending = joined.filter(same & (pl.col("n") > tries)).select(pending.columns)
        pending = pending.with_columns(turn=(pl.col("turn") + 1) % pl.col("n"))
    if len(done) > 1:
        kept = sum(part.height for part in done)
        console.note(
            "a clip is not paired with one of its own scene: another clip of the same narration "
            f"serves, or none ({rows.height - kept:,} pairs left out)"
        )
    return pl.concat(done).sort("place")


def _turns(rows: pl.DataFrame, settings: MiningSettings) -> pl.Series:
    """Which of the clips with the winning narration each pair takes, before wrapping round.

    `spread` counts the pairs that share a winner in a seeded order, so that every clip of the
    winner is used as often as any other, give or take one.
    """
    if settings.assign == "first":
        return pl.zeros(rows.height, dtype=pl.Int64, eager=True)
    order = np.random.default_rng(settings.seed).permutation(rows.height)
    shuffled = rows.select(_WINNER)[order].select(turn=pl.int_range(pl.len()).over(_WINNER))
    turn = np.empty(rows.height, np.int64)
    turn[order] = shuffled.get_column("turn").to_numpy()
    return pl.Series("turn", turn)


def _clips_per_narration(rows: pl.DataFrame, partners: pl.DataFrame) -> pl.Series:
    counts = partners.group_by(_WINNER).agg(n=pl.len().cast(pl.Int64))
    joined = rows.join(counts, on=_WINNER, how="left", maintain_order="left")
    return joined.get_column("n")


def _shared(ours: str, theirs: str) -> pl.Expr:
    """Whether two label lists have a word in common; null where either is empty."""
    known = (pl.col(ours).list.len() > 0) & (pl.col(theirs).list.len() > 0)
    common = pl.col(ours).list.set_intersection(pl.col(theirs)).list.len() > 0
    return pl.when(known).then(common)
