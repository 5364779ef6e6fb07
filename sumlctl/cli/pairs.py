"""`histogram` and `pairs`: looking at pseudo-pairs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from sumlctl import console
from sumlctl.cli.common import CURRENT_FOLDER, App, JsonOption, WorkspaceOption

FpvOption = Annotated[str | None, typer.Option("--fpv", help="First-person dataset.")]
PoolOption = Annotated[
    list[str] | None,
    typer.Option("--tpv", help="Third-person pool: A+B, or repeated as for mine-pairs."),
]


def register(app: typer.Typer) -> None:
    app.command()(histogram)
    group = App(help="List pseudo-pairs, explain one.", no_args_is_help=True)
    group.command("show")(show)
    group.command("list")(list_pairs)
    app.add_typer(group, name="pairs")


def show_bars(distributions: list[Any]) -> None:
    from sumlctl.mining.similarity import range_names

    first = distributions[0]
    counted = "action classes" if first.by == "class" else "clips"
    header = ["pairs", counted, "mean", *range_names(first.edges), "without pair"]
    rows = [
        [d.label, d.n, d.mean, *(f"{s:6.1%} {'█' * round(10 * s)}" for s in d.shares), d.without]
        for d in distributions
    ]
    console.show_table(f"share of {counted} per range of similarity (Fig. 2)", header, rows)


def histogram(
    fpv: Annotated[list[str] | None, typer.Option(help="First-person dataset; repeatable.")] = None,
    tpv: Annotated[
        list[str] | None, typer.Option(help="Third-person pool, A or A+B; repeatable.")
    ] = None,
    by: Annotated[str, typer.Option(help="class or clip.")] = "class",
    class_stat: Annotated[str, typer.Option(help="mean or max over a class's clips.")] = "mean",
    out: Annotated[Path | None, typer.Option(help="Picture: .png, .svg or .pdf.")] = None,
    workspace: WorkspaceOption = CURRENT_FOLDER,
    json: JsonOption = False,
) -> None:
    """Draw the histogram of pair similarities, as the paper does."""
    from sumlctl.mining import similarity

    for option, value, known in (
        ("--by", by, ("class", "clip")),
        ("--class-stat", class_stat, ("mean", "max")),
    ):
        if value not in known:
            raise typer.BadParameter(f"{option} takes {' or '.join(known)}, got {value}")
    chosen = similarity.tables_of(workspace, fpv or [], tpv or [])
    found = [similarity.distribution(p, workspace, by=by, class_stat=class_stat) for p in chosen]
    if out:
        from sumlctl.report.figures import similarity_figure
        from sumlctl.workflow import data_steps, records

        step = data_steps.histogram(workspace, chosen, out, by, class_stat)
        with records.in_progress(workspace, step):
            similarity_figure(found, similarity.range_names(found[0].edges), out)
            records.commit(workspace, step)
    if json:
        console.show_json([asdict(d) for d in found])
    else:
        show_bars(found)
        levels = [i / 10 for i in range(3, 10)]
        rows = [[d.label, *(f"{dict(d.coverage)[s]:.1%}" for s in levels)] for d in found]
        header = ["pairs", *(f"≥ {s:g}" for s in levels)]
        console.show_table("share of clips at or above a similarity", header, rows)
    if out:
        console.note(f"wrote {out}")


def _table(workspace: Any, fpv: str | None, tpv: list[str] | None) -> Path:
    """The pairs table meant; when several fit, the first by name, and says so."""
    from sumlctl.mining.similarity import tables_of

    chosen = tables_of(workspace, [fpv] if fpv else [], ["+".join(tpv)] if tpv else [])
    if len(chosen) > 1:
        others = ", ".join(path.stem for path in chosen[1:])
        console.note(f"looking at {chosen[0].stem}; also there: {others} (--fpv, --tpv)")
    return chosen[0]


def show(
    clip_id: Annotated[str, typer.Argument(metavar="CLIP_ID")],
    fpv: FpvOption = None,
    tpv: PoolOption = None,
    workspace: WorkspaceOption = CURRENT_FOLDER,
    json: JsonOption = False,
) -> None:
    """Explain one pair: the winner, the next five, the margin."""
    from sumlctl.mining import explain

    table = _table(workspace, fpv or clip_id.split("/")[0], tpv)
    found = explain.show(table, clip_id, workspace)
    if json:
        console.show_json(found)
        return
    console.show(f"{clip_id}: {found['fpv_narration']}")
    alike = found["fpv_clips_with_this_narration"]
    console.show(f"{alike:,} first-person clips say so; encoder {found['encoder']}")
    for pair in found["pairs"]:
        agree = f"same verb {_word(pair['shared_verb'])}, same noun {_word(pair['shared_noun'])}"
        said = f"{pair['tpv_narration']} ({pair['similarity']:.3f}; {agree})"
        console.show(f"rank {pair['rank']}: {pair['tpv_clip_id']}: {said}")
    ranked = [found["winner"], *found["next"]]
    rows = [[i, r["similarity"], r["clips"], r["narration"]] for i, r in enumerate(ranked)]
    console.show_table("nearest narrations", ("rank", "similarity", "clips", "narration"), rows)
    if found["margin"] is not None:
        console.show(f"margin {found['margin']:.4f}")


def _word(value: bool | None) -> str:
    return {True: "yes", False: "no", None: "not labelled"}[value]


def list_pairs(
    fpv: FpvOption = None,
    tpv: PoolOption = None,
    sort: Annotated[str, typer.Option(help="similarity, -similarity or clip.")] = "similarity",
    contains: Annotated[str, typer.Option(help="Text in either narration.")] = "",
    low: Annotated[float, typer.Option("--min", help="Least similarity.")] = -1.0,
    high: Annotated[float, typer.Option("--max", help="Greatest similarity.")] = 1.0,
    verb: Annotated[bool | None, typer.Option("--same-verb/--other-verb")] = None,
    noun: Annotated[bool | None, typer.Option("--same-noun/--other-noun")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Rows shown; 0 for all.")] = 20,
    workspace: WorkspaceOption = CURRENT_FOLDER,
    json: JsonOption = False,
) -> None:
    """List pairs, sorted and filtered."""
    from sumlctl.mining import explain

    table = _table(workspace, fpv, tpv)
    rows, total = explain.listing(
        table, sort=sort, contains=contains, low=low, high=high, verb=verb, noun=noun, limit=limit
    )
    if json:
        console.show_json(rows.to_dicts())
        return
    header = ("similarity", "fpv_narration", "tpv_narration", "shared_verb", "shared_noun")
    columns = ["fpv_clip_id", *header, "tpv_clip_id"]
    names = [c.replace("_", " ") for c in columns]
    console.show_table(f"{table.stem}: {total:,} pairs", names, rows.select(columns).rows())
