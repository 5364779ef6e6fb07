"""Class labels in cells: ids, names, and several of either."""

import json

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumlctl.config import dataset
from sumlctl.datasets.labels import Classes, read_labels
from sumlctl.errors import SumlError
from tests.annotation_files import write_card, write_lines

PROPERTY = settings(max_examples=80, deadline=None, derandomize=True)
NAMES = ["open", "close", "put down", "turn-on", "cup/glass", "cut, peel", "man's hat"]

VERBS = f"{{ names = {json.dumps(NAMES)} }}"


@pytest.fixture
def read(workspace, tmp_path):
    """Returns the class ids in cells of a column."""

    def of(cells, unlabelled=("-1", "-1.0"), vocabulary=VERBS, met=None):
        body = '[reader]\nname = "tabular"\n[videos]\npaths = ["x"]\n[vocabulary]\n'
        card = write_card(workspace, "t", f"{body}verbs = {vocabulary}")
        sources = [f"x.csv row {i}" for i in range(2, len(cells) + 2)]
        frame = pl.DataFrame({"v": cells, "_source": sources})
        classes = Classes(card, tmp_path, "verbs", frozenset(unlabelled), met)
        return read_labels(frame, "v", classes).to_list()

    return of


def refusal(read, *arguments, **options):
    with pytest.raises(SumlError, match=r"\A[^\n]+\Z") as caught:
        read(*arguments, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("cell", "ids"),
    [
        ("open", [0]),
        (" Open ", [0]),
        ("put_down", [2]),
        ("turn on", [3]),
        ("cup/glass", [4]),
        ("cut, peel", [5]),
        ("open|close", [0, 1]),
        ("open | close |", [0, 1]),
        ("close; open", [1, 0]),
        ("close, open", [1, 0]),
        ("cut, peel|open", [5, 0]),
        ("['open', 'put down']", [0, 2]),
        ('["open", "cut, peel"]', [0, 5]),
        ("['open' 'close']", [0, 1]),
        ("""["man's hat", 'open']""", [6, 0]),
        ("['man\\'s hat']", [6]),
        ("('open',)", [0]),
        ("{'close'}", [1]),
        ("[open, close]", [0, 1]),
        ("[]", []),
        ("", []),
        (None, []),
        ("nan", []),
        ("None", []),
        ("-1", []),
    ],
)
def test_read_labels_names_by_hand(read, cell, ids):
    assert read([cell, "open"]) == [ids, [0]]


@pytest.mark.parametrize(
    ("cells", "ids"),
    [
        (["0.0", "", "2.0"], [[0], [], [2]]),
        (["0", "-1", "[2, -1]"], [[0], [], [2]]),
        (["nan", "NaN", "<NA>", "1.0"], [[], [], [], [1]]),
        (["0|2", "0;2", "[0, 2]"], [[0, 2]] * 3),
        ([0.0, None, float("nan"), -1.0], [[0], [], [], []]),
        ([2, None, -1], [[2], [], []]),
        ([[2, 0], [], None, [-1]], [[2, 0], [], [], []]),
        ([[2.0, float("nan")], []], [[2], []]),
        ([["open", "put down"], [], None], [[0, 2], [], []]),
    ],
)
def test_read_labels_ids_and_lists_by_hand(read, cells, ids):
    assert read(cells) == ids


def test_read_labels_values_chosen_for_no_label(read):
    assert read(["255", "0", "[255, 2]"], ["255"]) == [[], [0], [2]]
    assert read(["?", "open", "open|bg"], ["?", "bg"]) == [[], [0], [0]]


def test_read_labels_class_list_in_a_file(read, tmp_path):
    write_lines(tmp_path / "v.csv", "id,name", "1,close", "0,open", "2,put down")
    listed = '{ size = 3, file = "v.csv", name = "name", id = "id" }'
    assert read(["put down", "open|close"], vocabulary=listed) == [[2], [0, 1]]
    write_lines(tmp_path / "v.txt", "open", "close the door")
    assert read(["close the door"], vocabulary='{ size = 2, file = "v.txt" }') == [[1]]
    write_lines(tmp_path / "v.txt", "c000 open", "c001 close the door")
    assert read(["close the door"], vocabulary='{ size = 2, file = "v.txt" }') == [[1]]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["open", "openn"], "x.csv row 3: unknown class name in v, got 'openn'"),
        (["open", "open|dry"], "x.csv row 3: unknown class name in v, got 'dry'"),
        (["open", "['open', 'dry']"], "x.csv row 3: unknown class name in v, got 'dry'"),
        (["open", "3"], "x.csv row 3: unknown class name in v, got '3'"),
        (["2", "1.5"], "x.csv row 2: unknown class name in v, got '2'"),
    ],
)
def test_read_labels_names_the_row_and_what_is_unknown(read, cells, words):
    assert refusal(read, cells).startswith(words)


def test_read_labels_suggests_the_nearest_and_tells_of_absent_names(read):
    assert refusal(read, ["openn"]).endswith("Did you mean open?")
    assert "in [vocabulary] of" in refusal(read, ["open"], vocabulary="{ size = 3 }")


def test_read_labels_a_name_that_two_classes_have(read):
    text = refusal(read, ["open"], vocabulary='{ names = ["open", "shut", "open"] }')
    assert text.startswith("x.csv row 2: class name that 2 classes have in v, got 'open'")


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("bowl,cup", ["bowl", "cup"]),  # EGTEA Gaze+
        ("bowl;cup", ["bowl", "cup"]),
        ("bowl|cup", ["bowl", "cup"]),
        ("bowl | cup, red", ["bowl", "cup, red"]),
        ("lifting up, then letting drop", ["lifting up, then letting drop"]),  # Something-Something
        ("1,000 m run", ["1,000 m run"]),
        ("cup,2 plates", ["cup", "2 plates"]),
        ('["bowl", "cup"]', ["bowl", "cup"]),
        (["bowl", "cup"], ["bowl", "cup"]),
        ("[]", []),
        ([], []),
    ],
)
def test_read_labels_names_that_the_table_itself_has(read, cell, names):
    met = {}
    cells = [cell, ["bowl"] if isinstance(cell, list) else "bowl"]
    ids = read(cells, vocabulary='"table"', met=met)
    assert [list(met)[i] for i in ids[0]] == names
    assert [list(met)[i] for i in ids[1]] == ["bowl"]


def test_read_labels_refuses_ids_among_names_of_the_table(read):
    text = refusal(read, ["open", "", "-1", "3"], vocabulary='"table"', met={})
    assert text.startswith("x.csv row 5: class id among class names in v, got '3'")
    met = {}
    assert read(["3", "7", "3"], vocabulary='"table"', met=met) == [[0], [1], [0]]
    assert list(met) == ["3", "7"]


SEVERAL = st.lists(st.sampled_from(range(len(NAMES))), min_size=1, max_size=4)


@PROPERTY
@given(st.lists(SEVERAL, min_size=1, max_size=5), st.sampled_from([repr, json.dumps, "|".join]))
def test_read_labels_gives_back_lists_as_programs_write_them(tmp_path_factory, lists, write):
    folder = tmp_path_factory.getbasetemp()
    path = folder / "labels-card.toml"
    path.write_text(
        'title="t"\nviewpoints=["fpv"]\nhomepage="h"\nlicence="l"\ncitation="c"\n'
        '[reader]\nname="tabular"\n[videos]\npaths=["x"]\n'
        f"[vocabulary]\nverbs = {VERBS}\n"
    )
    cells = [write([NAMES[i] for i in ids]) for ids in lists]
    frame = pl.DataFrame({"v": cells, "_source": [""] * len(cells)})
    classes = Classes(dataset.parse(path), folder, "verbs", frozenset())
    assert read_labels(frame, "v", classes).to_list() == lists
