"""Comparisons of methods in LaTeX."""

import re
import shutil
import subprocess

import pytest
from made_results import TWO_SEEDS, row

from analysis.methods_table import methods_table, to_latex
from analysis.reading.frames import read_frames

FIVE = [one | {"trial_id": f"5-{one['trial_id']}", "task_id": "five", "forget_ratio": 0.05} for one in TWO_SEEDS]
RIVAL = [row("uam", seed, metrics=(99.5, 96.0, 80.0, 30.0)) for seed in (0, 1)]
ORIGINAL = [row("original", seed, metrics=(100.0, 88.0, 91.0, 45.0)) for seed in (0, 1)]
"""Nearer to Retrain than any method."""


@pytest.fixture
def latex(directory):
    """A function from rows to their LaTeX."""
    return lambda rows: to_latex(methods_table(read_frames(directory(rows)).trials))


def bodies(text):
    """For each tabular its rows: lists of cells, by name."""
    found = []
    for body in re.findall(r"\\midrule\n(.*?)\n\\bottomrule", text, re.DOTALL):
        lines = [line.removesuffix(r" \\").split(" & ") for line in body.splitlines()]
        found.append({line[0]: line[1:] for line in lines})
    return found


def test_a_table_stands_in_a_paper_as_it_is(latex):
    text = latex(TWO_SEEDS)
    assert text.startswith(r"% needs \usepackage{booktabs,graphicx}")
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 1
    assert r"\caption{digits, small-cnn, forget 10 \% at random. Percent, mean $\pm$ standard deviation" in text
    assert r"\label{tab:methods-1}" in text
    [rows] = bodies(text)
    assert rows["FineTune"][2] == r"\textbf{96.0$_{\pm0.0}$ [8.0]}"


def test_the_method_closest_to_retrain_is_bold_and_no_reference_ever_is(latex):
    [rows] = bodies(latex([*TWO_SEEDS, *RIVAL, *ORIGINAL]))
    bold = {name: [r"\textbf" in cell for cell in cells] for name, cells in rows.items()}
    # the columns are n, RA, FA, TA, MIA, the average gap and the cost
    assert bold["FineTune"] == [False, True, True, True, True, True, False]
    assert bold["UAM"] == [False, True, True, False, True, False, False]  # of RA, FA and MIA the gaps are the same
    assert not any(any(cells) for name, cells in bold.items() if name not in ("FineTune", "UAM"))


def test_gaps_are_alike_where_they_are_written_alike(latex):
    accuracies = {"retrain": 0.0, "uam": 0.4, "ssd": 0.45}
    [rows] = bodies(latex([row(name, metrics=(accuracy,) * 4) for name, accuracy in accuracies.items()]))
    assert [rows[name][1] for name in ("UAM", "SSD")] == [r"\textbf{0.4 [0.4]}", "0.5 [0.5]"]


def test_several_forget_sets_stand_beside_one_another(latex):
    text = latex([*TWO_SEEDS, *RIVAL, *FIVE])
    [rows] = bodies(text)
    assert r" & \multicolumn{7}{c}{forget 5 \% at random} & \multicolumn{7}{c}{forget 10 \% at random} \\" in text
    assert r"\cmidrule(lr){2-8} \cmidrule(lr){9-15}" in text
    assert {len(cells) for cells in rows.values()} == {14}
    assert rows["UAM"][:7] == ["--"] * 7
    assert rows["FineTune"][0] == rows["FineTune"][7] == "2"


def test_other_data_has_a_table_of_its_own(latex):
    other = [one | {"trial_id": f"o-{one['trial_id']}", "task_id": "other", "dataset": "cifar"} for one in TWO_SEEDS]
    assert len(bodies(latex([*TWO_SEEDS, *other]))) == 2


@pytest.mark.soak
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_latex_sets_it_without_a_table_wider_than_the_text(latex, tmp_path):
    (tmp_path / "methods.tex").write_text(latex([*TWO_SEEDS, *RIVAL, *FIVE]))
    packages, text = r"\usepackage{booktabs,graphicx}", r"\begin{document}\input{methods}\end{document}"
    (tmp_path / "paper.tex").write_text(rf"\documentclass{{article}}{packages}{text}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper"]
    log = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert "Output written on paper.pdf (1 page" in log
    assert "Overfull" not in log
