"""The challenge's zip: what is written, what the challenge computes from it, what is refused."""

from __future__ import annotations

import io
import itertools
import json
import zipfile

import numpy as np
import polars as pl
import pytest

from sumlctl.errors import SumlError
from sumlctl.evaluation import submission
from sumlctl.evaluation.protocols.context import Context
from tests.unit.evaluation import scoring

LEVELS = {"sls_pt": 2, "sls_tl": 3, "sls_td": 3}
IDS = [f"P01_11_{i}" for i in range(4)]


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def probabilities():
    random = np.random.default_rng(0)
    made = {
        task: softmax(random.normal(size=(4, size)) * 3).astype(np.float32)
        for task, size in (("verb", 97), ("noun", 300))
    }
    made["verb"][0] = 0
    made["verb"][0, 5] = 1  # the others have no logarithm
    return made


@pytest.fixture(scope="module")
def table(probabilities):
    ids = [f"ek100/{i}" for i in IDS]
    parts = [scoring.predictions(t, s, [[]] * 4, ids) for t, s in probabilities.items()]
    return pl.concat(parts)


@pytest.fixture(scope="module")
def context():
    clips = scoring.clips("aabb").with_columns(clip_id=pl.Series([f"ek100/{i}" for i in IDS]))
    return Context(clips)


@pytest.fixture
def written(table, context, tmp_path):
    path = tmp_path / "out" / "mine.zip"
    told = submission.write(table, context, path, **LEVELS)
    assert told == submission.Submission(2, 3, 3, tuple(IDS))
    return path


def content(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["test.json"]
        return json.loads(archive.read("test.json"))


def test_the_format(written):
    found = content(written)
    assert {k: v for k, v in found.items() if k != "results"} == {
        "version": "0.2",
        "challenge": "action_recognition",
        **LEVELS,
    }
    assert list(found["results"]) == IDS
    for entry in found["results"].values():
        assert entry.keys() == {"verb", "noun"}
        assert list(entry["verb"]) == [str(i) for i in range(97)]
        assert list(entry["noun"]) == [str(i) for i in range(300)]
        assert all(np.isfinite(list(scores.values())).all() for scores in entry.values())
    assert submission.validate(written, IDS) == submission.Submission(2, 3, 3, tuple(IDS))


def test_the_challenge_computes_the_predicted_probabilities(written, probabilities):
    for i, entry in enumerate(content(written)["results"].values()):
        for task, predicted in probabilities.items():
            seen = softmax(np.array(list(entry[task].values())))
            np.testing.assert_allclose(seen, predicted[i], rtol=2e-6, atol=1e-40)
            # What differs in the predictions differs in the submission, in the same order.
            assert len(set(entry[task].values())) == len(set(predicted[i].tolist()))
        verb, noun = (np.array(list(entry[t].values())) for t in ("verb", "noun"))
        best = np.argsort(-np.add.outer(verb, noun).ravel())[:5]
        products = np.outer(*(probabilities[t][i].astype(float) for t in ("verb", "noun")))
        assert best.tolist() == np.argsort(-products.ravel())[:5].tolist()


def test_the_same_predictions_give_the_same_bits(written, table, context, tmp_path):
    again = tmp_path / "again.zip"
    submission.write(table.reverse(), context, again, **LEVELS)
    assert again.read_bytes() == written.read_bytes()


@pytest.mark.parametrize("level", [-1, 6, True, 2.0, None])
def test_levels_are_0_to_5(table, context, tmp_path, level):
    with pytest.raises(SumlError, match="sls_tl is no supervision level"):
        submission.write(table, context, tmp_path / "x.zip", **{**LEVELS, "sls_tl": level})
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_from_predictions_that_do_not_fit(table, context, tmp_path):
    path = tmp_path / "x.zip"

    def refused(match, predictions, against=context):
        with pytest.raises(SumlError, match=match):
            submission.write(predictions, against, path, **LEVELS)
        assert not list(tmp_path.iterdir())

    verbs = table.filter(pl.col("task") == "verb")
    refused("no scores of the noun, got verb", verbs)
    refused(
        "another number of nouns, got 97",
        pl.concat([verbs, verbs.with_columns(task=pl.lit("noun"))]),
    )
    first = table.filter(pl.col("clip_id") != "ek100/P01_11_2")
    refused("1 of 4 clips .* no prediction, first ek100/P01_11_2", first)
    lenient = Context(context.clips, allow_missing=True)
    refused("1 of 4 clips .* no prediction, first ek100/P01_11_2", first, lenient)
    refused("a submission needs the clips table", table, Context())
    element = pl.element()
    refused("NaN", table.with_columns(pl.col("scores").list.eval(element * float("nan"))))
    refused("no probabilities", table.with_columns(pl.col("scores").list.eval(element * 9)))
    refused("no probabilities", table.with_columns(pl.col("scores").list.eval(-element)))


def pack(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, text in members:
            archive.writestr(name, text)
    return path


def entry(**changes):
    made = {
        "verb": {str(i): 0.5 for i in range(97)},
        "noun": {str(i): -1 for i in range(300)},
    }
    return {**made, **changes}


def whole(**changes):
    made = {"version": "0.2", "challenge": "action_recognition", **LEVELS}
    return {**made, "results": {"P01_1": entry()}, **changes}


def test_submissions_of_others_are_read(tmp_path):
    best = dict.fromkeys([f"{v},{n}" for v, n in itertools.product(range(10), range(10))], 0.01)
    found = whole(results={"P01_1": entry(), "P01_2": entry(action=best)})
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
        path = pack(tmp_path / "x.zip", [("test.json", json.dumps(found))], method)
        assert submission.validate(path).narration_ids == ("P01_1", "P01_2")
    with pytest.raises(SumlError, match="lacks segments, got 1 segments, first P01_3"):
        submission.validate(path, ["P01_1", "P01_2", "P01_3"])
    with pytest.raises(SumlError, match="invents segments, got 1 segments, first P01_2"):
        submission.validate(path, ["P01_1"])


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"version": "0.1"}, "another version, got '0.1'; expected '0.2'"),
        ({"challenge": "action_anticipation"}, "another challenge"),
        ({"sls_td": 6}, "sls_td is no supervision level, got 6"),
        ({"sls_td": True}, "sls_td is no supervision level, got True"),
        ({"results": {}}, "no results"),
        ({"results": [1]}, "no results"),
        ({"results": {"P01_1": 3}}, "no results"),
        ({"results": {"P01_1": {"verb": {"0": 1}}}}, "'P01_1': not the scores of a segment"),
        ({"results": {"P01_1": entry(pose={"0": 1})}}, "not the scores of a segment"),
        ({"results": {"P01_1": entry(verb={"0": 1.0})}}, "not every verb, got 1 classes"),
        ({"results": {"P01_1": entry(noun={f"0{i}": 1 for i in range(300)})}}, "not every noun"),
        ({"results": {"P01_1": entry(verb={"0": "1"})}}, "verb has no scores"),
        ({"results": {"P01_1": entry(verb={"0": True})}}, "verb has no scores"),
        ({"results": {"P01_1": entry(verb={})}}, "verb has no scores"),
        ({"results": {"P01_1": entry(verb=float("nan"))}}, "a score is NaN"),
        ({"results": {"P01_1": entry(verb={"0": float("inf")})}}, "a score is Infinity"),
        ({"results": {"P01_1": entry(verb={"0": 10**400})}}, "test.json is not as it should be"),
        ({"results": {"P01_1": entry(action={"0,0": 1})}}, "not the best actions, got 1 actions"),
        (
            {"results": {"P01_1": entry(action={f"{i},300": 1 for i in range(100)})}},
            "not the best actions, got '0,300'",
        ),
    ],
)
def test_faults_of_the_content(tmp_path, changes, match):
    path = pack(tmp_path / "x.zip", [("test.json", json.dumps(whole(**changes)))])
    with pytest.raises(SumlError, match=match) as told:
        submission.validate(path)
    assert str(told.value).startswith(str(path))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "test.json is not as it should be"),
        ("[1, 2]", "not a submission, got list"),
        ('{"a": 1}', "not a submission"),
        ('{"version": "0.2", "version": "0.2"}', "a key comes twice"),
        ("[" * 200_000, "test.json is not as it should be"),
        (b"\xff\xfe{", "test.json is not as it should be"),
        ('{"results": {"a": {"verb": {"0": 1e999, "1": 2}, "noun": {"0": 1}}}}', "another version"),
    ],
)
def test_faults_of_the_text(tmp_path, text, match):
    path = pack(tmp_path / "x.zip", [("test.json", text)])
    with pytest.raises(SumlError, match=match):
        submission.validate(path)


def test_numbers_beyond_floats(tmp_path):
    text = json.dumps(whole()).replace('"0": 0.5', '"0": 1e999')
    path = pack(tmp_path / "x.zip", [("test.json", text)])
    with pytest.raises(SumlError, match="a score of the verb is infinite"):
        submission.validate(path)


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["other.json"],
        ["results/test.json"],
        ["../test.json"],
        ["/test.json"],
        ["test.json", "../evil"],
        ["test.json", "notes.txt"],
    ],
)
def test_other_members_are_refused(tmp_path, names):
    path = pack(tmp_path / "x.zip", [(name, json.dumps(whole())) for name in names])
    with pytest.raises(SumlError, match=r"other files than test\.json"):
        submission.validate(path)


def test_no_zip_and_a_damaged_one(tmp_path, written):
    path = tmp_path / "x.zip"
    with pytest.raises(SumlError, match=r"x\.zip"):
        submission.validate(path)
    path.write_bytes(b"PK but no zip")
    with pytest.raises(SumlError, match="not a whole zip"):
        submission.validate(path)
    whole_bytes = written.read_bytes()
    path.write_bytes(whole_bytes[: len(whole_bytes) // 2])
    with pytest.raises(SumlError, match="not a whole zip"):
        submission.validate(path)
    for place in range(60, len(whole_bytes), len(whole_bytes) // 40):
        damaged = bytearray(whole_bytes)
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        with pytest.raises(SumlError):
            submission.validate(path)


def test_zip_bombs_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(submission, "_MOST_BYTES", 1 << 20)
    path = pack(tmp_path / "x.zip", [("test.json", " " * (3 << 20))])
    assert path.stat().st_size < 1 << 14
    with pytest.raises(SumlError, match=r"test\.json is too large, got 3 MiB"):
        submission.validate(path)
    # The same, with a header that claims to be small.
    packed = path.read_bytes().replace((3 << 20).to_bytes(4, "little"), (99).to_bytes(4, "little"))
    path.write_bytes(packed)
    with pytest.raises(SumlError):
        submission.validate(path)
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        pack(path, [("test.json", json.dumps(whole()))], method)
        with pytest.raises(SumlError, match="packed in another way"):
            submission.validate(path)


def test_locked_members_are_refused(tmp_path):
    path = pack(tmp_path / "x.zip", [("test.json", json.dumps(whole()))])
    packed = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        packed[packed.index(signature) + offset] |= 1
    path.write_bytes(packed)
    assert zipfile.ZipFile(io.BytesIO(packed)).infolist()[0].flag_bits & 1
    with pytest.raises(SumlError, match="packed in another way"):
        submission.validate(path)
