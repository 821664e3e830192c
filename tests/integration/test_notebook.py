"""The notebook of docs/ runs from top to bottom, and is stored as it ran."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

STORED = Path(__file__).parents[2] / "docs" / "notebook.ipynb"


def shown(notebook):
    """For each cell of code that shows something: its kinds of output, and its texts."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            data = [output.get("data", {"text/plain": output.get("text")}) for output in cell.outputs]
            found.append(({kind for each in data for kind in each}, "".join(str(each["text/plain"]) for each in data)))
    return found


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(STORED, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    assert (folder / "results/notebook/report/index.html").exists()
    return notebook


def test_it_runs_without_an_error_and_shows_what_it_shows_where_it_is_stored(executed):
    now, stored = shown(executed), shown(nbformat.read(STORED, as_version=4))
    assert [kinds for kinds, _ in now] == [kinds for kinds, _ in stored]
    assert not any(output.output_type == "error" for cell in executed.cells for output in cell.get("outputs", ()))
    assert [output.name for cell in executed.cells for output in cell.get("outputs", ()) if "name" in output] == [
        "stdout"
    ]


def test_it_shows_bars_tables_and_a_figure_and_runs_nothing_twice(executed):
    cells = shown(executed)
    assert [place for place, (kinds, _) in enumerate(cells) if "image/png" in kinds] == [5]
    assert "18/18" in cells[0][1]
    assert cells[0][1].count("trials ") < 5  # bars that are drawn anew, and no line per trial
    assert "21 trials, 18 done before, 3 to run" in cells[6][1]
    html = "".join(str(cell.outputs) for cell in executed.cells if cell.cell_type == "code")
    for words in ("average_gap", "param.rho", "digit", "remembered", "niform"):  # of the method of one's own
        assert words in html


def test_what_is_stored_names_no_machine():
    text = STORED.read_text("utf-8")
    assert [word for word in ("/home/", "/root/", "/tmp/", "Traceback") if word in text] == []
