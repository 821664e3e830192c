"""Two directories beside each other: what both measured, what differs beyond noise, and what only one has."""

import sys

import pandas as pd
import pytest
from made_results import TWO_SEEDS
from made_sweeps import frames, methods, row, uam
from scipy import stats

from analysis.against import EQUAL, GAP, HIGHER, LOWER, ONLY_HERE, ONLY_THERE, UNJUDGED, UNTOLD, against, write_against
from analysis.report import write_report
from sweep import cli
from sweep.store.labels import write_labels
from sweep.store.results import Results


def directory(shift=(0.0, 0.0, 0.0, 0.0, 0.0), seeds=range(5), name="one", **columns):
    """Retrain and FineTune; FineTune's RA of each seed is off by `shift`."""
    rows = []
    for seed in seeds:
        rows.append(row("retrain", seed, (100.0, 80.0 + seed, 90.0, 40.0)))
        rows.append(row("finetune", seed, (90.0 + shift[seed % 5] + seed, 85.0, 88.0, 30.0), {"lr": 0.1}))
    found = frames([one | columns for one in rows])
    return type(found)(**(vars(found) | {"directory": name}))


def cells(found, method="FineTune"):
    return {one.quantity: one for one in found.rows if one.method == method}


def test_the_same_rows_differ_by_nothing():
    found = against(directory(), directory(name="two"))
    assert {one.verdict for one in found.rows} == {EQUAL}
    assert {one.difference.mean for one in found.rows} == {0.0}
    assert found.answer == "Of 9 means that both have, each is equal in every seed."
    assert GAP not in cells(found, "Retrain")


def test_a_difference_is_paired_by_seed_and_judged_among_all_of_the_table():
    there = directory()
    for shift, verdict in (((1.0, 1.1, 0.9, 1.05, 0.95), HIGHER), ((-1.0, -1.1, -0.9, -1.0, -1.05), LOWER)):
        found = against(directory(shift), there)
        assert cells(found)["RA"].verdict == verdict
        low, high = stats.t.interval(0.95, 4, *(lambda x: (x.mean(), x.sem()))(pd.Series(shift)))
        assert (cells(found)["RA"].difference.low, cells(found)["RA"].difference.high) == pytest.approx((low, high))
        assert cells(found)["RA"].paired == 5
        assert f"RA of FineTune ({verdict})" in found.answer
    noisy = (1.0, -0.5, 2.0, 0.2, 1.8)
    assert stats.ttest_1samp(noisy, 0).pvalue < 0.15
    found = against(directory(noisy), there)
    assert (cells(found)["RA"].verdict, cells(found)["FA"].verdict) == (UNTOLD, EQUAL)
    assert found.answer == "None of 9 differences is beyond noise."


def test_values_that_are_equal_but_for_rounding_show_no_spread():
    def side(forgotten, first):
        known = [row("finetune", first + place, (100.0, fa, 90.0, 40.0)) for place, fa in enumerate(forgotten)]
        return frames([*known, *(row("retrain", one["seed"]) for one in known)])

    unpaired = against(side((33.1 + 47.2, 80.3), 0), side((80.4, 80.4), 2))
    assert 0 < abs((33.1 + 47.2) - 80.3) < 1e-9
    assert cells(unpaired)["FA"].verdict == UNJUDGED
    assert not cells(unpaired)["FA"].difference.known
    paired = against(side((33.1 + 47.2, 80.3), 0), side((80.3, 80.3), 0))
    assert cells(paired)["FA"].verdict == EQUAL


def test_one_of_many_differences_must_be_clearer_than_one_of_one():
    shift = (1.0, 2.0, 0.4, 1.6, 0.6)
    p = stats.ttest_1samp(shift, 0).pvalue
    assert p < 0.05 < 9 * p
    assert cells(against(directory(shift), directory()))["RA"].verdict == UNTOLD


def test_without_common_seeds_means_are_compared():
    found = cells(against(directory(), directory((30.0,) * 5, range(5, 10))))["RA"]
    assert (found.paired, found.verdict) == (0, LOWER)
    one, two = [90.0, 91, 92, 93, 94], [125.0, 126, 127, 128, 129]
    expected = stats.ttest_ind(one, two, equal_var=False).confidence_interval()
    assert (found.difference.low, found.difference.high) == pytest.approx((expected.low, expected.high))


def test_one_seed_shows_the_difference_and_judges_nothing():
    found = against(directory(seeds=[0]), directory((5.0,) * 5, seeds=[0]))
    assert {one.verdict for one in found.rows} == {UNJUDGED}
    assert cells(found)["RA"].difference.mean == -5.0
    assert found.answer == "Nothing can be judged: too few seeds."


def test_what_only_one_has_is_named_and_so_are_code_and_devices(tmp_path):
    here, there = frames(methods()), directory(name="two", code_version="2", device="H100")
    here = type(here)(**(vars(here) | {"directory": "one"}))
    found = against(here, there)
    task = "digits, small-cnn, forget 10 % at random"
    assert found.only(ONLY_HERE) == [f"{name} ({task})" for name in ("Original", "NegGrad", "UAM")]
    assert found.only(ONLY_THERE) == []
    assert [side.words for side in found.sides] == [
        "one: code version 1, on an unknown device.",
        "two: code version 2, on H100.",
    ]
    markdown, table = write_against(found, tmp_path)
    text = markdown.read_text()
    assert f"## {task}" in text
    assert f"Only in one: Original ({task}), NegGrad" in text
    assert "| FineTune | RA | 100.0 in every seed, n = 3 | 92.0 " in text
    frame = pd.read_csv(table)
    assert frame.loc[frame["verdict"] == ONLY_HERE, "there.n"].eq(0).all()
    assert len(frame) == len(found.rows)


def test_nothing_in_common_and_nothing_at_all():
    found = against(frames([uam(0, 1.0)]), directory(dataset="moons", task_id="other", device="tpu", code_version="7"))
    assert found.answer == "Nothing can be judged: no task and configuration is in both."
    assert found.sides[1].words == "one: code version 7, on tpu."
    assert against(frames([]), frames([])).rows == []


def test_the_report_shows_the_other_directory(tmp_path):
    shift = (1.0, 1.1, 0.9, 1.05, 0.95)
    paths = write_report(str(tmp_path), directory(shift), tmp_path, {}, other=directory(name="two"))
    assert {"against.md", "against.csv"} <= {path.name for path in paths}
    page = (tmp_path / "index.html").read_text()
    assert "Against two" in page
    assert "RA of FineTune (higher here)" in page
    assert "<b>higher here</b>" in page
    write_report(str(tmp_path), directory(), tmp_path / "alone", {})
    assert "Against" not in (tmp_path / "alone" / "index.html").read_text()


@pytest.mark.usefixtures("labels_forgotten")
@pytest.mark.parametrize("named", ["here", "there"])
def test_methods_are_called_by_the_labels_of_the_reports_own_directory(tmp_path, monkeypatch, capsys, named):
    for name in ("here", "there"):
        results = Results(str(tmp_path / name))
        for one in TWO_SEEDS:
            results.write_trial(one)
        if name == named:
            write_labels(results, {"finetune": "Fine+"}, {})

    def written(directory, frames, folder, linked, other):  # without the figures, which take seconds
        return write_against(against(frames, other), folder)

    monkeypatch.setattr("analysis.report.write_report", written)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["unlearn-sweep", "report", "here", "--against", "there"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    for shown in (capsys.readouterr().out, (tmp_path / "here" / "report" / "against.md").read_text()):
        assert ("Fine+" in shown) == (named == "here")
