"""Scripts of tables and figures on what are no results."""

from __future__ import annotations

import sys

import pytest

from analysis import methods_table, recall, relearning_tables, rho
from analysis.drawing.figure import run_figure


@pytest.mark.parametrize("main", [methods_table.main, recall.main, relearning_tables.main, None])
@pytest.mark.parametrize(
    ("directory", "said"),
    [("nowhere", "nowhere: no such results directory"), ("s3://me:hunter2@bucket/out", "names a password")],
)
def test_bad_input_ends_a_script_with_one_line(main, directory, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["rho", directory, "--out", "drawn"])
    with pytest.raises(SystemExit) as ended:
        run_figure(rho.draw) if main is None else main(directory)
    out, err = capsys.readouterr()
    assert (ended.value.code, out, len(err.splitlines())) == (2, "", 1)
    assert said in err
    assert "hunter2" not in err
