"""Class names and the words that mean each class."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumlctl.datasets import vocabulary
from sumlctl.errors import SumlError
from sumlctl.workspace import Workspace
from tests.annotation_files import write_card

PROPERTY = settings(max_examples=60, deadline=None, derandomize=True)


@pytest.fixture
def load(workspace, tmp_path):
    """Loads the verbs of a card, from a file with this content if there is one."""

    def of(verbs, name="", content=None):
        if content is not None:
            path = tmp_path / name
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        body = f'[reader]\nname = "epic"\n[videos]\npaths = ["x"]\n[vocabulary]\nverbs = {verbs}'
        words, files = vocabulary.load(write_card(workspace, "k", body), tmp_path, {})
        return words["verbs"], files

    return of


def test_names_in_the_card(load):
    verbs = '{ names = ["take", "Put-Down", "cup/glass", "board:chopping"] }'
    words, files = load(verbs)
    assert words == [
        ["take"],
        ["put down"],
        ["cup/glass", "cup", "glass"],
        ["board chopping", "chopping board"],
    ]
    assert files == []


def test_a_csv_with_ids_and_forms_in_any_order(load, tmp_path):
    content = (
        "key,number,forms\n"
        "put,2,\"['put-away', 'put', 'place']\"\n"
        "take,0,\"['take', 'pick-up', 'pan:frying']\"\n"
    )
    verbs = '{ size = 3, file = "v.csv", id = "number", name = "key", forms = "forms" }'
    words, files = load(verbs, "v.csv", content)
    assert words == [
        ["take", "pick up", "pan frying", "frying pan"],
        [],
        ["put", "put away", "place"],
    ]
    assert files == [tmp_path / "v.csv"]


def test_a_csv_without_ids_counts_its_rows(load):
    words, _ = load('{ size = 2, file = "v.csv", name = "label" }', "v.csv", "label\ntake\nput\n")
    assert words == [["take"], ["put"]]


def test_text_and_json_lists(load):
    words, _ = load('{ size = 2, file = "v.txt" }', "v.txt", "v000 awaken\nv001 Turn Off\n")
    assert words == [["awaken"], ["turn off"]]
    words, _ = load('{ size = 2, file = "v.json" }', "v.json", json.dumps(["get", "put_down"]))
    assert words == [["get"], ["put down"]]


def test_an_absent_list_leaves_classes_without_names(load, tmp_path, capsys):
    words, files = load('{ size = 2, file = "v.csv" }')
    assert (words, files) == ([[], []], [])
    warning = capsys.readouterr().err
    assert warning == f"warning: {tmp_path}/v.csv is not there: k has no class names for verbs\n"


def test_a_card_may_tell_the_size_alone(load, capsys):
    assert load("{ size = 3 }") == ([[], [], []], [])
    assert capsys.readouterr().err == ""


def test_a_list_of_another_length_is_reported_and_used(load, tmp_path, capsys):
    words, _ = load('{ size = 3, file = "v.txt" }', "v.txt", "v000 take\nv001 put\n")
    assert words == [["take"], ["put"]]
    warning = capsys.readouterr().err
    assert warning == f"warning: {tmp_path}/v.txt lists 2 classes; the card expects 3\n"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("v.csv", "", "got an empty file"),
        ("v.csv", "number,kye\n0,take\n", "column key is missing, got nearest kye"),
        ("v.csv", b"\x89PNG\r\n\x1a\n\xff", "malformed annotation"),
        ("v.txt", b"\x89PNG\r\n\x1a\n\xff", "malformed annotation"),
        ("v.json", b"\x89PNG\r\n\x1a\n\xff", "malformed annotation"),
        ("v.json", '["take"', "malformed annotation"),
        ("v.json", '{"take": 0}', "expected a list of class names"),
        ("v.json", "[1]", "expected a list of class names"),
    ],
)
def test_files_that_are_no_class_lists(load, tmp_path, name, content, words):
    with pytest.raises(SumlError) as caught:
        load(f'{{ size = 2, file = "{name}", id = "number", name = "key" }}', name, content)
    text = str(caught.value)
    assert text.startswith(f"{tmp_path / name}: ")
    assert words in text
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize("number", ["x", "", "-1", "1.5", "9" * 12, "9" * 30])
def test_a_bad_class_id_is_named_with_file_and_row(load, number):
    verbs = '{ size = 2, file = "v.csv", id = "number", name = "key" }'
    with pytest.raises(SumlError, match=r"^v\.csv row 3: no class id, got "):
        load(verbs, "v.csv", f"number,key\n0,take\n{number},put\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("vocabulary")


@PROPERTY
@given(
    st.sampled_from(["v.csv", "v.txt", "v.json"]),
    st.binary(max_size=40)
    | st.text(max_size=20).map(lambda t: f'id,name\n0,take\n1,"{t}"\n'.encode())
    | st.lists(st.text(max_size=8), max_size=3).map(lambda names: json.dumps(names).encode()),
)
def test_random_lists_give_words_or_one_line(folder, name, content):
    (folder / name).write_bytes(content)
    source = f'{{ size = 2, file = "{name}", id = "id" }}'
    body = f'[reader]\nname = "x"\n[videos]\npaths = ["x"]\n[vocabulary]\nverbs = {source}'
    card = write_card(Workspace(folder), "k", body)
    try:
        words, _ = vocabulary.load(card, folder, {})
    except SumlError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert all(
            word and word == " ".join(word.split()) for one in words["verbs"] for word in one
        )
