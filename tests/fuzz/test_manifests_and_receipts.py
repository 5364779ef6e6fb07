"""Manifests, receipts, logs and what else earlier commands left, damaged or forged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st

from sumlctl import tables
from sumlctl.config.sections import Data
from sumlctl.errors import SumlError
from sumlctl.evaluation.partial_predictions import PartialPredictions
from sumlctl.jobs import worker
from sumlctl.jobs.executors import Limits
from sumlctl.jobs.units import Unit, Work
from sumlctl.learning.data import clips, pairs
from sumlctl.learning.training import runs
from sumlctl.learning.training.runlog import RunLog
from sumlctl.mining import similarity
from sumlctl.report.content import training
from sumlctl.tables import provenance
from sumlctl.tables.narration_vectors import NarrationVectors
from sumlctl.video import quarantine
from sumlctl.video.clip_cache import manifest
from sumlctl.workflow import file_stamps, lineage, records
from sumlctl.workflow.step import Step
from sumlctl.workspace import Workspace
from tests.builders import segment_row
from tests.fuzz.harness import fuzz
from tests.fuzz.mutations import mutated
from tests.unit.learning import small_world

GROUP, SHARE = "manifests and receipts", 14
DATA = Data(fpv="ego", tpv=["exo"], eval_split="train")


def segments(workspace: Workspace) -> Path:
    row = segment_row()
    path = workspace.segments("ego")
    manifest.write(path, [row], {}, {})
    (path.parent / row["file"]).write_bytes(b"abc")
    return path


def predictions(workspace: Workspace) -> Path:
    rows = [{"clip_id": "a", "task": "verb", "scores": [0.5, 0.5], "target": [0], "n_views": 1}]
    path = workspace.root / "parts" / "00000.parquet"
    table = pa.Table.from_pylist(rows, schema=tables.schema("predictions"))
    tables.write(table, path, "predictions", inputs={"a": "0"}, config={"b": 1})
    return path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("world"))
    small_world.build(workspace)
    path = workspace.pairs("ego", ["exo"])
    table = tables.read(path, "pairs")
    more = {"fpv": "ego", "tpv": ["exo"], "clips_mined": 8}
    config = tables.metadata(table, "config") | more
    tables.write(table, path, "pairs", inputs={}, config=config)
    segments(workspace)
    predictions(workspace)
    return workspace


def readers(workspace: Workspace, path: Path) -> Iterator[Callable[[], Any]]:
    """All that reads a table; what one of them refuses the next one may take."""
    yield lambda: provenance.of(path)
    yield lambda: file_stamps.file_stamp(path)
    yield lambda: quarantine.digest(path)
    yield lambda: quarantine.now(workspace, ["ego"])
    yield lambda: lineage.trace(workspace, path)
    yield lambda: clips.load(workspace, ["ego"], "fpv", "train")
    yield lambda: NarrationVectors(workspace, ["ego", "exo"], "test").of(["colour 1"])
    yield lambda: pairs.load(workspace, pairs.choose(workspace, DATA))
    yield lambda: similarity.distribution(workspace.pairs("ego", ["exo"]), workspace)
    yield lambda: manifest.Contents(workspace.segments("ego"), {"v0": (1, 2)})
    yield lambda: list(PartialPredictions(workspace.root / "parts", {"a": "0"}, {"b": 1}).done)


def everything(calls: Iterator[Callable[[], Any]]) -> None:
    faults = []
    for call in calls:
        try:
            call()
        except SumlError as error:
            faults.append(error)
    if faults:
        raise faults[0]


KINDS = {
    "videos": lambda w: w.table("ego", "videos"),
    "clips": lambda w: w.table("ego", "clips"),
    "narrations": lambda w: w.narrations("ego", "test"),
    "pairs": lambda w: w.pairs("ego", ["exo"]),
    "segments": lambda w: w.segments("ego"),
    "predictions": lambda w: w.root / "parts" / "00000.parquet",
}


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_tables(world: Workspace, kind: str) -> None:
    path = KINDS[kind](world)
    sound = path.read_bytes()

    def target(content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        try:
            everything(readers(world, path))
        finally:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(sound)

    fuzz(GROUP, target, mutated(sound), world.root, SHARE)


WORDS = "ego ../x /etc/passwd %2e%2e/x v0 v0.mp4 ok fpv train truncated ego/0 v0.00000000.mp4"
TEXTS = ["", "a\0b", "x" * 300, "\x1b[31m", "colour 1", *WORDS.split(" ")]
VALUES = {
    pa.string(): st.sampled_from(TEXTS),
    pa.float64(): st.floats() | st.sampled_from([0.0, 1.0, 8.0, -1.0, 1e18]),
    pa.float32(): st.floats(width=32),
    pa.bool_(): st.booleans(),
    pa.int16(): st.integers(-(2**15), 2**15 - 1) | st.just(0),
    pa.int32(): st.integers(-(2**31), 2**31 - 1) | st.integers(0, 9),
    pa.int64(): st.integers(-(2**63), 2**63 - 1) | st.integers(0, 9),
}
METADATA = st.sampled_from(["inputs", "config", "vocabulary", "videos_root", "encoder"]) | (
    st.sampled_from(["quarantined", "indexed_sha256", "schema", "version"])
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "../..", "/", "test", "ego", "exo", "a\0b", "text", "train", "0"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["fpv", "tpv", "encoder", "name", "verbs", "a"]), inner)
    ),
    max_leaves=6,
)


def value_of(kind: pa.DataType) -> st.SearchStrategy[Any]:
    if pa.types.is_list(kind):
        return st.none() | st.lists(st.none() | VALUES[kind.value_type], max_size=3)
    if pa.types.is_fixed_size_list(kind):
        n = kind.list_size
        return st.none() | st.lists(st.floats(width=32), min_size=n, max_size=n)
    return st.none() | VALUES[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_tables_of_any_values(world: Workspace, kind: str) -> None:
    """Sound Parquet, forged rows and metadata."""
    path = KINDS[kind](world)
    sound, table = path.read_bytes(), pq.read_table(path, partitioning=None)

    def target(forged: tuple[dict[str, Any], dict[str, Any]]) -> None:
        columns, told = forged
        changed = table
        for name, value in columns.items():
            cells = table.column(name).to_pylist()
            cells[0] = value
            place = table.schema.get_field_index(name)
            column = pa.array(cells, table.schema.field(name).type)
            changed = changed.set_column(place, table.schema.field(name), column)
        metadata = {f"sumlctl.{k}".encode(): json.dumps(v).encode() for k, v in told.items()}
        changed = changed.replace_schema_metadata(table.schema.metadata | metadata)
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(changed, path)
        try:
            everything(readers(world, path))
        finally:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(sound)

    columns = st.fixed_dictionaries(
        {}, optional={field.name: value_of(field.type) for field in table.schema}
    )
    told = st.dictionaries(METADATA, JSON, max_size=2)
    fuzz(GROUP, target, st.tuples(columns, told), world.root, SHARE)


FIELDS = """
    unit stands_on files result reasons format step about command settings asked inputs outputs
    version packages finished event stage epoch loss terms quarantined
"""


def double(item: int) -> int:
    return 2 * item


class Here:
    """Does units in this process."""

    def run(self, function: Any, items: Any, limits: Limits) -> Iterator[tuple[Any, Any]]:
        for item in items:
            yield item, worker.answer(function, item)


def test_records(tmp_path: Path) -> None:
    """Receipts of units and of steps, a run's log and pipeline."""
    workspace = Workspace(tmp_path / "w")
    small_world.build(workspace)
    unit, work = Unit("u", 21, "facts"), Work(workspace.root / "units")
    assert [done.result for done in work.do(double, [unit], Here(), Limits(9.0))] == [42]
    failed = json.dumps({"unit": "u", "stands_on": "facts", "reasons": ["worker died"]})
    (work.folder / "u.failed.json").write_text(failed)
    made = workspace.table("ego", "clips")
    settings = {"encoder": "a", "n": 1}
    receipt = workspace.receipt("embed", "it")
    step = Step("embed", "it", ("embed", "it"), receipt, (made,), (made,), lambda: settings)
    records.commit(workspace, step)
    run = workspace.run("r")
    run.mkdir(parents=True)
    log = RunLog(run, active=True)
    log.write("begun", inputs={"a": "0"}, quarantined={"ego": ["v1"]})
    place = {"stage": "stage_one", "epoch": 0, "step": 1, "loss": 1.0, "learning_rate": 0.1}
    log.write("steps", **place, terms={"l": 1.0})
    log.write("validation", stage="stage_one", epoch=0, best=True, verb=0.5)
    (run / "pipeline.toml").write_text(small_world.PIPELINE)
    files = [work.folder / "u.json", work.folder / "u.failed.json", receipt, log.path]
    files.append(run / "pipeline.toml")
    sound = {path: path.read_bytes() for path in files}

    def calls() -> Iterator[Callable[[], Any]]:
        for only in (False, True):
            yield lambda only=only: list(
                work.do(double, [unit], Here(), Limits(9.0), only_failed=only)
            )
        yield lambda: records.state(workspace, step)
        yield lambda: lineage.trace(workspace, made)
        yield lambda: runs.begun(run)
        yield lambda: log.read("validation")
        yield lambda: training.read(log.path)
        yield lambda: provenance.of_training(run)

    def target(damaged: tuple[Path, bytes]) -> None:
        path, content = damaged
        path.write_bytes(content)
        try:
            everything(calls())
        finally:
            for each, before in sound.items():
                each.write_bytes(before)

    forged = st.dictionaries(st.sampled_from(FIELDS.split()), JSON, max_size=3)

    def overlaid(path: Path, more: dict[str, Any]) -> tuple[Path, bytes]:
        first, _, rest = sound[path].decode().partition("\n{")
        try:
            told = json.loads(first)
        except ValueError:
            told = json.loads(sound[path]) if path.suffix == ".json" else {}
        return path, (json.dumps(told | more) + (f"\n{{{rest}" if rest else "")).encode()

    damaged = [st.tuples(st.just(path), mutated(content)) for path, content in sound.items()]
    other = st.builds(overlaid, st.sampled_from(files), forged)
    fuzz(GROUP, target, st.one_of(*damaged, other), tmp_path, 7)


def test_deep_and_long_json(tmp_path: Path) -> None:
    for content in (b"[" * 100_000, b'{"a":' * 100_000, b"9" * 100_000, b"\xff", b"", b"1e999"):
        path = tmp_path / "u.json"
        path.write_bytes(content)
        work = Work(tmp_path)
        (done,) = work.do(double, [Unit("u", 21, "facts")], Here(), Limits(9.0))
        assert (done.result, done.earlier) == (42, False)
