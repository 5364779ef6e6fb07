"""Manifests: schemas of the contract, provenance, checked reads."""

import hashlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumlctl import __version__, tables
from sumlctl.errors import SumlError

# The contract, written out once more.
CONTRACT = {
    "videos": "dataset string, video_id string, path string, status string, error string, "
    "container string, codec string, width int32, height int32, rotation int16, fps double, "
    "n_frames int64, duration_s double, size_bytes int64, mtime_ns int64, "
    "start_s double, mirrored bool, decoder string, decord string, stream int16",
    "clips": "clip_id string, dataset string, viewpoint string, split string, video_id string, "
    "participant string, start_s double, stop_s double, narration string, "
    "verbs list<item: int32>, nouns list<item: int32>, actions list<item: int32>, status string",
    "narrations": "text string, vector fixed_size_list<item: float>[3]",
    "pairs": "fpv_clip_id string, tpv_clip_id string, rank int16, similarity float, "
    "fpv_narration string, tpv_narration string, tpv_dataset string, shared_verb bool, "
    "shared_noun bool",
    "predictions": "clip_id string, task string, scores list<item: float>, "
    "target list<item: int32>, n_views int16",
    "metrics": "protocol string, task string, subset string, metric string, k int16, "
    "value double, n_clips int64, n_views int16",
}
PROPERTY = settings(max_examples=30, deadline=None, derandomize=True)


def columns(kind):
    """Column name -> type, of the contract."""
    return dict(column.rsplit(" ", 1) for column in _split(CONTRACT[kind]))


def _split(text):
    for column in text.split(", "):
        name, kind = column.split(" ", 1)
        yield f"{name} {kind.replace(' ', '')}"


def integers(bits):
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


VALUES = {
    "string": st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    "int16": integers(16),
    "int32": integers(32),
    "int64": integers(64),
    "double": st.floats(allow_nan=False),
    "float": st.floats(allow_nan=False, width=32),
    "bool": st.booleans(),
    "list<item:int32>": st.lists(integers(32), max_size=3),
    "list<item:float>": st.lists(st.floats(allow_nan=False, width=32), max_size=3),
}
WITHOUT_NULLS = {"clips", "segments", "narrations", "predictions"}
NEEDED = {
    "videos": {"dataset", "video_id", "path", "status"},
    "pairs": {
        *("fpv_clip_id", "tpv_clip_id", "rank", "similarity", "fpv_narration", "tpv_narration")
    },
}
VECTOR = st.lists(st.floats(allow_nan=False, width=32), min_size=3, max_size=3)


@st.composite
def filled(draw):
    """A kind of table and rows for it; keys and vectors cannot be null."""
    kind = draw(st.sampled_from(sorted(CONTRACT)))
    needed = NEEDED.get(kind, columns(kind) if kind in WITHOUT_NULLS else ())
    fields = {
        name: VECTOR
        if name == "vector"
        else VALUES[value]
        if name in needed
        else st.none() | VALUES[value]
        for name, value in columns(kind).items()
    }
    return kind, draw(st.lists(st.fixed_dictionaries(fields), max_size=4))


def clips(n=3, **changes):
    rows = {
        name: [[]] * n if value.startswith("list") else [0.0] * n if value == "double" else [""] * n
        for name, value in columns("clips").items()
    }
    rows["clip_id"] = [f"d/{i}" for i in range(n)]
    return pa.table(rows | changes, schema=tables.schema("clips"))


def write(table, path, kind="clips", **extra):
    tables.write(table, path, kind, inputs={}, config={}, **extra)


def refusal(path, kind="clips"):
    with pytest.raises(SumlError) as caught:
        tables.read(path, kind)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert len(text.splitlines()) == 1
    return text


def relabel(source, path, **labels):
    """A copy with other metadata, columns as they are."""
    table = pq.read_table(source)
    kept = {k.decode(): v for k, v in (table.schema.metadata or {}).items()}
    pq.write_table(table.replace_schema_metadata(kept | labels), path)


@pytest.mark.parametrize("kind", CONTRACT)
def test_schema_is_the_contracts(kind):
    found = tables.schema(kind, 3 if kind == "narrations" else None)
    assert [(f.name, str(f.type).replace(" ", "")) for f in found] == list(columns(kind).items())


@PROPERTY
@given(
    filled(),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
    st.dictionaries(st.text("abc", max_size=3), st.integers() | st.text(max_size=5), max_size=2),
)
def test_rows_and_metadata_come_back(tmp_path_factory, table, inputs, config):
    kind, rows = table
    path = tmp_path_factory.mktemp("t") / "x.parquet"
    written = pa.Table.from_pylist(rows, tables.schema(kind, 3))
    extra = {"note": {"π": [1, None]}}
    tables.write(written, path, kind, inputs=inputs, config=config, extra=extra)
    found = tables.read(path, kind)
    assert found.to_pylist() == rows
    assert tables.metadata(found, "inputs") == inputs
    assert tables.metadata(found, "config") == config
    assert tables.metadata(found, "note") == {"π": [1, None]}
    assert tables.metadata(found, "absent") is None


def test_provenance_is_in_the_file_for_any_reader(tmp_path):
    path = tmp_path / "clips.parquet"
    tables.write(clips(), path, "clips", inputs={"a.csv": "00ff"}, config={"b": 1, "a": [2]})
    labels = pq.read_schema(path).metadata
    assert labels[b"sumlctl.schema"] == b"clips/1"
    assert labels[b"sumlctl.version"] == __version__.encode()
    assert json.loads(labels[b"sumlctl.inputs"]) == {"a.csv": "00ff"}
    assert json.loads(labels[b"sumlctl.config"]) == {"a": [2], "b": 1}
    assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"


def test_columns_may_come_in_any_order_and_wider_types(tmp_path):
    path = tmp_path / "m.parquet"
    names = list(columns("metrics"))
    row = ["p", "verb", "all", "top1", 5, 0.25, 7, 30]
    table = pa.table({n: [v] for n, v in reversed(list(zip(names, row, strict=True)))})
    write(table, path, "metrics")
    assert tables.read(path, "metrics").schema.names == names
    assert list(tables.read(path, "metrics").to_pylist()[0].values()) == row


def test_only_the_columns_asked_for(tmp_path):
    write(clips(), tmp_path / "c.parquet")
    found = tables.read(tmp_path / "c.parquet", "clips", columns=["narration", "clip_id"])
    assert found.schema.names == ["narration", "clip_id"]


def test_the_same_rows_give_the_same_bytes(tmp_path):
    for name, order in (("a", {"x": 1, "y": 2}), ("b", {"y": 2, "x": 1})):
        tables.write(clips(), tmp_path / name, "clips", inputs={}, config=order)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_vectors_as_a_matrix(tmp_path):
    rows = [{"text": "a", "vector": [1, 2, 3]}, {"text": "b", "vector": [4, 5, 6]}]
    write(pa.Table.from_pylist(rows, tables.schema("narrations", 3)), tmp_path / "n", "narrations")
    found = tables.vectors(tables.read(tmp_path / "n", "narrations"))
    assert found.dtype == np.float32
    assert np.array_equal(found, [[1, 2, 3], [4, 5, 6]])


def test_digest_is_sha256(tmp_path):
    (tmp_path / "x").write_bytes(b"open door")
    assert tables.digest(tmp_path / "x") == hashlib.sha256(b"open door").hexdigest()
    with pytest.raises(SumlError, match="No such file"):
        tables.digest(tmp_path / "y")


def test_a_missing_table_names_the_command_that_makes_it(tmp_path):
    text = refusal(tmp_path / "clips.parquet")
    assert text.endswith(
        "table is missing, got no file; expected a clips table. Make it with `sumlctl index`."
    )
    assert "`sumlctl embed`" in refusal(tmp_path / "n.parquet", "narrations")
    assert "`sumlctl mine-pairs`" in refusal(tmp_path / "p.parquet", "pairs")


def test_a_truncated_table_is_refused_at_any_length(tmp_path):
    write(clips(50, narration=[f"open door {i}" for i in range(50)]), tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    for length in (0, 3, 4, 8, len(whole) // 2, len(whole) - 8, len(whole) - 1):
        (tmp_path / "cut").write_bytes(whole[:length])
        assert "not a whole Parquet file, got " in refusal(tmp_path / "cut")


def test_a_table_with_damaged_pages_is_refused(tmp_path):
    texts = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(2000)]
    write(clips(2000, narration=texts), tmp_path / "x")
    damaged = bytearray((tmp_path / "x").read_bytes())
    place = pq.ParquetFile(tmp_path / "x").metadata.row_group(0).column(8).data_page_offset
    damaged[place + 40 : place + 4040] = bytes(4000)
    (tmp_path / "x").write_bytes(damaged)
    assert "not a whole Parquet file" in refusal(tmp_path / "x")


def test_any_damaged_byte_is_harmless_or_refused(tmp_path):
    write(clips(), tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    for place in range(0, len(whole), 7):
        (tmp_path / "x").write_bytes(whole[:place] + b"\xff" + whole[place + 1 :])
        try:
            tables.read(tmp_path / "x", "clips")
        except SumlError as error:
            assert len(str(error).splitlines()) == 1


def test_a_single_bit_that_flips_is_noticed(tmp_path):
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(8, np.float32)), 4)
    table = pa.table({"text": ["open", "shut"], "vector": vectors})
    tables.write(table, tmp_path / "x", "narrations", inputs={}, config={})
    content = bytearray((tmp_path / "x").read_bytes())
    content[content.index(np.float32(1).tobytes()) + 1] ^= 1
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(SumlError, match="not a whole Parquet file"):
        tables.read(tmp_path / "x", "narrations")


def test_another_file_type_is_refused(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    assert "not a whole Parquet file" in refusal(tmp_path / "x.parquet")


def test_another_schema_version_is_refused(tmp_path):
    write(clips(), tmp_path / "now.parquet")
    relabel(tmp_path / "now.parquet", tmp_path / "later.parquet", **{"sumlctl.schema": "clips/2"})
    assert refusal(tmp_path / "later.parquet") == (
        f"{tmp_path}/later.parquet: table of another schema, got schema clips/2; expected clips/1. "
        "Delete it and make it again with `sumlctl index`."
    )


def test_another_kind_and_a_foreign_table_are_refused(tmp_path):
    write(clips(), tmp_path / "c.parquet")
    assert "got schema clips/1; expected videos/1" in refusal(tmp_path / "c.parquet", "videos")
    pq.write_table(clips(), tmp_path / "foreign.parquet")
    assert "got schema none; expected clips/1" in refusal(tmp_path / "foreign.parquet")


def test_a_missing_column_is_named_with_the_nearest(tmp_path):
    label = {"sumlctl.schema": "clips/1"}
    renamed = clips().rename_columns(
        ["narrations" if n == "narration" else n for n in columns("clips")]
    )
    pq.write_table(renamed.replace_schema_metadata(label), tmp_path / "x")
    assert "column narration is missing, got nearest narrations;" in refusal(tmp_path / "x")


def test_read_videos_of_an_earlier_version(tmp_path):
    """The columns that came later are null, whether asked for by name or not."""
    path = tmp_path / "videos.parquet"
    new = {"start_s", "mirrored", "decoder", "decord", "stream"}
    row = {"dataset": "d", "video_id": "v", "path": "v.mp4", "status": "ok", "fps": 25.0}
    table = pa.Table.from_pylist([row], schema=tables.schema("videos"))
    tables.write(table, path, "videos", inputs={}, config={})
    old = pq.read_table(path)
    pq.write_table(old.select([name for name in old.column_names if name not in new]), path)

    (read,) = tables.read(path, "videos").to_pylist()
    assert {name: read[name] for name in row} == row
    assert {name: read[name] for name in new} == dict.fromkeys(new)
    assert tables.read(path, "videos").schema.names == list(columns("videos"))
    assert tables.read(path, "videos", ["fps", "start_s"]).to_pylist() == [
        {"fps": 25.0, "start_s": None}
    ]


def test_a_column_of_another_type_is_named(tmp_path):
    label = {"sumlctl.schema": "clips/1"}
    place = list(columns("clips")).index("start_s")
    other = clips().set_column(place, "start_s", pa.array([1, 2, 3], pa.int64()))
    pq.write_table(other.replace_schema_metadata(label), tmp_path / "x")
    text = refusal(tmp_path / "x")
    assert "column start_s has another type, got int64; expected double." in text


@pytest.mark.parametrize(
    ("vector", "words"),
    [
        (None, "column vector is missing"),
        (pa.array([[1.0]], pa.list_(pa.float32())), "column vector has another type"),
        (pa.array(["x"]), "column vector has another type"),
    ],
)
def test_a_narrations_table_without_vectors_is_refused(tmp_path, vector, words):
    table = pa.table({"text": ["a"]})
    if vector is not None:
        table = table.append_column("vector", vector)
    pq.write_table(
        table.replace_schema_metadata({"sumlctl.schema": "narrations/1"}), tmp_path / "x"
    )
    assert words in refusal(tmp_path / "x", "narrations")


@pytest.mark.parametrize("column", ["clip_id", "start_s", "verbs", "status"])
def test_a_row_without_a_value_is_refused(tmp_path, column):
    values = clips().column(column).to_pylist()
    write(clips(**{column: [*values[:-1], None]}), tmp_path / "c.parquet")
    text = refusal(tmp_path / "c.parquet")
    assert f"column {column} has rows without a value, got 1 of 3; expected none." in text


@pytest.mark.parametrize(
    "damaged",
    [
        {"sumlctl.inputs": "[]"},
        {"sumlctl.inputs": '{"a": 1}'},
        {"sumlctl.config": "null"},
        {"sumlctl.config": "{" * 100_000},
        {"sumlctl.config": b"\xff"},
        {"sumlctl.vocabulary": '{"verbs": [["take", 1]]}'},
        {"sumlctl.videos_root": "7"},
        {"sumlctl.videos_root": '"a\\u0000b"'},
        {"sumlctl.quarantined": '"v1"'},
    ],
    ids=repr,
)
def test_damaged_metadata_is_refused(tmp_path, damaged):
    write(clips(), tmp_path / "c.parquet")
    relabel(tmp_path / "c.parquet", tmp_path / "d.parquet", **damaged)
    name = next(iter(damaged)).removeprefix("sumlctl.")
    assert f"metadata {name} is damaged, got b" in refusal(tmp_path / "d.parquet")


def test_settings_that_other_steps_read(tmp_path):
    path = tmp_path / "p.parquet"
    table = tables.schema("pairs").empty_table()
    tables.write(table, path, "pairs", inputs={}, config={"fpv": "ego", "tpv": ["exo"]})
    read = tables.read(path, "pairs")
    assert tables.made_with(path, "pairs", read, "fpv")["tpv"] == ["exo"]
    with pytest.raises(SumlError, match="metadata config is damaged, got no split"):
        tables.made_with(path, "pairs", read, "fpv", "split")
    for config in ({"fpv": 1}, {"tpv": "exo"}, {"encoder": {}}, {"clips_mined": None}):
        tables.write(table, path, "pairs", inputs={}, config=config)
        assert "metadata config is damaged" in refusal(path, "pairs")
