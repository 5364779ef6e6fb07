"""`mine-pairs`: making pseudo-pairs, and saying beforehand what that takes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from sumlctl import console
from sumlctl.cli.common import (
    CURRENT_FOLDER,
    AddressOption,
    DeviceOption,
    Engine,
    EngineOption,
    JsonOption,
    WorkspaceOption,
)
from sumlctl.cli.pairs import show_bars
from sumlctl.jobs import locks
from sumlctl.mining.options import MiningOptions
from sumlctl.workspace import Workspace

_USUAL = MiningOptions()


def register(app: typer.Typer) -> None:
    app.command()(mine_pairs)


def mine_pairs(
    fpv: Annotated[
        str | None, typer.Option(help="Dataset whose first-person clips are paired.")
    ] = None,
    tpv: Annotated[
        list[str] | None, typer.Option(help="Dataset of the third-person pool; repeatable.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split of both sides.")] = "train",
    top_k: Annotated[
        int, typer.Option(min=1, help="Narrations per first-person clip.")
    ] = _USUAL.top_k,
    min_similarity: Annotated[
        float, typer.Option(min=-1, max=1, help="Drop pairs below; -1 keeps all.")
    ] = _USUAL.min_similarity,
    assign: Annotated[
        str, typer.Option(help="Clip that stands for a narration: first or spread.")
    ] = _USUAL.assign,
    match: Annotated[
        str, typer.Option(help="text, as in the paper, or labels first, as in the released code.")
    ] = "text",
    index: Annotated[
        str, typer.Option(help="exact, or ivf, which finds --recall of the partners sooner.")
    ] = _USUAL.index,
    recall: Annotated[
        float, typer.Option(help="Fraction of the partners that --index ivf is to find.")
    ] = _USUAL.recall,
    seed: Annotated[int, typer.Option(help="For --assign spread and --index ivf.")] = _USUAL.seed,
    encoder: Annotated[str | None, typer.Option(help="Whose narration vectors to use.")] = None,
    device: DeviceOption = "auto",
    engine: EngineOption = Engine.LOCAL,
    address: AddressOption = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what it would take, and do nothing.")
    ] = False,
    plan_queries: Annotated[
        int | None, typer.Option(min=1, help="Plan for so many narrations, without datasets.")
    ] = None,
    plan_base: Annotated[int | None, typer.Option(min=1, help="And for a pool of so many.")] = None,
    workspace: WorkspaceOption = CURRENT_FOLDER,
    json: JsonOption = False,
) -> None:
    """Find the best third-person clip for each first-person clip."""
    from sumlctl.jobs import executors
    from sumlctl.mining import mine as pairs
    from sumlctl.mining import side as pool
    from sumlctl.mining import similarity
    from sumlctl.mining.summary import say_left_out, summarise
    from sumlctl.workflow import data_steps, records

    if plan_queries and plan_base:
        _plan(workspace, json, {"queries": plan_queries, "base": plan_base, "top_k": top_k})
        return
    if not fpv or not tpv:
        raise typer.BadParameter("--fpv and --tpv name the datasets")
    for name in (fpv, *tpv):
        pool.check_dataset(workspace, name)
    if plan:
        _plan(workspace, json, None, fpv, tpv, split, top_k, encoder)
        return
    settings = pairs.MiningSettings(
        top_k, min_similarity, assign, index, recall, seed, split=split, match=match
    )
    step = data_steps.mine_pairs(workspace, fpv, tpv, encoder or "", settings.as_dict())
    with (
        executors.executor(engine, 1, address) as who,
        locks.alone(workspace, f"mine-pairs {step.about}"),
        records.in_progress(workspace, step),
    ):
        mined = pairs.mine(
            fpv, tpv, workspace, settings, encoder=encoder, device=device, executor=who
        )
        step = data_steps.mine_pairs(workspace, fpv, tpv, mined.encoder, settings.as_dict())
        records.commit(workspace, step)
    for side in (mined.fpv, mined.tpv):
        say_left_out(side)
    summary = summarise(mined)
    by = "class" if mined.fpv.labelled else "clip"
    bars = similarity.distribution(mined.written, workspace, by=by)
    summary["histogram"] = asdict(bars)
    summary["written"] = str(mined.written)
    if json:
        console.show_json(summary)
        return
    _show_summary(f"{fpv} → {'+'.join(tpv)}", summary)
    show_bars([bars])
    console.note(f"wrote {mined.written}")


def _show_summary(title: str, s: dict[str, Any]) -> None:
    proof, q, same, reused = s["certified"], s["similarity"], s["same"], s["most_reused"]
    used = s["tpv_clips_used"]
    rows = [
        ("first-person clips", f"{s['fpv_clips']:,} ({s['fpv_narrations']:,} narrations)"),
        ("third-person clips", f"{s['tpv_clips']:,} ({s['tpv_narrations']:,} narrations)"),
        (
            "certified exact",
            f"{proof['share']:.1%} of narrations ({proof['at_once']:.1%} at once)",
        ),
        (
            "similarity",
            f"min {q['min']:.3f}, quartiles {q['q1']:.3f} {q['median']:.3f} {q['q3']:.3f}, "
            f"max {q['max']:.3f}",
        ),
        ("first-person clips without a pair", f"{s['fpv_clips_without_pair']:,}"),
        ("third-person clips used", f"{used:,}, never used {s['tpv_clips_unused']:,}"),
    ]
    if s["ivf"]:
        ivf = s["ivf"]
        audit = f"{ivf['right']:,} of {ivf['audited']:,} right: at least {ivf['at_least']:.2%}"
        rows[3:3] = [
            ("searched", f"{ivf['probes']:,} of {ivf['lists']:,} lists for each narration"),
            ("audit, exact", f"{audit} of all, with 95 % confidence"),
        ]
    if reused:
        share = f"{reused['pairs']:,} pairs ({reused['share']:.1%})"
        rows.append(("most reused", f"{reused['tpv_clip_id']}: {share}"))
    if s["labelled_pairs"]:
        agree = ", ".join(f"{key} {value:.1%}" for key, value in same.items())
        rows.append(("same label", f"{agree} (of {s['labelled_pairs']:,} labelled pairs)"))
    console.show_table(title, ("", ""), rows)


def _plan(workspace: Workspace, json: bool, given: dict[str, int] | None, *datasets: Any) -> None:
    """Tells the costs of sizes that are given, or of datasets."""
    from sumlctl.mining import cost as plan

    sizes = plan.Sizes(**given) if given else plan.Sizes.of(workspace, *datasets)
    told = plan.plan(sizes, plan.measure(sizes.dimension))
    if json:
        console.show_json(told)
        return
    size = f"{told['queries']:,} x {told['base']:,} narrations, {told['dimension']} components"
    rows = [
        (
            cost["where"],
            cost["index"],
            f"{cost['multiply_adds']:.2g}",
            plan.duration(cost["seconds"]),
            _bytes(cost["memory"]),
            _bytes(cost["gpu_memory"]),
            _bytes(cost["disk"]),
        )
        for cost in told["costs"]
    ]
    header = ("on", "index", "multiply-adds", "time", "memory", "GPU memory", "disk")
    console.show_table(f"plan: {size}, top {told['top_k']}", header, rows)
    console.show(f"--index {told['index']}: {told['why']}")
    measured, reached = told["measured"], told["assumed"]["share_of_gpu_reached"]
    console.note(
        f"measured here: {measured['exact']:.2g} multiply-adds/s, "
        f"{_bytes(measured['disk'])}/s to the disk; of a GPU's published throughput and bandwidth "
        f"{reached:.0%} are assumed, of the lists {told['assumed']['share_of_lists_probed']:.0%}; "
        "several GPUs or machines divide the time"
    )


def _bytes(count: float) -> str:
    for size, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count / 1e6:.1f} MB" if count else "-"
