"""`cam` and `retrieve`: looking at what a run has learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sumlctl import console
from sumlctl.cli.common import CURRENT_FOLDER, DecoderOption, JsonOption, WorkspaceOption

if TYPE_CHECKING:
    import numpy as np

    from sumlctl.evaluation.retrieval.search import Answer

CheckpointOption = Annotated[
    str | None, typer.Option(help="File under the run's checkpoints; default stage_two.pt.")
]
SplitOption = Annotated[str | None, typer.Option(help="Default: the run's evaluation split.")]
_SHOWN = 5  # results of a text on the terminal


def register(app: typer.Typer) -> None:
    app.command()(cam)
    app.command()(retrieve)


def cam(
    run: Annotated[str, typer.Argument(metavar="RUN")],
    against: Annotated[
        str | None, typer.Option(metavar="RUN", help="A run to show beside it, such as FPV only.")
    ] = None,
    clip: Annotated[
        list[str] | None, typer.Option(metavar="CLIP_ID", help="Which clip; may be repeated.")
    ] = None,
    split: SplitOption = None,
    count: Annotated[int, typer.Option(min=1, help="How many clips, evenly spread.")] = 8,
    of: Annotated[str, typer.Option(help="Which class: truth or predicted.")] = "truth",
    relative: Annotated[
        bool, typer.Option("--relative", help="Leave out what speaks for all classes alike.")
    ] = False,
    checkpoint: CheckpointOption = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Default: runs/RUN/figures/cam.")
    ] = None,
    decoder: DecoderOption = None,
    workspace: WorkspaceOption = CURRENT_FOLDER,
    json: JsonOption = False,
) -> None:
    """Draw class activation maps over whole frames (Fig. 4): a strip and an animation per clip."""
    from sumlctl import config
    from sumlctl.evaluation.cam import examples as maps
    from sumlctl.report import heatmaps
    from sumlctl.workflow import records, run_steps

    folder = out or workspace.run(run) / "figures" / "cam"
    chosen: dict[str, Any] = {
        "against": against,
        "split": split,
        "count": count,
        "of": of,
        "relative": relative,
        "checkpoint": checkpoint,
    }
    pipeline = config.load(workspace.find_run(run) / "pipeline.toml")
    if decoder and decoder != pipeline.decoder:
        chosen["decoder"] = decoder
    step = run_steps.cam(workspace, run, pipeline.data, chosen | {"clip": clip}, out)
    shown: list[dict[str, Any]] = []
    with records.in_progress(workspace, step):
        for example in maps.cam(workspace, run, clip_ids=clip or (), **chosen):
            name = heatmaps.file_stem(example.clip_id)
            strip, animation = folder / f"{name}.png", folder / f"{name}.webp"
            heatmaps.strip(example, strip)
            heatmaps.animation(example, animation)
            shown.append(
                {
                    "clip_id": example.clip_id,
                    "narration": example.narration,
                    "strip": str(strip),
                    "animation": str(animation),
                    "panels": [panel.describe() for panel in example.panels],
                }
            )
        records.commit(workspace, step)
    if json:
        console.show_json(shown)
        return
    panels = [panel for one in shown for panel in one["panels"]]
    header = ("clip_id", "run", "viewpoint", "task", "class_name", "of", "probability")
    rows = [[panel[column] for column in header] for panel in panels]
    names = [column.replace("_", " ") for column in header]
    console.show_table("class activation maps", names, rows)
    console.note(f"wrote {len(shown)} strips (.png) and animations (.webp) to {folder}")


def retrieve(
    run: Annotated[str, typer.Argument(metavar="RUN")],
    query: Annotated[
        str | None, typer.Option(help="fpv, tpv or text; default fpv, with --text text.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="fpv or tpv; default the view that is not the query.")
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option(help="What to search for; may be repeated.")
    ] = None,
    split: SplitOption = None,
    tpv_split: Annotated[
        str | None, typer.Option(help="Split of the third-person clips, if it is another.")
    ] = None,
    relevant: Annotated[
        str | None,
        typer.Option(help="verb, noun, action, both, iou or narration; default all labels tell."),
    ] = None,
    threshold: Annotated[
        float, typer.Option(min=-1, max=1, help="Cosine that similar narrations exceed.")
    ] = 0.5,
    k: Annotated[str, typer.Option(metavar="K,K...", help="Ranks of recall.")] = "1,5,10",
    views: Annotated[
        str, typer.Option(metavar="TxS", help="Temporal x spatial views, such as 10x3.")
    ] = "1x1",
    checkpoint: CheckpointOption = None,
    encoder: Annotated[
        str | None, typer.Option(help="Folder of the narration encoder, for a new --text.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Picture of queries and results.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Queries on the sheet, evenly spread.")] = 8,
    decoder: DecoderOption = None,
    workspace: WorkspaceOption = CURRENT_FOLDER,
    json: JsonOption = False,
) -> None:
    """Search across views, or by text, and say how well that works."""
    from sumlctl.evaluation.retrieval import search
    from sumlctl.report.contact_sheet import contact_sheet

    question = search.Question(
        query=query or ("text" if text else "fpv"),
        base=base,
        split=split,
        tpv_split=tpv_split,
        texts=[_cleaned(one) for one in text or ()],
        relevant=relevant,
        threshold=threshold,
        ks=_ranks(k),
        shown=_SHOWN,
        views=views,
    )

    def encode(made_by: Mapping[str, Any], texts: Sequence[str]) -> np.ndarray:
        return _encoded(made_by, texts, encoder)

    answer = search.retrieve(workspace, run, question, encode, checkpoint, decoder)
    if sheet:
        contact_sheet(answer, sheet, count)
    if json:
        console.show_json({"metrics": answer.metrics, "queries": answer.results()})
    else:
        _show(answer, text is not None)
    if sheet:
        console.note(f"wrote {sheet}")


def _ranks(text: str) -> list[int]:
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and int(word) > 0 for word in words):
        raise typer.BadParameter(f"{text!r} is not ranks such as 1,5,10", param_hint="--k")
    return sorted({int(word) for word in words})


def _cleaned(text: str) -> str:
    from sumlctl.datasets.clean import clean

    if not (cleaned := clean(text)):
        raise typer.BadParameter("there is nothing to search for", param_hint="--text")
    return cleaned


def _encoded(made_by: Mapping[str, Any], texts: Sequence[str], folder: str | None) -> np.ndarray:
    """Unit vectors of new texts, by the encoder that made those of the narrations."""
    import numpy as np

    from sumlctl.config import registry
    from sumlctl.errors import SumlError
    from sumlctl.narrations.choose import choose
    from sumlctl.tables.narration_vectors import described, differences

    choice = choose(folder or made_by["name"], made_by.get("prompt_name"))
    identity = choice.identity()
    if other := differences(identity, made_by):
        raise SumlError(
            f"encoder {choice.name}",
            f"other {' and '.join(other)} than those that made the narrations' vectors",
            got=described({"name": choice.name, **identity}),
            expected=described(made_by),
            fix="Give --encoder the folder that `sumlctl embed` was given.",
        )
    if "fingerprint" not in made_by:
        console.warn("of the narrations' encoder the weights alone are known: embed them again")
    encoder = registry.load("encoders", choice.module)(choice.folder, prompt=choice.prompt)
    vectors = np.asarray(encoder.encode(texts, len(texts)), np.float64)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _show(answer: Answer, asked: bool) -> None:
    where = f"{len(answer.base.vectors):,} {answer.base.name} clips"
    if asked:
        found = ("similarity", "clip_id", "narration")
        for query in answer.results():
            rows = [[one[name] for name in found] for one in query["results"][:_SHOWN]]
            header = [name.replace("_", " ") for name in found]
            console.show_table(f"“{query['narration']}” in {where}", header, rows)
    if answer.metrics:
        columns = ("subset", "metric", "k", "value", "chance", "n_clips")
        header = ["relevant", *columns[1:-1], "queries"]
        rows = [[row[name] for name in columns] for row in answer.metrics]
        console.show_table(f"{answer.metrics[0]['task']}, {where}", header, rows)
