"""Cards and pipelines that are damaged, of other types, or mean harm."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from sumlctl import config
from sumlctl.config import dataset as cards
from sumlctl.config import parsing, shipped
from sumlctl.datasets.index import index
from sumlctl.workflow import recipe
from sumlctl.workspace import Workspace
from tests.annotation_files import KITCHEN, kitchen_row, write_card, write_csv
from tests.fuzz.harness import fuzz
from tests.fuzz.mutations import mutated
from tests.unit.workflow.tiny import PIPELINE

SHARE = 4
SHIPPED = [p.read_bytes() for kind in ("manifests", "pipelines") for p in
           shipped.available(kind, Path("none")).values()]  # fmt: skip
MATRIX = '\n[[matrix]]\nseed = [0, 1]\nloss = { name = ["sum-l", "fpv-only"] }\n'
HOSTILE = """
    ../../x /etc/passwd {video_id.__class__} {video_id:>999999999} {0} {video_id!r} *[* os.system
    tabular sum-l tiny epic
"""
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(),
        st.integers(10**11, 10**13),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(["a\0b", *HOSTILE.split()]),
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abcfilestrnz_", max_size=5), inner)
    ),
    max_leaves=5,
)
KEYS = {
    "card": ["title", "viewpoints", "reader", "reader.name", "reader.files", "reader.files.train",
             "reader.columns", "reader.columns.said", "videos", "videos.paths", "videos.fps",
             "vocabulary", "vocabulary.verbs", "vocabulary.verbs.size", "vocabulary.verbs.file",
             "vocabulary.verbs.names", "expected", "expected.train", "reader.x"],
    "pipeline": ["title", "steps", "precision", "workers", "seed", "data", "data.fpv", "data.tpv",
                 "data.encoder", "backbone", "backbone.name", "loss.name", "loss.x", "input",
                 "stage_one.epochs", "extends", "requires", "profile", "matrix", "paper", "cam",
                 "histogram", "histogram.out", "mining", "mining.top_k", "matrix.seed"],
}  # fmt: skip


def _nested(raw: dict[str, Any], key: str, value: Any) -> None:
    *tables, last = key.split(".")
    for name in tables:
        raw = raw[name] if isinstance(raw.get(name), dict) else raw.setdefault(name + "_", {})
    raw[last] = value


def _toml(raw: dict[str, Any]) -> str:
    return "".join(f"{parsing.toml(k)} = {parsing.toml(v)}\n" for k, v in raw.items())


def _changes(kind: str) -> st.SearchStrategy[list[tuple[str, Any]]]:
    return st.lists(st.tuples(st.sampled_from(KEYS[kind]), VALUES), min_size=1, max_size=3)


def test_cards(tmp_path: Path) -> None:
    path = tmp_path / "card.toml"

    def target(content: bytes) -> None:
        path.write_bytes(content)
        cards.parse(path)

    fuzz("cards and pipelines", target, mutated(*SHIPPED, KITCHEN.encode()), tmp_path, SHARE)


def test_values_in_cards(tmp_path: Path) -> None:
    """Through `index`, so that what passes the check is used."""
    import tomllib

    workspace, folder = Workspace(tmp_path / "w"), tmp_path / "annotations"
    path = write_card(workspace, "kitchen", KITCHEN).path
    sound = path.read_text()
    for name in ("train", "val"):
        write_csv(folder / f"{name}.csv", [kitchen_row(name, "v1", "4", "5")])
    secret = tmp_path / "secret.csv"
    write_csv(secret, [kitchen_row("s", "v", "0", "1", "SECRET")])

    def target(changes: list[tuple[str, Any]]) -> None:
        raw = tomllib.loads(sound)
        for key, value in changes:
            _nested(raw, key, value)
        path.write_text(_toml(raw), encoding="utf-8", errors="replace")
        index("kitchen", workspace, annotations=folder, videos=folder)

    fuzz("cards and pipelines", target, _changes("card"), tmp_path, SHARE)


def test_pipelines(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.pipelines.mkdir()
    path = workspace.pipelines / "mine.toml"

    def target(content: bytes) -> None:
        path.write_bytes(content)
        recipe.read("mine", workspace)
        config.load(path)

    seeds = mutated(*SHIPPED, PIPELINE.encode(), (PIPELINE + MATRIX).encode())
    fuzz("cards and pipelines", target, seeds, tmp_path, SHARE)


WORDS = st.text(string.ascii_lowercase + '.="[]{}-\0\n1#', max_size=12)


def test_values_in_pipelines_and_overrides(tmp_path: Path) -> None:
    import tomllib

    workspace = Workspace(tmp_path)
    workspace.pipelines.mkdir()
    path = workspace.pipelines / "mine.toml"

    def target(said: tuple[list[tuple[str, Any]], list[str]]) -> None:
        changes, overrides = said
        raw = tomllib.loads(PIPELINE)
        for key, value in changes:
            _nested(raw, key, value)
        path.write_text(_toml(raw), encoding="utf-8", errors="replace")
        for cell in recipe.read("mine", workspace, overrides).cells:
            assert cell.pipeline is not None
        config.load(path, overrides)

    assigned = st.builds(
        lambda key, value: f"{key}={parsing.toml(value)}",
        st.sampled_from(KEYS["pipeline"]),
        VALUES,
    )
    overrides = st.lists(assigned | WORDS, max_size=2)
    fuzz(
        "cards and pipelines",
        target,
        st.tuples(_changes("pipeline"), overrides),
        tmp_path,
        SHARE,
    )
