"""A table is as wide as the terminal, and a number is broken nowhere but where it may be."""

from io import StringIO

import pytest
from rich.console import Console

from analysis.drawing.terminal import fitted

HEADERS = ["method", "n", "RA", "FA"]
ROWS = [["certified-ridge", "3", "100.0±10.0\n[10.0]", "7.5±0.5"], ["cf-k (lr=1e-05, k=3)", "3", "9.0", "–"]]


@pytest.fixture
def printed():
    """A function from a width to the lines of the table of `ROWS`, without the spaces at their ends."""

    def lines(width, headers=HEADERS, rows=ROWS):
        console = Console(width=width, file=StringIO())
        console.print(fitted(headers, rows, "±", console))
        found = console.file.getvalue().splitlines()
        assert max(map(len, found)) <= width
        return [line.strip() for line in found if line.strip(" ─")]

    return lines


def test_where_there_is_room_nothing_is_broken(printed):
    lines = printed(80)
    assert lines == [
        "method                n          RA       FA",
        "certified-ridge       3  100.0±10.0  7.5±0.5",
        "[10.0]",
        "cf-k (lr=1e-05, k=3)  3         9.0        –",
    ]
    assert printed(200) == lines


def test_names_are_broken_at_spaces_first(printed):
    assert printed(44) == [
        "method           n          RA       FA",
        "certified-ridge  3  100.0±10.0  7.5±0.5",
        "[10.0]",
        "cf-k (lr=1e-05,  3         9.0        –",
        "k=3)",
    ]
    assert printed(38, ["method", "n"], [["cf-k (lr=1e-05, k=3, layers=top-down)", "3"]])[1:] == [
        "cf-k (lr=1e-05, k=3,  3",
        "layers=top-down)",
    ]


def test_then_columns_stand_closer(printed):
    assert printed(39)[1] == "certified-ridge 3 100.0±10.0 7.5±0.5"


def test_then_numbers_are_broken_where_they_may_be(printed):
    assert printed(37)[1:4] == ["certified-ridge  3   100.0   7.5", "±10.0  ±0.5", "[10.0]"]


def test_then_names_are_broken_at_hyphens_between_words(printed):
    lines = printed(28)
    assert lines[1:4] == ["certified- 3  100.0  7.5", "ridge         ±10.0 ±0.5", "[10.0]"]
    assert lines[-3:] == ["cf-k       3    9.0    –", "(lr=1e-05,", "k=3)"]


def test_a_table_without_rows_has_its_header(printed):
    assert printed(80, rows=[]) == ["method  n  RA  FA"]


def test_names_are_no_markup(printed):
    assert printed(80, ["method", "n"], [["a [bold]b", "3"]])[1] == "a [bold]b  3"
