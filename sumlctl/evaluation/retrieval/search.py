"""`sumlctl retrieve`: unpaired search across views and by text, with what a run has learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sumlctl import console, tables
from sumlctl.config import registry
from sumlctl.errors import SumlError, unknown_name
from sumlctl.evaluation import trained
from sumlctl.evaluation.retrieval import search_sets
from sumlctl.evaluation.retrieval.ranking import Ranking, Tally
from sumlctl.evaluation.retrieval.relevance import KINDS, Relevance
from sumlctl.evaluation.retrieval.search_sets import Encode, SearchSet
from sumlctl.evaluation.trained import Trained
from sumlctl.evaluation.views import Views
from sumlctl.mining.search import nearest
from sumlctl.tables.narration_vectors import NarrationVectors
from sumlctl.workspace import Workspace

QUERIES, BASES = ("fpv", "tpv", "text"), ("fpv", "tpv")
_TELLING = ("narration", "both", "action", "noun", "verb", "iou")  # the first says what is a hit
_DECIMALS = 6  # similarities that agree to 1e-6 are ties, as for `nearest`
_BLOCK = 2**23  # similarities that are ranked at once


@dataclass(frozen=True)
class Question:
    """What is searched for, where, and what counts as found.

    Args:
        query: `fpv`, `tpv` or `text`.
        base: `fpv` or `tpv`, where is searched; default the third-person view, or the other one.
        split: of both views; default the run's evaluation split.
        tpv_split: of the third-person clips, where it has another name.
        texts: what is searched for; default, for queries of text, every narration of the base.
        relevant: one of `relevance.KINDS`; default all that labels tell.
        threshold: cosine that similar narrations exceed.
        ks: of recall.
        shown: how many results of each query to keep, at least.
        views: temporal times spatial views per clip.
    """

    query: str = "fpv"
    base: str | None = None
    split: str | None = None
    tpv_split: str | None = None
    texts: Sequence[str] = ()
    relevant: str | None = None
    threshold: float = 0.5
    ks: Sequence[int] = (1, 5, 10)
    shown: int = 5
    views: str = "1x1"


@dataclass(frozen=True)
class Answer:
    """What was found, and how good that is.

    Args:
        queries: what was searched for, N.
        base: where, M.
        metrics: rows of a metrics table, and in each `chance`, the value of a random ranking.
        similarity: cosines of the best results, best first [N, k].
        row: their places in the base [N, k].
        relevance: what makes a result relevant; empty where nothing tells.
        relevant: which results are: bool [N, k].
        to_find: how many clips of the base are [N].
    """

    queries: SearchSet
    base: SearchSet
    metrics: list[dict[str, Any]]
    similarity: np.ndarray
    row: np.ndarray
    relevance: str
    relevant: np.ndarray
    to_find: np.ndarray

    def results(self) -> list[dict[str, Any]]:
        """Each query with its results, as plain values."""
        names = ("clip_id", "narration")
        searched = self.base.rows.select(names).to_dicts()
        return [
            query
            | {
                "results": [
                    searched[at] | {"similarity": float(cosine), "relevant": bool(hit)}
                    for at, cosine, hit in zip(*found, strict=True)
                ]
            }
            for query, *found in zip(
                self.queries.rows.select(names).to_dicts(),
                self.row,
                self.similarity,
                self.relevant,
                strict=True,
            )
        ]


def retrieve(
    workspace: Workspace,
    run: str,
    question: Question,
    encode: Encode,
    checkpoint: str | None = None,
    decoder: str | None = None,
) -> Answer:
    """Searches with the projected features of a run (Eq. 5) and with narration vectors.

    The measures also go into the run's folder, as a metrics table.

    Args:
        workspace: where the run and the tables are.
        run: its name.
        question: what is asked.
        encode: makes vectors of texts that no narrations table has.
        checkpoint: a file under the run's checkpoints, or a path; default `stage_two.pt`.
        decoder: who decodes; default that of the run's pipeline.

    Raises:
        SumlError: no such run, a branch or a projection is missing, tables do not fit, nothing
            decodes, or nothing is relevant.
    """
    query, view = _checked(question)
    views = Views.parse(question.views)
    main = trained.load(workspace, run, checkpoint).read_by(decoder)
    for viewpoint in {query, view} - {"text"}:
        main.branch(viewpoint)
    splits = {"fpv": question.split, "tpv": question.tpv_split or question.split}
    base = search_sets.from_clips(workspace, main, view, splits[view], views)
    narrated = _narrated(workspace, main, question, [v for v in (query, view) if v != "text"])
    if query != "text":
        queries = search_sets.from_clips(workspace, main, query, splits[query], views)
    else:
        assert narrated is not None
        _say_whether_text_was_learned(main)
        given = question.texts
        queries = (
            search_sets.from_texts(given, base, narrated, encode)
            if given
            else search_sets.from_narrations(base, narrated)
        )
    _check_dimensions(main, queries, base)
    relevance = _relevance(question, queries, base, narrated)
    answer = _answer(question, queries, base, relevance, views.count)
    if answer.metrics:
        _write(workspace, main, question, answer)
    return answer


def _write(workspace: Workspace, main: Trained, question: Question, answer: Answer) -> None:
    """Puts the measures into the run's `retrieval.<query>-<base>.parquet`, those of chance too."""
    import pyarrow as pa

    rows = [
        row | {"metric": row["metric"] + suffix, "value": row[column]}
        for row in answer.metrics
        for column, suffix in (("value", ""), ("chance", "_chance"))
    ]
    columns = tables.schema("metrics")
    table = pa.Table.from_pylist([{n: row[n] for n in columns.names} for row in rows], columns)
    name = f"retrieval.{answer.queries.name}-{answer.base.name}.parquet"
    path = workspace.run(main.run) / name
    inputs = {workspace.relative(main.path): tables.digest(main.path)}
    tables.write(table, path, "metrics", inputs=inputs, config=asdict(question))
    console.note(f"wrote {workspace.relative(path)}")


def _checked(question: Question) -> tuple[str, str]:
    """Query and base, both views or a view and text."""
    query = question.query
    base = question.base or ("fpv" if query == "tpv" else "tpv")
    for option, value, known in (
        ("--query", query, QUERIES),
        ("--base", base, BASES),
        ("--relevant", question.relevant or KINDS[0], KINDS),
    ):
        if value not in known:
            raise unknown_name(option, "choice", value, known)
    if query == base:
        other = "tpv" if base == "fpv" else "fpv"
        raise _fault("--base", "nothing but the view of the queries", base, other)
    if question.texts and query != "text":
        raise _fault("--text", "a text for queries that are clips", query, "--query text")
    if not question.ks or min(question.ks) < 1:
        raise _fault("--k", "impossible rank", question.ks, "ranks of at least 1")
    return query, base


def _fault(where: str, what: str, got: object, expected: str) -> SumlError:
    return SumlError(where, what, got=got, expected=expected, fix="Correct the option.")


def _narrated(
    workspace: Workspace, main: Trained, question: Question, views: Sequence[str]
) -> NarrationVectors | None:
    """Vectors of the narrations of these views, where anything needs them."""
    data = main.pipeline.data
    if question.query != "text" and question.relevant != "narration":
        return None
    datasets = {"fpv": [data.fpv], "tpv": data.tpv}
    return NarrationVectors(
        workspace, [name for view in views for name in datasets[view]], data.encoder
    )


def _say_whether_text_was_learned(main: Trained) -> None:
    part = main.pipeline.loss
    if not registry.load("losses", part.name)(**part.options).compares_text:
        console.warn(f"{part.name} never compares clips with narrations: expect chance")


def _check_dimensions(main: Trained, queries: SearchSet, base: SearchSet) -> None:
    if queries.vectors.shape[1] != base.vectors.shape[1]:
        raise SumlError(
            main.path,
            f"features of {base.name} clips cannot be compared with {queries.name}",
            got=f"{base.vectors.shape[1]} dimensions",
            expected=f"{queries.vectors.shape[1]}",
            fix="Choose a run whose projection.size is 0, or search from view to view.",
        )


def _relevance(
    question: Question, queries: SearchSet, base: SearchSet, narrated: NarrationVectors | None
) -> Relevance:
    narrations = None
    if narrated is not None and question.relevant == "narration":
        own = queries.vectors if queries.name == "text" else narrated.of(queries.narrations)
        narrations = own, narrated.of(base.narrations)
    vocabularies = {**queries.vocabularies, **base.vocabularies}
    return Relevance(queries.rows, base.rows, vocabularies, narrations, question.threshold)


def _answer(
    question: Question, queries: SearchSet, base: SearchSet, relevance: Relevance, n_views: int
) -> Answer:
    asked = [question.relevant] if question.relevant else relevance.kinds
    kinds = [kind for kind in asked if kind in relevance.kinds]
    task = {"protocol": "retrieval", "task": f"{queries.name}->{base.name}"}
    tallies = _tallies(question.ks, queries, base, relevance, kinds)
    metrics = [
        task | {"subset": kind} | row | {"n_views": n_views}
        for kind, tally in tallies.items()
        for row in tally.rows()
    ]
    if not metrics and (question.relevant or not question.texts):
        raise SumlError(
            "retrieve",
            f"no clip is relevant to any query by {question.relevant or 'label'}",
            got=f"{len(queries.vectors):,} queries, {len(base.vectors):,} clips",
            expected="labels or narrations that agree",
            fix="Choose another --relevant or --split, or lower --threshold.",
        )
    k = min(max(*question.ks, question.shown), len(base.vectors))
    similarity, row = nearest(queries.vectors, base.vectors, k)
    told = next((kind for kind in _TELLING if kind in kinds), "")
    hits, to_find = np.zeros(row.shape, dtype=bool), np.zeros(len(row), dtype=int)
    for part in _parts(len(row), len(base.vectors)) if told else ():
        relevant = relevance.gains(told, part) == 1
        hits[part] = np.take_along_axis(relevant, row[part], axis=1)
        to_find[part] = relevant.sum(axis=1)
    return Answer(queries, base, metrics, similarity, row, told, hits, to_find)


def _tallies(
    ks: Sequence[int],
    queries: SearchSet,
    base: SearchSet,
    relevance: Relevance,
    kinds: Sequence[str],
) -> dict[str, Tally]:
    """The measures of every query by every kind of relevance, and those of chance.

    Every item has a rank, so that `nearest`, which finds the first few, is of no use here; its
    order is the same.
    """
    tallies = {kind: Tally(len(base.vectors), ks, graded=kind == "iou") for kind in kinds}
    first, second = _unit(queries.vectors), _unit(base.vectors)
    for part in _parts(len(first), len(second)):
        rankings = [Ranking(scores) for scores in (first[part] @ second.T).round(_DECIMALS)]
        for kind, tally in tallies.items():
            for ranking, gains in zip(rankings, relevance.gains(kind, part), strict=True):
                tally.add(ranking, gains)
    return tallies


def _unit(vectors: np.ndarray) -> np.ndarray:
    wide = vectors.astype(np.float64)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


def _parts(queries: int, base: int) -> list[slice]:
    """Queries in parts that fit the memory with all of the base."""
    step = max(_BLOCK // base, 1)
    return [slice(start, min(start + step, queries)) for start in range(0, queries, step)]
