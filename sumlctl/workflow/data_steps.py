"""Steps that make tables: from annotations to pairs, and the figure of their similarities."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sumlctl.config import shipped
from sumlctl.mining.options import MiningOptions
from sumlctl.tables import provenance
from sumlctl.workflow import records
from sumlctl.workflow.step import Step, options, under
from sumlctl.workflow.step_options import Decode
from sumlctl.workspace import Workspace, resolved

# Options that go without saying.
_MINING = {**vars(MiningOptions()), "min_similarity": None, "split": "train", "match": "text"}
_DRAWING = {"by": "class", "class_stat": "mean"}


def remembered_folders(workspace: Workspace, dataset: str) -> dict[str, Path]:
    """Folders that the last `index` was given, by kind; the receipt has those of older tables."""
    told = workspace.remembered(dataset)
    return _folders_of_receipt(workspace, dataset) or {} if told is None else told


def recorded_folders(workspace: Workspace, dataset: str) -> dict[str, Path]:
    """The same by the receipt, without opening a table, which takes longer than all of a plan.

    The table is asked where there is no receipt, or the workspace is elsewhere by now.
    """
    folders = _folders_of_receipt(workspace, dataset)
    if folders is None or not all(folder.is_dir() for folder in folders.values()):
        return workspace.remembered(dataset) or folders or {}
    return folders


def _folders_of_receipt(workspace: Workspace, dataset: str) -> dict[str, Path] | None:
    before = records.read(workspace.receipt("index", dataset))
    if before is None:
        return None
    said = before.settings
    return {kind: Path(said[kind]) for kind in ("annotations", "videos") if kind in said}


def index(
    workspace: Workspace,
    dataset: str,
    annotations: Path | None = None,
    videos: Path | None = None,
    bad_rows: str = "drop",
) -> Step:
    """Annotations and videos -> tables of a dataset; folders are named where they are not usual."""
    card = shipped.find("manifests", dataset, workspace.manifests)
    unusual = workspace.unusual(dataset, {"annotations": annotations, "videos": videos})
    given = {key: str(resolved(path)) for key, path in unusual.items()}
    if bad_rows != "drop":
        given["bad_rows"] = bad_rows
    folder = annotations or workspace.data(dataset, "annotations")
    clips = workspace.table(dataset, "clips")

    def as_read() -> dict[Path, str]:
        named = provenance.of_table(clips).inputs
        return {folder / n: digest for n, digest in named.items() if (folder / n).is_file()}

    return Step(
        "index",
        dataset,
        ("index", dataset, *options(given)),
        workspace.receipt("index", dataset),
        (card, videos or workspace.data(dataset, "videos")),
        (clips, workspace.table(dataset, "videos")),
        lambda: {"card": "own" if card.parent == workspace.manifests else "shipped", **given},
        packages=("av", "decord", "polars"),
        as_read=as_read,
    )


def decode(workspace: Workspace, dataset: str, chosen: Mapping[str, Any]) -> Step:
    """Videos -> the store of a dataset; `chosen` are the options of `decode`."""
    usual = vars(Decode())
    given = {key: chosen[key] for key in usual if chosen.get(key, usual[key]) != usual[key]}
    return Step(
        "decode",
        dataset,
        ("decode", dataset, *options(given)),
        workspace.receipt("decode", dataset),
        tuple(workspace.table(dataset, kind) for kind in ("clips", "videos")),
        (workspace.segments(dataset),),
        lambda: usual | given,
        packages=("av",),
    )


def embed(
    workspace: Workspace,
    dataset: str,
    encoder: str,
    prompt_name: str | None = None,
    files: Sequence[Path] = (),
) -> Step:
    """Narrations of a dataset -> their vectors.

    Args:
        workspace: where the tables are.
        dataset: its name.
        encoder: the encoder's name, or its folder.
        prompt_name: of the encoder's prompts; None for its default.
        files: of the encoder, once they are known.
    """
    name = Path(encoder).name
    vectors = workspace.narrations(dataset, name)
    given = {"prompt_name": prompt_name} if prompt_name is not None else {}
    return Step(
        "embed",
        f"{dataset} {name}",
        ("embed", dataset, "--encoder", encoder, *options(given)),
        workspace.receipt("embed", f"{dataset}.{name}"),
        (workspace.table(dataset, "clips"), *files),
        (vectors,),
        lambda: given,
        packages=("sentence-transformers", "torch"),
        as_read=lambda: under(workspace, provenance.of_table(vectors).inputs),
    )


def mine_pairs(
    workspace: Workspace, fpv: str, tpv: Sequence[str], encoder: str, chosen: Mapping[str, Any]
) -> Step:
    """Vectors of both sides -> pairs; `chosen` are the options of `mine-pairs`."""
    pairs = workspace.pairs(fpv, list(tpv))
    datasets = dict.fromkeys([fpv, *tpv])
    given = {key: value for key, value in chosen.items() if _MINING.get(key) != value}
    sides = [("--fpv", fpv), *(("--tpv", name) for name in tpv), ("--encoder", encoder)]
    return Step(
        "mine-pairs",
        pairs.stem,
        ("mine-pairs", *(word for side in sides for word in side), *options(given)),
        workspace.receipt("mine-pairs", pairs.stem),
        (
            *(workspace.table(name, "clips") for name in datasets),
            *(workspace.narrations(name, encoder) for name in datasets),
        ),
        (pairs,),
        lambda: {"encoder": encoder, **_MINING, **given},
        packages=("faiss-gpu", "faiss-cpu", "numpy", "polars"),
        as_read=lambda: under(workspace, provenance.of_table(pairs).inputs),
    )


def histogram(
    workspace: Workspace, tables: Sequence[Path], out: Path, by: str, class_stat: str
) -> Step:
    """Pairs tables -> Fig. 2."""
    named = [path.stem.partition("--") for path in tables]
    fpv, tpv = ([*dict.fromkeys(name[side] for name in named)] for side in (0, 2))
    about = workspace.relative_or_absolute(out)
    sides = [*(("--fpv", name) for name in fpv), *(("--tpv", name) for name in tpv)]
    chosen = {"by": by, "class_stat": class_stat}
    return Step(
        "histogram",
        about,
        (
            "histogram",
            *(word for side in sides for word in side),
            *options({key: value for key, value in chosen.items() if value != _DRAWING[key]}),
            *("--out", str(out)),
        ),
        workspace.receipt("histogram", re.sub(r"[^\w.+-]+", ".", about).strip(".")),
        (*tables, *(workspace.table(name, "clips") for name in fpv)),
        (out,),
        lambda: {**chosen, "pairs": [path.stem for path in tables]},
        packages=("matplotlib", "polars"),
    )
