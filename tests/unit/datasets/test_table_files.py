"""Files of rows as spreadsheets, pandas and people write them."""

import csv
import io

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumlctl.datasets.table_files import delimiter_of, read_table
from sumlctl.errors import SumlError
from tests.annotation_files import write_csv

PROPERTY = settings(max_examples=80, deadline=None, derandomize=True)
TWO = [("a", "0", "x.csv row 2"), ("b", "1", "x.csv row 3")]


@pytest.fixture
def rows(tmp_path):
    """Returns the rows of a file with this content."""

    def of(content, name="x.csv", **options):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_table(path, **options).rows()

    return of


def refusal(rows, *arguments, **options):
    with pytest.raises(SumlError, match=r"\A[^\n]+\Z") as caught:
        rows(*arguments, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        "v,s\na,0\nb,1\n",
        "v,s\na,0\nb,1",
        "v,s\r\na,0\r\nb,1\r\n",
        "v,s\ra,0\rb,1\r",
        "\ufeffv,s\na,0\nb,1\n",
        "v;s\na;0\nb;1\n",
        "v\ts\na\t0\nb\t1\n",
        "v|s\na|0\nb|1\n",
        "v,s\na,0\nb,1\n\n\n",
        "v,s\na,0\nb,1\n,\n   ,  \n",
        "v,s\na,0\nb,1\n   \n",
        "v, s\na, 0\nb, 1\n",
        " v ,s \na,0\nb,1\n",
        "v,s\na,0,\nb,1,\n",
        'v,s\n"a",0\n"b","1"\n',
    ],
)
def test_read_table_ways_to_write_two_rows(rows, content):
    assert rows(content) == TWO


def test_read_table_blank_lines_count_as_rows(rows):
    """A name of a row leads to the line that an editor shows."""
    assert rows("v,s\n\na,0\n,\nb,1\n") == [
        ("a", "0", "x.csv row 3"),
        ("b", "1", "x.csv row 5"),
    ]


def test_read_table_names_the_line_after_cells_of_several_lines(rows):
    assert rows('v,s\n"a\nb\nc",0\nd,1\n') == [
        ("a\nb\nc", "0", "x.csv row 2"),
        ("d", "1", "x.csv row 3 (line 5)"),
    ]


def test_read_table_a_delimiter_at_the_end_of_every_line(rows):
    assert rows("v,s,\na,0,\n") == [("a", "0", None, "x.csv row 2")]
    assert rows("v,s,\na,0\n") == [("a", "0", None, "x.csv row 2")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("v,s\na,0\nopen, door,1\n", "x.csv row 3: more cells than columns, got 3 cells: "),
        ("v,s,t\na,0,1\n\nb,2\n", "x.csv row 4: fewer cells than columns, got 2 cells: 'b,2'"),
        ('v,s\n"a\nb",0\nc\n', "x.csv row 3 (line 4): fewer cells than columns, got 1 cells: 'c'"),
        ("v,s\n", "got no rows"),
        ("v,s\n,\n\n", "got no rows"),
        ("\n \n", "got an empty file"),
    ],
)
def test_read_table_refuses_with_one_line(rows, content, words):
    assert words in refusal(rows, content)


def test_read_table_delimiter_and_quote_by_choice(rows):
    assert rows("v#s\na#0\nb#1\n", delimiter="#") == TWO
    assert rows('v\ts\n"a\t0\nb"\t1\n', quote="") == [
        ('"a', "0", "x.csv row 2"),
        ('b"', "1", "x.csv row 3"),
    ]


def test_read_table_warns_of_a_quotation_mark_that_takes_in_rows(rows, capsys):
    """Three lines, of which the mark makes one row: the cell holds the delimiters of two."""
    assert len(rows('v\ts\tt\n"a\t0\t1\nb\t0\t1\nc"\t1\t2\n')) == 1
    assert capsys.readouterr().err.startswith("warning: x.csv row 2: a cell of several lines")
    rows('v\ts\tt\n"a\nb"\t0\t1\n')
    assert capsys.readouterr().err == ""


def test_read_table_columns_of_one_name(rows, tmp_path):
    rows("v,s,v\na,0,b\n")
    assert read_table(tmp_path / "x.csv").columns == [
        "v (column 1)",
        "s",
        "v (column 3)",
        "_source",
    ]


def test_read_table_jsonl_as_python_writes_it(rows):
    content = '\ufeff{"v": "a", "s": NaN}\r\n\r\n{"v": "b", "s": 1.5}\r\n'
    found = rows(content, "x.jsonl")
    assert str(found[0][1]) == "nan"
    assert (found[0][0], found[1]) == ("a", ("b", 1.5, "x.jsonl row 2"))
    mixed = rows('{"v": 1}\n{"v": [1, 2]}\n{"v": "open"}\n{"v": null}\n', "x.jsonl")
    assert [row[0] for row in mixed[:3]] == ["1", "[1, 2]", "open"]


def test_read_table_jsonl_names_the_line_that_is_no_json(rows):
    assert "got line 3: " in refusal(rows, '{"v": 1}\n\n{"v":\n', "x.jsonl")
    assert "got line 2: [1]" in refusal(rows, '{"v": 1}\n[1]\n', "x.jsonl")


def test_delimiter_of_goes_by_the_header(tmp_path):
    for header, mark in (("a,b;c,d", ","), ("a;b;c,d", ";"), ("a", ","), ("a\tb", "\t")):
        (tmp_path / "x.csv").write_text(header + "\n")
        assert delimiter_of(tmp_path / "x.csv") == mark
    (tmp_path / "x.tsv").write_text("a,b\n")
    assert delimiter_of(tmp_path / "x.tsv") == "\t"


CELL = st.text(st.sampled_from("ab ,;\"'\n\t|é1"), max_size=6).map(str.strip)


@PROPERTY
@given(
    st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=6).filter(
        lambda table: any(any(row) for row in table)
    ),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n"]),
)
def test_read_table_gives_back_what_the_csv_module_writes(tmp_path_factory, table, mark, end):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=mark, lineterminator=end)
    writer.writerows([("one", "two", "three"), *table])
    path = tmp_path_factory.getbasetemp() / "written.csv"
    path.write_bytes(text.getvalue().encode())
    wanted = [tuple(cell or None for cell in row) for row in table if any(row)]
    assert [row[:3] for row in read_table(path).rows()] == wanted


def test_read_table_parquet_without_values_in_a_row(tmp_path):
    pl.DataFrame({"v": ["a", None, ""], "s": [1.0, None, None]}).write_parquet(
        tmp_path / "x.parquet"
    )
    assert read_table(tmp_path / "x.parquet").rows() == [("a", 1.0, "x.parquet row 1")]


def test_read_table_header_of_several_lines(rows, tmp_path):
    write_csv(tmp_path / "y.csv", [{"a\nb": "1", "c": "2"}, {"a\nb": "3", "c": "4"}])
    assert [row[:2] for row in read_table(tmp_path / "y.csv").rows()] == [("1", "2"), ("3", "4")]


@pytest.mark.parametrize(
    "content",
    [
        "sep=;\r\nv;s\r\na;0\r\nb;1\r\n",
        "\ufeffsep=;\nv;s\na;0\nb;1\n",
        '"sep=,"\nv,s\na,0\nb,1\n',
        "sep=\t\nv\ts\na\t0\nb\t1\n",
        "sep=^\nv^s\na^0\nb^1\n",
    ],
)
def test_read_table_first_line_of_excel_names_the_delimiter(rows, content):
    """Excel's `sep=` line is no header; rows keep the numbers that a spreadsheet shows."""
    assert rows(content) == [("a", "0", "x.csv row 3"), ("b", "1", "x.csv row 4")]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["x.csv", "x.tsv"])
def test_read_table_unicode_text_of_excel(rows, encoding, name):
    """Excel saves "Unicode text" as UTF-16 with a byte order mark, and tabs."""
    mark = "" if encoding == "utf-16" else "\ufeff"
    content = (mark + "v\ts\r\ncaf\u00e9\t0\r\nb\t1\r\n").encode(encoding)
    found = [row[:2] for row in rows(content, name)]
    assert found == [("caf\u00e9", "0"), ("b", "1")]


def test_read_table_other_encodings_say_what_to_do(rows):
    text = refusal(rows, "v,s\ncaf\u00e9,0\n".encode("latin-1"))
    assert "not UTF-8" in text and text.endswith("Save it as UTF-8.")
    assert "Make such a table of it" in refusal(rows, "{}", "x.json")


def test_read_table_parquet_lists_of_one_length(tmp_path):
    """Arrow's fixed-size lists are lists."""
    frame = pl.DataFrame({"v": [[1, 2], [3, 4]]}, schema={"v": pl.Array(pl.Int32, 2)})
    frame.write_parquet(tmp_path / "x.parquet")
    found = read_table(tmp_path / "x.parquet")
    assert (found.schema["v"], found["v"].to_list()) == (pl.List(pl.Int32), [[1, 2], [3, 4]])
