"""Pages of a directory that changes: they show what is new, and results are not read all the time."""

import sys

import pytest
from made_sites import compared, row, stored

from analysis.pages import followed
from analysis.pages.followed import Followed
from analysis.pages.samples import Samples
from sweep import cli
from sweep.store.read_only import ReadOnly


class Counted(ReadOnly):
    def __init__(self, location):
        super().__init__(location)
        self.reads = 0

    def trials(self, *arguments):
        self.reads += 1
        return super().trials(*arguments)


@pytest.fixture
def pages(tmp_path):
    results = Counted(compared(tmp_path).location)
    return results, Followed(results, lambda config: Samples(), lambda: "not known.")


def test_what_is_stored_appears(pages, monkeypatch):
    monkeypatch.setattr(followed, "REST", 0)
    results, found = pages
    assert "6 trials are stored" in found.page("index.html")
    assert found.page("trials/task-uam--2.html") is None
    stored(results.location, [(row("uam", 2), None)])
    assert "7 trials are stored" in found.page("index.html")
    assert "seed 2" in found.page("trials/task-uam--2.html")


BROKEN = {
    "config": ["{", "text", "[]", '{"method": []}', '{"method": {"version": "x"}}', '{"forget": 3}'],
    "params": ["{", "3"],
    "other": ["["],
    "notes": ["{'a': 1}"],
}


@pytest.mark.parametrize(("column", "text"), [(column, text) for column, texts in BROKEN.items() for text in texts])
def test_a_row_whose_json_is_broken_is_named_and_the_rest_is_shown(tmp_path, column, text, monkeypatch, capsys):
    location = compared(tmp_path).location
    stored(location, [(row("uam", 2) | {column: text}, None)])
    page = Followed(ReadOnly(location), lambda config: Samples(), lambda: "not known.").page
    assert "6 trials are stored" in page("index.html")
    assert f"trials/task-uam--2.parquet: its {column} is no JSON object" in page("index.html")
    assert page("trials/task-uam--2.html") is None
    assert page("trials/task-uam--1.html") is not None
    monkeypatch.setattr(sys, "argv", ["unlearn-sweep", "status", location])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    told = capsys.readouterr()
    assert (ended.value.code or 0, told.out.partition(" in ")[0]) == (0, "6 trials")
    assert told.err == f"warning: trials/task-uam--2.parquet: its {column} is no JSON object; it counts as absent\n"


def test_results_are_read_again_only_where_something_was_stored(pages, monkeypatch):
    monkeypatch.setattr(followed, "REST", 0)
    results, found = pages
    for _ in range(3):
        found.page("index.html")
    assert results.reads == 1


def test_a_sweep_that_stores_much_is_not_read_at_every_request(pages, monkeypatch):
    monkeypatch.setattr(followed, "REST", 10**6)
    results, found = pages
    found.page("index.html")
    stored(results.location, [(row("uam", 2), None)])
    assert "6 trials are stored" in found.page("index.html")
    assert results.reads == 1
    monkeypatch.setattr(found, "_not_before", 0.0)
    assert "7 trials are stored" in found.page("index.html")


def test_a_directory_that_has_just_begun(tmp_path):
    found = Followed(ReadOnly(str(tmp_path / "new")), lambda config: Samples(), lambda: "not known.")
    assert "No trial has ended yet." in found.page("index.html")
    assert not (tmp_path / "new").exists()
