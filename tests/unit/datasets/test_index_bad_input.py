"""What `index` says of input that it cannot take; it then writes nothing."""

import errno
import os

import pytest

from sumlctl.datasets.index import index
from sumlctl.errors import SumlError
from tests.annotation_files import KITCHEN, kitchen_row, write_card, write_csv

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\xff"
TRAIN = [kitchen_row(clip, "v1", "4", "5") for clip in "abcdef"]
VAL = [kitchen_row("g", "v2", "4", "5")]


@pytest.fixture
def annotations(workspace, tmp_path):
    """A folder of good annotation files and a card for them."""
    write_card(workspace, "kitchen", KITCHEN)
    write_csv(tmp_path / "annotations/train.csv", TRAIN)
    write_csv(tmp_path / "annotations/val.csv", VAL)
    return tmp_path / "annotations"


def contents(folder):
    return {f.relative_to(folder): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def csv_of(rows):
    return lambda folder: write_csv(folder / "train.csv", rows)


def bytes_of(content):
    return lambda folder: (folder / "train.csv").write_bytes(content)


def changed(place, **changes):
    return csv_of([r | (changes if i == place else {}) for i, r in enumerate(TRAIN)])


def misspelt(old, new):
    return csv_of([{new if k == old else k: v for k, v in r.items()} for r in TRAIN])


BAD = {
    "misspelt column": (misspelt("from", "form"), "train.csv: column from is missing, got nearest"),
    "bad timestamp": (changed(1, **{"from": "0:99"}), "train.csv row 3: bad timestamp in from"),
    "stop before start": (changed(2, to="3"), "train.csv row 4: stop is not after start, got"),
    "duplicate clip id": (changed(3, id="a"), "train.csv row 5: duplicate clip id, got 'a'"),
    "duplicate across files": (changed(3, id="g"), "val.csv row 2: duplicate clip id, got 'g'"),
    "class outside": (changed(4, verb="shake"), "train.csv row 6: unknown class name in verb"),
    "class id outside": (
        csv_of([r | {"verb": "2" if i == 4 else "1"} for i, r in enumerate(TRAIN)]),
        "train.csv row 6: verbs outside the vocabulary, got [2]; expected ids from 0 to 1.",
    ),
    "empty file": (bytes_of(b""), "train.csv: malformed annotation, got an empty file"),
    "only a header": (bytes_of(b"id,video\n"), "train.csv: malformed annotation, got no rows"),
    "a picture": (bytes_of(PNG), "train.csv: malformed annotation, got "),
    "no file": (lambda f: (f / "train.csv").unlink(), "train.csv: annotation file is missing"),
    "escaping video": (
        changed(0, video="../annotations/train"),
        "video ../annotations/train of kitchen: path leaves its folder, got",
    ),
}


@pytest.mark.parametrize("older", [False, True], ids=["fresh", "older tables"])
@pytest.mark.parametrize("fault", BAD)
def test_bad_input_is_one_line_and_nothing_is_written(workspace, annotations, fault, older):
    damage, words = BAD[fault]
    if older:
        index("kitchen", workspace, annotations=annotations)
    before = contents(workspace.manifests)
    damage(annotations)
    with pytest.raises(SumlError) as caught:
        index("kitchen", workspace, annotations=annotations, bad_rows="refuse")
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    assert text.removeprefix(f"{annotations}/").startswith(words)
    assert contents(workspace.manifests) == before


def test_a_dataset_that_does_not_exist(workspace):
    write_card(workspace, "kitchen", KITCHEN)
    with pytest.raises(SumlError, match=r"no such dataset, got 'kitchn'; .*Did you mean kitchen"):
        index("kitchn", workspace)


def test_a_reader_that_does_not_exist(workspace):
    card = write_card(workspace, "kitchen", KITCHEN.replace('"tabular"', '"tabluar"'))
    with pytest.raises(SumlError) as caught:
        index("kitchen", workspace)
    assert str(caught.value).startswith(f"{card.path}: no such reader, got 'tabluar'")
    assert str(caught.value).endswith("Did you mean tabular?")


def test_a_viewpoint_that_the_card_does_not_have(workspace, tmp_path):
    body = KITCHEN.replace('verbs = "verb"', 'viewpoint = "side"').replace(', val = "val.csv"', "")
    write_card(workspace, "kitchen", body, ("fpv", "tpv"))
    rows = [TRAIN[0] | {"side": "tpv"}, TRAIN[1] | {"side": "above"}]
    write_csv(tmp_path / "train.csv", rows)
    with pytest.raises(SumlError) as caught:
        index("kitchen", workspace, annotations=tmp_path)
    assert str(caught.value).startswith(
        "train.csv row 3: viewpoint that the card does not have, got 'above'; expected ('fpv',"
    )


def test_a_full_disk_leaves_the_older_tables(workspace, annotations, monkeypatch):
    index("kitchen", workspace, annotations=annotations)
    before = contents(workspace.manifests)

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SumlError) as caught:
        index("kitchen", workspace, annotations=annotations)
    where = workspace.table("kitchen", "videos")
    assert str(caught.value).startswith(f"{where}: the disk is full, got errno 28;")
    assert contents(workspace.manifests) == before
