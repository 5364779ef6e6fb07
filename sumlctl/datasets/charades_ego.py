"""Charades-Ego annotations, v0 and v1: a row is a video, each of its actions is a clip."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from sumlctl.config.dataset import DatasetConfig
from sumlctl.datasets import annotations as an
from sumlctl.datasets import options, times
from sumlctl.errors import SumlError

_ACTION = r"^(c\d{3}) (\d+(?:\.\d+)?) (\d+(?:\.\d+)?)$"

# File name -> (split, viewpoint); None as viewpoint: the row tells (`egocentric`), or it is v0.
_V0 = {
    "CharadesEgo_v0_train.csv": ("train", "tpv"),
    "CharadesEgo_v0_test.csv": ("test", "tpv"),
    "CharadesEgo_v0_egocentric_test.csv": ("test", "fpv"),
}
_V1 = {
    "CharadesEgo_v1_train_only1st.csv": ("train", "fpv"),
    "CharadesEgo_v1_train_only3rd.csv": ("train", "tpv"),
    "CharadesEgo_v1_test_only1st.csv": ("test", "fpv"),
    "CharadesEgo_v1_test_only3rd.csv": ("test", "tpv"),
}
_V1_MIXED = {"CharadesEgo_v1_train.csv": "train", "CharadesEgo_v1_test.csv": "test"}


def read(card: DatasetConfig, annotations: Path, videos: Path) -> an.Annotations:
    """Reads the release that is in the folder; v1 wins where both are.

    v0: a train row describes the third-person video; its first-person twin `<id>EGO` was acted
    from the same script and has no times of its own, so the twin's clips carry the times of the
    third-person video. v1: every video has its own row. Instances that end before they start,
    which the published files hold, are left out and counted.

    Card options:
        classes: class list, `c000 Name` per line.
        mapping: class, object and verb ids per line, such as `c000 o009 v008`.
    """
    options.check(card, {"classes", "mapping"})
    classes = an.annotation_file(annotations, str(options.value_of(card, "classes", str)), card)
    mapping = an.annotation_file(annotations, str(options.value_of(card, "mapping", str)), card)
    release, frames, files, notes, left_out = _release(card, annotations)
    rows = pl.concat(frames).join(
        _classes(classes, mapping), on="action", how="left", maintain_order="left"
    )
    expected = f"a class of {classes.name}"
    an.refuse(rows, pl.col("narration").is_null(), "unknown action", "action", expected)
    number = pl.int_range(pl.len()).over("video_id").cast(pl.String)
    rows = rows.with_columns(native_id=pl.col("video_id") + "_" + number).select(*an.COLUMNS)
    return an.Annotations(rows, (*files, classes, mapping), release, notes, left_out)


def _release(
    card: DatasetConfig, annotations: Path
) -> tuple[str, list[pl.DataFrame], list[Path], tuple[str, ...], times.LeftOut]:
    def present(names: dict[str, object]) -> list[Path]:
        return [annotations / name for name in names if (annotations / name).is_file()]

    if files := present(dict(_V1)):
        release, frames = "v1", [_instances(p, *_V1[p.name]) for p in files]
    elif files := present(dict(_V1_MIXED)):
        release, frames = "v1", [_instances(p, _V1_MIXED[p.name], None) for p in files]
    elif files := present(dict(_V0)):
        release, frames = "v0", [_instances(p, *_V0[p.name]) for p in files]
    else:
        raise SumlError(
            annotations,
            "no annotation file of Charades-Ego",
            got="none",
            expected=f"{next(iter(_V1))} or {next(iter(_V0))}",
            fix=f"Get them from {card.homepage} or point --annotations at their folder.",
        )
    found = [times.usable(frame, "start_s", "stop_s") for frame in frames]
    kept, left_out = [frame for frame, _ in found], sum((left for _, left in found), times.NOTHING)
    notes = []
    if left_out.count:
        notes.append(f"{left_out.count:,} action instances that end before they start are left out")
    if files[0].name == "CharadesEgo_v0_train.csv":
        kept.insert(1, _twins(kept[0]))
        notes.append(
            f"{kept[1].height:,} first-person training clips carry the times of their "
            "third-person twins: release v0 has none of their own"
        )
    return release, kept, files, tuple(notes), left_out


def _twins(third_person: pl.DataFrame) -> pl.DataFrame:
    return third_person.with_columns(viewpoint=pl.lit("fpv"), video_id=pl.col("video_id") + "EGO")


def _instances(path: Path, split: str, viewpoint: str | None) -> pl.DataFrame:
    """One row per `c092 11.90 21.20` of the actions column."""
    frame = an.read_table(path)
    an.require_columns(frame, ("id", "subject", "actions"), path)
    if viewpoint is None:
        an.require_columns(frame, ("egocentric",), path)
        first = pl.col("egocentric").str.to_lowercase() == "yes"
        side = pl.when(first).then(pl.lit("fpv")).otherwise(pl.lit("tpv"))
    else:
        side = pl.lit(viewpoint)
    actions = frame.select(
        viewpoint=side,
        split=pl.lit(split),
        video_id="id",
        participant=pl.col("subject").fill_null(""),
        instance=pl.col("actions").str.split(";"),
        _source="_source",
    )
    actions = actions.explode("instance").filter(pl.col("instance").str.strip_chars() != "")
    parts = pl.col("instance").str.strip_chars().str.extract_groups(_ACTION).struct
    actions = actions.with_columns(
        action=parts.field("1"),
        start_s=parts.field("2").cast(pl.Float64),
        stop_s=parts.field("3").cast(pl.Float64),
    )
    bad = pl.col("action").is_null()
    an.refuse(actions, bad, "bad timestamp or action", "instance", "such as c092 11.90 21.20")
    return actions.drop("instance")


def _classes(classes: Path, mapping: Path) -> pl.DataFrame:
    """Class -> narration, action id, noun id and verb id."""
    named = pl.DataFrame(_lines(classes, 2), _texts("action", "narration"), orient="row")
    mapped = pl.DataFrame(_lines(mapping, 3), _texts("action", "noun", "verb"), orient="row")
    named, mapped = named.unique("action", keep="first"), mapped.unique("action", keep="first")

    def ids(column: str) -> pl.Expr:
        return pl.concat_list(pl.col(column).str.slice(1).cast(pl.Int32, strict=False))

    return named.join(mapped, on="action", how="left", maintain_order="left").select(
        "action", "narration", verbs=ids("verb"), nouns=ids("noun"), actions=ids("action")
    )


def _texts(*columns: str) -> dict[str, type[pl.String]]:
    return dict.fromkeys(columns, pl.String)


def _lines(path: Path, words: int) -> list[list[str]]:
    """The words of every line that is not empty; the last one is the rest of the line."""
    lines = []
    for number, line in enumerate(an.read_text(path).splitlines(), 1):
        parts = line.strip().split(maxsplit=words - 1)
        if parts and len(parts) < words:
            raise an.malformed(f"{path.name} line {number}", repr(line), f"{words} words or more")
        lines.append(parts)
    return [parts for parts in lines if parts]
