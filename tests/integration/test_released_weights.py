"""Weights in the layouts of released files, scored on real clips by each dataset's protocol."""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, top_k_accuracy_score

from sumlctl import tables
from tests.annotation_files import write_csv
from tests.unit.learning.weights import peers

# Two of the 14 validation videos of EPIC-KITCHENS-55 are among the clips.
PIPELINE = """
precision = "32-true"
workers = 0
input = { frames = 8, stride = 8, short_side = [64, 64], crop = 64 }
backbone = { name = "slowfast50" }
evaluation = { temporal_views = 2, spatial_views = 1, batch_size = 4 }
"""
SAID = {"open": "open", "pick-up": "take", "turn-on": "turn-on"}


@pytest.fixture
def kitchen(workspace, shared_data: Path):
    workspace.pipelines.mkdir(parents=True)
    (workspace.pipelines / "small.toml").write_text(PIPELINE)
    rows = list(csv.DictReader((shared_data / "real_fpv.csv").open()))
    for row in rows:
        row["participant"], row["id"] = row["video"].removesuffix(".mp4").split("_")[-2:]
    return workspace, shared_data, rows


def classes(path: Path, forms: str) -> dict[str, str]:
    """Every form of a class -> its id."""
    found: dict[str, str] = {}
    for row in csv.DictReader(path.open()):
        for form in row[forms].strip("[]").replace("'", "").split(", "):
            found.setdefault(form, row.get("id") or row.get("verb_id") or row.get("noun_id"))
    return found


def clock(seconds: str) -> str:
    return f"00:00:{float(seconds):05.2f}"


def copy_video(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def annotated(kitchen, dataset: str, tmp_path: Path, *replaced: str) -> tuple[Path, Path]:
    """A dataset's published annotations but those that are replaced, and a folder for videos."""
    _, shared, _ = kitchen
    folder = tmp_path / "annotations"
    folder.mkdir()
    for path in (shared / "annotations" / dataset).iterdir():
        if path.name not in replaced:
            shutil.copyfile(path, folder / path.name)
    return folder, tmp_path / "videos"


def epic_rows(rows, verbs, nouns, names, key: str) -> list[dict[str, str]]:
    return [
        {
            key: str(i) if key == "uid" else f"{name}_{i}",
            "participant_id": row["participant"],
            "video_id": name,
            "narration": row["narration"],
            "start_timestamp": clock(row["start_s"]),
            "stop_timestamp": clock(row["stop_s"]),
            "verb": row["verb"],
            "verb_class": verbs[row["verb"]],
            "noun": row["noun"],
            "noun_class": nouns[row["noun"]],
            "all_nouns": f"['{row['noun']}']",
            "all_noun_classes": f"[{nouns[row['noun']]}]",
        }
        for i, (row, name) in enumerate(zip(rows, names, strict=True))
    ]


def predictions_of(workspace, run: str) -> dict[str, tuple[np.ndarray, list[list[int]]]]:
    rows = pl.DataFrame(tables.read(workspace.run(run) / "predictions.parquet", "predictions"))
    return {
        task: (np.array(part["scores"].to_list()), part["target"].to_list())
        for (task,), part in rows.group_by(["task"])
    }


def metrics_of(workspace, run: str) -> dict[tuple, float]:
    table = tables.read(workspace.run(run) / "metrics.parquet", "metrics")
    return {(r["task"], r["subset"], r["metric"], r["k"]): r["value"] for r in table.to_pylist()}


def results(path: Path) -> dict[str, object]:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("test.json"))["results"]


def check_top_k(found, scored, sizes: dict[str, int], subset: str) -> None:
    for task, size in sizes.items():
        scores, target = scored[task]
        truth = [labels[0] for labels in target]
        for k in (1, 5):
            expected = top_k_accuracy_score(truth, scores, k=k, labels=range(size))
            assert found[task, subset, "accuracy", k] == pytest.approx(expected, abs=1e-9)


def test_epic_100_by_ego_exo_weights(kitchen, sumlctl, tmp_path):
    workspace, shared, rows = kitchen
    replaced = ("EPIC_100_train.csv", "EPIC_100_validation.csv")
    folder, videos = annotated(kitchen, "ek100", tmp_path, *replaced)
    verbs = classes(folder / "EPIC_100_verb_classes.csv", "instances")
    nouns = classes(folder / "EPIC_100_noun_classes.csv", "instances")
    names = [f"{row['participant']}_{row['id']}_{i}" for i, row in enumerate(rows)]
    made = epic_rows(rows, verbs, nouns, names, "narration_id")
    write_csv(folder / "EPIC_100_train.csv", made[:1])
    write_csv(folder / "EPIC_100_validation.csv", made[1:])
    bare = ("narration_id", "participant_id", "video_id", "start_timestamp", "stop_timestamp")
    write_csv(
        folder / "EPIC_100_test_timestamps.csv",
        [{n: row[n] for n in bare} | {"narration_id": f"T_{i}"} for i, row in enumerate(made)],
    )
    for row, name in zip(rows, names, strict=True):
        copy_video(shared / "videos" / "fpv" / row["video"], videos / f"{name}.mp4")
    where = ("--annotations", str(folder))
    assert sumlctl("index", "ek100", *where, "--videos", str(videos)).code == 0
    state = peers.trunk(True) | peers.filled(peers.head("headepic100", 97, 300), seed=4)
    path = peers.saved(tmp_path / "ego-exo.pyth", state)
    submitted = tmp_path / "submission.zip"
    words = ("--checkpoint", str(path), "--fpv", "ek100", "--pipeline", "small")
    done = sumlctl("eval", *words, *where, "--submission", str(submitted), "--ci", "--confusion")
    assert done.code == 0, done.err
    found, scored = (
        metrics_of(workspace, "ek100.ego-exo"),
        predictions_of(workspace, "ek100.ego-exo"),
    )
    assert scored["verb"][0].shape == (17, 97)
    check_top_k(found, scored, {"verb": 97, "noun": 300}, "all")
    both = np.einsum("nv,nm->nvm", scored["verb"][0], scored["noun"][0]).reshape(17, -1)
    truth = [v[0] * 300 + n[0] for v, n in zip(scored["verb"][1], scored["noun"][1], strict=True)]
    for k in (1, 5):
        best = np.argsort(-both, axis=1)[:, :k]
        expected = np.mean([t in row for t, row in zip(truth, best, strict=True)])
        assert found["action", "all", "accuracy", k] == pytest.approx(expected)
    assert len(results(submitted)) == 17
    words = ("ek100.ego-exo", "--split", "test", "--submission", str(submitted), "--views", "1x1")
    done = sumlctl("eval", *words, *where)
    assert done.code == 0, done.err
    assert "no clip of split test has a label: nothing is scored" in done.err
    assert list(results(submitted)) == [f"T_{i}" for i in range(18)]


def test_epic_55_by_sum_l_weights(kitchen, sumlctl, tmp_path):
    workspace, shared, rows = kitchen
    labels = "EPIC_train_action_labels.csv"
    folder, videos = annotated(kitchen, "ek55", tmp_path, labels)
    held_out = [row for row in rows if (row["participant"], row["id"]) == ("P01", "18")]
    others = [row for row in rows if row["participant"] == "P04"]
    # One file stands for the video P01_18; both clips are taken from it.
    chosen, names = held_out + others, ["P01_18", "P01_18", *(f"P04_9{i}" for i in range(2))]
    verbs = classes(folder / "EPIC_verb_classes.csv", "verbs")
    nouns = classes(folder / "EPIC_noun_classes.csv", "nouns")
    write_csv(folder / labels, epic_rows(chosen, verbs, nouns, names, "uid"))
    for row, name in zip(reversed(chosen), reversed(names), strict=True):
        copy_video(shared / "videos" / "fpv" / row["video"], videos / f"{name}.mp4")
    where = ("--annotations", str(folder))
    assert sumlctl("index", "ek55", *where, "--videos", str(videos)).code == 0
    third = peers.filled(peers.shapes(t="_t"), peers.head("head_lemma", 25, 64), seed=2)
    state = peers.trunk(True) | third | peers.filled(peers.head("headepic", 125, 352), seed=5)
    path = peers.saved(tmp_path / "sum-l.pyth", state)
    words = ("--checkpoint", str(path), "--fpv", "ek55", "--pipeline", "small")
    done = sumlctl("eval", *words, *where)
    assert done.code == 0, done.err
    assert "protocol ek55" in done.out and "sum-l weights of slowfast50" in done.err
    found, scored = metrics_of(workspace, "ek55.sum-l"), predictions_of(workspace, "ek55.sum-l")
    check_top_k(found, scored, {"verb": 125, "noun": 352}, "all")


def test_charades_ego_by_ego_exo_weights(kitchen, sumlctl, tmp_path):
    workspace, shared, rows = kitchen
    name = "CharadesEgo_v0_egocentric_test.csv"
    folder, videos = annotated(kitchen, "charades-ego", tmp_path, name)
    rng = np.random.default_rng(0)
    chosen = rows[::3]
    made, truth = [], np.zeros((len(chosen), 157), dtype=int)
    for i, row in enumerate(chosen):
        some = rng.choice(12, size=2 + i % 2, replace=False)
        truth[i, some] = 1
        actions = ";".join(f"c{c:03d} 0.5 {float(row['stop_s']) - 1}" for c in some)
        made.append({"id": f"CLIP{i}EGO", "actions": actions, "length": row["stop_s"]})
        copy_video(shared / "videos" / "fpv" / row["video"], videos / f"CLIP{i}EGO.mp4")
    header = (folder / "CharadesEgo_v0_test.csv").read_text().splitlines()[0].split(",")
    blank = dict.fromkeys(header, "")
    write_csv(folder / name, [blank | row for row in made])
    where = ("--annotations", str(folder))
    indexed = sumlctl("index", "charades-ego", *where, "--videos", str(videos))
    assert indexed.code == 0, indexed.err
    state = peers.trunk(True) | peers.filled(peers.head("headcharades-ego", 157), seed=6)
    path = peers.saved(tmp_path / "ego-exo.pyth", state)
    words = ("--checkpoint", str(path), "--fpv", "charades-ego", "--pipeline", "small")
    for protocol in ("charades-ego", "charades-ego-nan"):
        done = sumlctl("eval", *words, "--protocol", protocol)
        assert done.code == 0, done.err
        assert f"protocol {protocol}" in done.out
        run = "charades-ego.ego-exo"
        found = [v for key, v in metrics_of(workspace, run).items() if key[2] == "mAP"]
        rows_by_video = pl.DataFrame(
            tables.read(workspace.run(run) / "predictions.parquet", "predictions")
        ).with_columns(video=pl.col("clip_id").str.extract(r"(CLIP\d+)EGO"))
        scores = np.array(rows_by_video.unique("video", maintain_order=True)["scores"].to_list())
        seen = truth.any(axis=0)
        each = average_precision_score(truth[:, seen], scores[:, seen], average=None)
        assert found == [pytest.approx(each.mean(), abs=1e-9)]
