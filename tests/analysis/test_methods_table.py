import json
import math
import subprocess
import sys
from io import StringIO

import pandas as pd
import pytest
from made_results import CERTIFIED, CLAIM, OF_A_CLASS, TWO_SEEDS, row
from pandas.testing import assert_frame_equal
from rich.console import Console

from analysis.comparison import comparisons
from analysis.methods_table import (
    WRITERS,
    display_rows,
    methods_table,
    render_rich,
    to_latex,
    to_markdown,
    write_tables,
)
from analysis.reading.frames import read_frames
from analysis.reading.selection import ANOTHER_SEED
from analysis.wording.escaping import in_markdown

METRICS = (100.0, 90.0, 90.0, 50.0)


@pytest.fixture
def table_of(directory):
    """A function from rows to their table of methods."""
    return lambda rows: methods_table(read_frames(directory(rows)).trials)


def line(table, method):
    (found,) = (record for record in table.to_dict("records") if record["method"] == method)
    return found


def test_means_and_standard_deviations_over_seeds(table_of):
    retrain, finetune = (line(table_of(TWO_SEEDS), method) for method in ("retrain", "finetune"))
    assert (retrain["seeds"], retrain["RA.mean"], retrain["FA.mean"]) == (2, 99, 88)
    assert retrain["RA.std"] == pytest.approx(math.sqrt(2))  # of 100 and 98, with n - 1
    assert (finetune["FA.gap"], finetune["MIA.gap"]) == (8, 15)
    assert finetune["average_gap"] == 6.25
    assert finetune["average_gap.std"] == pytest.approx(math.sqrt(2 * 0.75**2))
    assert (finetune["seconds"], finetune["relative_seconds"]) == (5, 0.375)


def test_a_metric_that_no_row_has_is_no_column(table_of):
    rows = [one | {"mia": None} for one in TWO_SEEDS]
    assert display_rows(table_of(rows))[0] == ["method", "n", "RA", "FA", "TA", "avg. gap", "cost"]
    rows[0]["mia"] = 50.0
    assert display_rows(table_of(rows))[0] == ["method", "n", "RA", "FA", "TA", "MIA", "avg. gap", "cost"]
    failed = [one | dict.fromkeys(("retain_accuracy", "mia"), None) | {"status": "failed"} for one in rows]
    assert display_rows(table_of(failed))[0][:6] == ["method", "n", "RA", "FA", "TA", "MIA"]


def test_one_seed_has_a_mean_and_no_standard_deviation(table_of):
    table = table_of([TWO_SEEDS[0], TWO_SEEDS[2]])
    assert line(table, "finetune")["FA.mean"] == 96
    assert math.isnan(line(table, "finetune")["FA.std"])
    headers, cells = display_rows(table)
    finetune = dict(zip(headers, cells[1], strict=True))
    assert (finetune["n"], finetune["FA"], finetune["avg. gap"], finetune["cost"]) == ("1", "96.0 [6.0]", "7.0", "0.50")


def test_a_terminal_shows_what_stands_in_brackets_in_a_tasks_name(table_of):
    """Rich would take [a1] for its markup."""
    table = table_of(TWO_SEEDS + [one | {"task_id": "a1", "trial_id": f"a1-{one['trial_id']}"} for one in TWO_SEEDS])
    console = Console(width=80, file=StringIO())
    render_rich(table, console)
    assert "at random [a1]" in console.file.getvalue()


def test_two_retrains_are_one_pair_and_have_no_spread(table_of):
    _, cells = display_rows(table_of(TWO_SEEDS))
    [other] = [each for each in cells if each[0] == ANOTHER_SEED]
    assert other[2:7] == ["99.0 [2.0]", "88.0 [4.0]", "91.0 [2.0]", "45.0 [10.0]", "4.5"]
    retrain = [one for one in TWO_SEEDS if one["method"] == "retrain"]
    third = row("retrain", 2, metrics=(98.0, 80.0, 90.0, 40.0))
    _, cells = display_rows(table_of([*retrain, third]))
    assert cells[1][0] == ANOTHER_SEED
    assert "±" in cells[1][2]


def test_two_seeds_are_shown_with_their_spread(table_of):
    headers, cells = display_rows(table_of(TWO_SEEDS))
    assert dict(zip(headers, cells[0], strict=True))["RA"] == "99.0 ± 1.4 [0.0]"


def test_references_come_first_then_the_smallest_average_gap(table_of):
    rows = [row("bad", metrics=(0.0, 0.0, 0.0, 0.0)), row("good", metrics=(99.0, 90.0, 90.0, 50.0))]
    rows += [row("retrain", metrics=METRICS), row("original", metrics=(50.0, 50.0, 50.0, 50.0)), row("unknown")]
    rows += [row("untrained", metrics=METRICS)]
    assert table_of(rows)["method"].tolist() == ["original", "retrain", "untrained", "good", "bad", "unknown"]


def test_references_come_first_in_every_configuration(table_of):
    rows = [row("original", params={"epochs": epochs}, metrics=(100.0, 99.0, 91.0, 10.0)) for epochs in (0, 1)]
    assert table_of([*TWO_SEEDS, *rows])["method"].tolist() == [
        "original (epochs=0)",
        "original (epochs=1)",
        "retrain",
        "retrain, another seed",
        "finetune",
    ]


def test_trials_that_did_not_end_ok_are_counted_and_not_averaged(table_of):
    rows = [*TWO_SEEDS, row("finetune", 2, params={"lr": 0.1}, status="diverged", metrics=(0.0, 0.0, 0.0, 0.0))]
    rows += [row("uam", seed, status="failed", error="Traceback") for seed in (0, 1)]
    table = table_of(rows)
    assert (line(table, "finetune")["seeds"], line(table, "finetune")["FA.mean"]) == (2, 96)
    assert line(table, "finetune")["ended"] == "1 diverged"
    assert (line(table, "uam")["seeds"], line(table, "uam")["ended"]) == (0, "2 failed")
    headers, cells = display_rows(table)
    assert headers[-1] == "not ok"
    assert cells[-1] == ["uam", "0", "–", "–", "–", "–", "–", "–", "2 failed"]


def test_where_retrain_failed_on_a_seed_the_gap_says_over_how_many_seeds_it_is(table_of):
    rows = [*TWO_SEEDS, row("retrain", 2, status="failed")]
    rows.append(row("finetune", 2, params={"lr": 0.1}, metrics=(99.0, 99.0, 91.0, 30.0), seconds=5.0))
    table = table_of(rows)
    assert (line(table, "finetune")["seeds"], line(table, "finetune")["average_gap.n"]) == (3, 2)
    headers, cells = display_rows(table)
    finetune = dict(zip(headers, cells[-1], strict=True))
    assert (finetune["n"], finetune["FA"], finetune["avg. gap"]) == ("3", "97.0 ± 1.7 [8.0]", "6.2 ± 1.1, n = 2")
    assert dict(zip(headers, cells[0], strict=True))["avg. gap"] == "0.0 ± 0.0"
    assert "| 6.2 ± 1.1, n = 2 |" in to_markdown(table)
    assert r"& \textbf{6.2$_{\pm1.1}$, n = 2} &" in to_latex(table)
    console = Console(width=80, file=StringIO())
    render_rich(table, console)
    lines = console.file.getvalue().splitlines()
    place = next(place for place, text in enumerate(lines) if "6.2±1.1" in text)
    assert lines[place + 1].split() == ["[1.0]", "[8.0]", "[1.0]", "[15.0]", "n", "=", "2"]


def test_a_terminal_of_80_columns_breaks_no_number(table_of):
    params = [{"rho": rho, "hessian": hessian} for rho in (1.0, 2.0) for hessian in ("scalar", "exact")]
    rows = [row("retrain", seed, metrics=(100.0, 91.0, 92.0, 50.0)) for seed in range(3)]
    rows += [
        row("uam", seed, params=each, metrics=(100.0, 86.0 + seed, 9.0, 49.0)) for seed in range(3) for each in params
    ]
    rows += [row("uam", 3, params=params[0], status="diverged")]
    console = Console(width=80, file=StringIO())
    render_rich(table_of(rows), console)
    lines = [line.split() for line in console.file.getvalue().splitlines()]
    place = lines.index(["1", "diverged"])
    assert lines[place - 2][:2] == ["uam", "(rho=1.0,"]
    assert lines[place - 2][2:6] == ["3", "100.0±0.0", "87.0±1.0", "9.0±0.0"]
    assert lines[place - 1][:2] == ["hessian=scalar)", "[0.0]"]


def test_without_retrain_there_are_accuracies_and_no_gaps(table_of):
    (cells,) = display_rows(table_of(TWO_SEEDS[2:]))[1]
    assert cells == ["finetune", "2", "99.0 ± 0.0", "96.0 ± 0.0", "91.0 ± 0.0", "30.0 ± 0.0", "–", "–"]


def test_a_grid_has_a_row_per_configuration_and_seeds_share_one(table_of):
    rows = [row("uam", seed, params={"rho": rho, "epochs": 3}) for seed in (0, 1) for rho in (1.0, 2.0)]
    assert sorted(zip(*(table_of(rows)[name] for name in ("method", "seeds")), strict=True)) == [
        ("uam (rho=1.0)", 2),
        ("uam (rho=2.0)", 2),
    ]


def test_tasks_are_apart_and_named(table_of):
    rows = [row("retrain", task="a"), row("retrain", task="b", forget_ratio=0.5)]
    rows.append(row("retrain", task="c", scenario="class", forget_ratio=None, forget_class=3))
    named = {"forget_ratio": None, "forget_class": None, "forget_class_name": "cat"}
    rows.append(row("retrain", task="d", scenario="class", **named))
    for task, forget in (("e", {"class": 4}), ("f", {"class": 4, "version": 2})):
        config = json.dumps({"forget": forget})
        rows.append(row("retrain", task=task, scenario="class", forget_ratio=None, forget_class=4, config=config))
    assert table_of(rows)["task"].tolist() == [
        "digits, small-cnn, forget 10 % at random",
        "digits, small-cnn, forget 50 % at random",
        "digits, small-cnn, forget class 3",
        "digits, small-cnn, forget class 4",
        "digits, small-cnn, forget class 4 (by trained labels, TA on all classes)",
        "digits, small-cnn, forget class cat",
    ]


def test_tasks_of_the_same_words_are_told_apart_by_their_ids(table_of):
    tasks = table_of([row("retrain", task="a"), row("retrain", task="b")])["task"].tolist()
    assert [task[-4:] for task in tasks] == [" [a]", " [b]"]


def test_where_a_class_is_forgotten_its_test_accuracy_is_shown_and_in_no_average(table_of):
    table = table_of([*OF_A_CLASS, *TWO_SEEDS])
    randomlabel = line(table, "randomlabel")
    assert (randomlabel["TA-F.mean"], randomlabel["TA-F.gap"], randomlabel["average_gap"]) == (9, 9, 0.75)
    assert pd.isna(line(table, "finetune")["TA-F.mean"])
    for text in (to_markdown(table), to_latex(table)):
        assert text.count("TA: on the other classes; TA-F: on the forgotten one, not in the average gap") == 1
    at_random, of_a_class = to_markdown(table).split("## ")[1:]
    assert "| TA | MIA |" in at_random
    assert "| TA | TA-F | MIA |" in of_a_class
    assert "| 98.4 ± 0.0 [1.0] | 9.0 ± 1.0 [9.0] | 99.0 ± 1.0 [1.0] |" in of_a_class


def test_a_terminal_of_80_columns_has_room_for_a_forgotten_classs_test_accuracy(table_of):
    console = Console(width=80, file=StringIO())
    render_rich(table_of(OF_A_CLASS), console)
    lines = [line.split() for line in console.file.getvalue().splitlines()]
    assert ["method", "n", "RA", "FA", "TA", "TA-F", "MIA", "avg.", "gap", "cost"] in lines
    assert ["randomlabel", "3", "100.0±0.0", "1.0±0.0", "98.4±0.0", "9.0±1.0", "99.0±1.0", "0.8±0.2", "–"] in lines


def test_where_deviations_are_too_wide_for_80_columns_they_have_lines_of_their_own(table_of):
    other = {"scenario": "class", "forget_ratio": None, "forget_class": 3, "forgotten_test_accuracy": 9.0}
    rows = [
        row("gaussian-amnesiac", seed, metrics=(100.0, 50.0 * seed, 98.4, 50.0 * seed), task="class", **other)
        for seed in range(3)
    ]
    console = Console(width=80, file=StringIO())
    render_rich(table_of([*OF_A_CLASS, *rows]), console)
    lines = [line.split() for line in console.file.getvalue().splitlines()]
    place = lines.index(["gaussian-amnesiac", "3", "100.0", "50.0", "98.4", "9.0", "50.0", "25.2", "–"])
    assert lines[place + 1] == ["±0.0", "±50.0", "±0.0", "±0.0", "±50.0", "±0.0"]
    assert lines[place + 2] == ["[0.0]", "[50.0]", "[1.0]", "[9.0]", "[50.0]"]


def test_where_a_range_is_forgotten_the_caption_says_what_its_test_error_is_of(table_of):
    rows = [row(method, kind="regression") for method in ("retrain", "finetune")]
    for column in ("retain_error", "forget_error", "test_error", "forgotten_test_error"):
        rows = [each | {column: 50.0} for each in rows]
    words = "TE: outside the forgotten range; TE-F: inside it, not in the average gap"
    assert words in to_markdown(table_of(rows))
    assert words not in to_markdown(table_of([each | {"forgotten_test_error": None} for each in rows]))


def test_a_metric_that_is_in_no_average_is_named_as_such(table_of):
    rows = [row(method, kind="language", metrics=METRICS[:3], attack_auc=50.0) for method in ("retrain", "finetune")]
    assert "not in the average gap" not in to_markdown(table_of(rows))
    rows = [each | {"forget_likelihood": 5.0} for each in rows]
    assert "; P-F: not in the average gap; passes: samples processed relative to Retrain." in to_markdown(
        table_of(rows)
    )


def test_markdown_has_a_table_per_task(table_of):
    text = to_markdown(table_of([*TWO_SEEDS, row("retrain", task="other", forget_ratio=0.5, metrics=METRICS)]))
    assert text.count("## digits, small-cnn, forget ") == 2
    assert "| FineTune | 2 | 99.0 ± 0.0 [1.0] | 96.0 ± 0.0 [8.0] |" in text
    assert "| cost | passes |" in text
    assert "| 0.38 | 0.10 |\n" in text


def test_markdown_escapes_the_bars_that_would_end_a_cell(table_of):
    assert "| UAM (mode=a\\|b) |" in to_markdown(table_of([row("uam", params={"mode": mode}) for mode in ("a|b", "c")]))


def test_latex_escapes_special_characters(table_of):
    rows = [row("my_plugin:A", params={"mode": mode}) for mode in ("50%&$#{x}", "c")]
    text = to_latex(table_of([*TWO_SEEDS, *rows]))
    assert r"my\_plugin:A (mode=50\%\&\$\#\{x\}) &" in text
    assert r"99.0$_{\pm1.4}$" in text
    assert "±" not in text.partition("\n")[2]
    assert text.count(r" \\") == 1 + 5  # the header, a row per configuration, and Retrain of another seed


EDITED = [
    *TWO_SEEDS[:2],
    *(one | {"method": "mine:Plus"} for one in TWO_SEEDS[2:]),
    row("mine:Plus", 2, params={"lr": 0.1}, metrics=(99.0, 96.0, 91.0, 30.0), code_version="1+p+edited"),
]
"""Two seeds of a plugin, and one more after it was edited."""


def test_a_row_that_averages_trials_of_several_code_versions_is_marked_and_the_table_says_so(table_of, tmp_path):
    table = table_of(EDITED)
    assert line(table, "mine:Plus")["code_versions"] == 2
    assert line(table, "retrain")["code_versions"] == 1
    remark = "Mixed code: Plus averages trials of 1 and 1+p+edited; --refresh repeats those of other code."
    assert set(table["remarks"]) == {remark}
    assert display_rows(table)[0][-1] == "code"
    assert [cells[-1] for cells in display_rows(table)[1]] == ["", "", "2 code versions"]
    console = Console(width=120, file=StringIO())
    render_rich(table, console)
    lines = [" ".join(text.split()) for text in console.file.getvalue().splitlines()]
    assert lines[next(place for place, text in enumerate(lines) if "mine:Plus" in text) + 1].startswith(
        "2 code version"
    )
    assert remark in lines
    assert remark in to_markdown(table)
    assert f"% {remark}\n" in to_latex(table)


def test_rows_of_different_code_versions_side_by_side_are_told(table_of):
    table = table_of([*TWO_SEEDS[:2], *(one | {"code_version": "1+later"} for one in TWO_SEEDS[2:])])
    assert set(table["code_versions"]) == {1}
    assert set(table["remarks"]) == {
        "Mixed code: trials of 1 and 1+later are compared; --refresh repeats those of other code."
    }
    assert display_rows(table)[0][-1] == "cost"


def test_where_no_method_is_closer_than_original_the_table_says_so(table_of):
    original = [row("original", seed, metrics=(99.0, 91.0, 91.0, 45.0)) for seed in (0, 1)]
    table = table_of([*TWO_SEEDS, *original])  # gaps of original: 2 and 3; of finetune 7 and 5.5
    remark = "The original is at 2.5: at this setting no method has a lower mean gap to Retrain than doing nothing."
    assert set(table["remarks"]) == {remark}
    better = row("uam", 0, metrics=(100.0, 90.0, 91.0, 50.0))
    assert set(table_of([better])["remarks"]) == {""}


ONE = "SISA shapes training: it starts from an original of its own, not from Original."
TWO = "Amnesiac and SISA shape training: they start from originals of their own, not from Original."


@pytest.mark.parametrize(
    ("methods", "told"),
    [
        (("original", "finetune", "sisa"), ONE),
        (("original", "finetune", "sisa", "amnesiac"), TWO),
        (("original", "finetune"), ""),
        (("finetune", "sisa"), ""),
    ],
)
def test_methods_that_shape_training_are_told_not_to_start_from_original(table_of, methods, told):
    starts = {"retrain": None, "sisa": "sharded", "amnesiac": "logged"}
    metrics = {"retrain": METRICS, "finetune": METRICS}
    rows = [
        row(name, seed, metrics=metrics.get(name, (99.0, *METRICS[1:])), original_id=start and f"{start} {seed}")
        for name in ("retrain", *methods)
        for start in [starts.get(name, "ordinary")]
        for seed in (0, 1)
    ]
    table = table_of(rows)
    assert set(table["remarks"]) == {told}
    assert (f"\n\n{told}\n\n" in to_markdown(table)) == bool(told)


def test_a_drawn_value_is_short_in_tables_and_whole_in_csv(table_of):
    rows = [row("uam", seed=seed, params={"rho": rho}) for seed, rho in enumerate([0.123456789012345, 0.5])]
    table = table_of(rows)
    assert "| UAM (rho=0.1235) |" in to_markdown(table)
    assert '{""rho"": 0.123456789012345}' in WRITERS["methods.csv"](table)


def test_what_a_method_certifies_stands_under_the_table_of_its_task(table_of):
    twice = [CERTIFIED, CERTIFIED | {"trial_id": "failed", "seed": 1, "status": "failed", "notes": None}]
    other = row("head", params={"l2": 0.1}, task="other", forget_ratio=0.2, metrics=METRICS)
    table = table_of([*TWO_SEEDS, *twice, other, row("failed", status="failed")])
    assert line(table, "failed")["certificate"] == ""
    assert [line(rows, "head")["certificate"] for _, rows in table.groupby("task")] == [CLAIM, ""]
    assert line(table, "finetune")["certificate"] == ""
    console = Console(width=120, file=StringIO())
    render_rich(table, console)
    written = {"printed": console.file.getvalue(), "md": to_markdown(table), "tex": to_latex(table)}
    begin = {"printed": "head: ", "md": "head: ", "tex": "% head: "}
    for name, text in written.items():
        lines, said = text.splitlines(), begin[name] + (in_markdown(CLAIM) if name == "md" else CLAIM)
        assert lines.count(said) == 1, name
        assert lines.index(said) < next(i for i, each in enumerate(lines) if "forget 20 " in each)


def test_csv_is_the_table_unrounded(directory, tmp_path):
    third = row("finetune", 2, params={"lr": 0.1}, metrics=(100 / 3, 200 / 3, 1 / 7, 2 / 7), seconds=1 / 3, samples=7)
    frames = read_frames(directory([*TWO_SEEDS, third]))
    write_tables(frames, tmp_path / "report")
    written = pd.read_csv(tmp_path / "report" / "methods.csv", float_precision="round_trip", keep_default_na=True)
    expected = methods_table(frames.trials)
    numbers = expected.select_dtypes("number").columns
    assert_frame_equal(written[numbers], expected[numbers], check_exact=True)
    assert written["method"].tolist() == expected["method"].tolist()
    assert (200 / 3 + 96 + 96) / 3 in written["FA.mean"].tolist()


def test_an_empty_directory_gives_empty_tables(tmp_path):
    frames = read_frames(str(tmp_path))
    assert methods_table(frames.trials).empty
    write_tables(frames, tmp_path / "report")
    assert (tmp_path / "report" / "methods.md").read_text() == "No trials.\n"
    assert (tmp_path / "report" / "methods.tex").read_text() == "% no trials\n"


def test_the_module_is_a_program_that_loads_neither_torch_nor_ray(directory, tmp_path):
    location = directory(TWO_SEEDS)
    command = [sys.executable, "-X", "importtime", "-m", "analysis.methods_table", location, "--out", tmp_path / "out"]
    ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    assert "finetune" in ended.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"methods.md", "methods.csv", "methods.tex"}
    imported = {part.rpartition("|")[2].strip() for part in ended.stderr.splitlines()}
    assert "pandas" in imported
    assert not imported & {"torch", "ray"}


def test_tasks_are_in_the_order_of_their_numbers_in_tables_and_on_the_page(table_of, directory):
    rows = [row("retrain", metrics=METRICS, task=f"{ratio}", forget_ratio=ratio) for ratio in (0.1, 0.05, 0.025)]
    on_page = [each.task for each in comparisons(read_frames(directory(rows)).trials)[0]]
    for tasks in (table_of(rows)["task"], on_page):
        assert [task.split("forget ")[1] for task in tasks] == [f"{percent} % at random" for percent in (2.5, 5, 10)]
