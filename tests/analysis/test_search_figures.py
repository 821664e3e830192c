"""Figures of searches, and what searches' trials do to all the others."""

import re
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
from drawings import drawn, texts
from made_searches import (
    CONFIRM_SEEDS,
    DEFAULTS,
    RETRAIN,
    SEARCH_SEEDS,
    everything,
    frames,
    gap,
    references,
    search,
    suggestion,
    trial,
    untuned,
)

from analysis import best_so_far, importance, pareto, slices, tuned
from analysis.drawing.figure import Skipped
from analysis.figures import FIGURES
from analysis.methods_table import methods_table
from analysis.reading.frames import read_frames
from analysis.reading.searches import outcomes
from analysis.report import write_report
from sweep.store.results import Results

DRAWS = {name: FIGURES[name] for name in ("tuned", "best_so_far", "importance", "slices", "pareto")}


@cache
def full():
    return frames(*everything())


@pytest.mark.parametrize("name", DRAWS)
def test_a_search_allows_every_figure_of_searches(name):
    result = drawn(DRAWS[name](full()))
    assert (result.name, result.question[-1], result.finding[-1]) == (name, "?", ".")
    assert "n = " in result.finding
    assert len(result.alt) > 100
    assert "nan" not in (result.finding + result.alt).lower()


@pytest.mark.parametrize("name", DRAWS)
def test_without_a_search_a_figure_names_the_preset_that_has_it(name):
    for rows in ([], references(), references() + untuned("uam")):
        result = DRAWS[name](frames(rows, []))
        assert isinstance(result, Skipped)
        assert result.reason.endswith("preset tuned-comparison" if name == "tuned" else "preset search-uam")


def test_the_report_of_a_search_shows_it(tmp_path):
    results = Results(str(tmp_path))
    rows, suggestions = search("uam", 16)
    for one in [*references(), *untuned("uam"), *rows]:
        results.write_trial(one)
    for one in suggestions:
        results.write_suggestion(one)
    found = read_frames(str(tmp_path))
    page = write_report(str(tmp_path), found, tmp_path / "report")[-1].read_text("utf-8")
    assert "16 suggestions in 1 study; 34 trials that only judged them are in no comparison" in page
    assert "<b>UAM (tuned)</b>" in page
    assert all(f'id="figure-{name}"' in page for name in DRAWS)
    assert len(re.findall("unlearn-sweep rerun", page)) == 3 + 3 + 3  # each compared trial once


@pytest.mark.parametrize("name", [*DRAWS, "tradeoff", "seeds"])
def test_one_seed_of_each_kind_is_drawn_without_intervals(name):
    rows, suggestions = references([10, 0]), []
    for method in ("uam", "neggrad"):
        found, suggested = search(method, seeds=[10], confirm_seeds=[0])
        rows += found + untuned(method, [0])
        suggestions += suggested
    result = drawn(FIGURES[name](frames(rows, suggestions)))
    assert "n = 1" in result.finding
    assert "nan" not in (result.finding + result.alt).lower()


def test_a_tuned_method_stands_beside_the_untuned_one():
    table = methods_table(full().trials).set_index("method")
    assert {"uam", "uam (tuned)", "finetune", "finetune (tuned)"} < set(table.index)
    assert table.loc["uam", "seeds"] == table.loc["uam (tuned)", "seeds"] == 3
    text = drawn(FIGURES["tradeoff"](full()))
    assert {"UAM", "UAM (tuned)"} < set(texts(text))


def test_a_tuned_configuration_that_is_the_untuned_one_is_there_as_both():
    own = untuned("uam")  # run by the sweep; the search found the same, and its confirmation was done already
    other = [trial("uam", seed, DEFAULTS["uam"] | {"rho": 3.0}) for seed in CONFIRM_SEEDS]
    found = frames(references() + own + other, [suggestion("uam", 0, DEFAULTS["uam"], [], confirm=own)])
    assert found.trials["method"].value_counts().to_dict() == {"uam": 6, "retrain": 5, "uam (tuned = untuned)": 3}
    assert set(methods_table(found.trials)["method"]) == {
        "retrain",
        "retrain, another seed",
        "uam (rho=1.0)",
        "uam (rho=3.0)",
        "uam (tuned = untuned)",
    }
    result = drawn(tuned.draw(found))
    assert "leaves UAM as it was (tuned and untuned are the same configuration)" in result.finding


def test_best_so_far_counts_pruned_suggestions_and_follows_complete_ones():
    params = [DEFAULTS["finetune"] | {"lr": lr} for lr in (0.001, 0.005, 0.05, 0.02)]
    study = "finetune-12345678"
    rows, suggestions = references(), []
    for number, one in enumerate(params):
        trials = [trial("finetune", seed, one, study=study, off=gap("finetune", one)) for seed in SEARCH_SEEDS]
        if number == 2:
            trials[1] |= {"status": "pruned", "validation_mia": None}
        rows += trials
        suggestions.append(suggestion("finetune", number, one, trials))
    result = drawn(best_so_far.draw(frames(rows, suggestions)))
    values = outcomes(frames(rows, suggestions))["value"]
    assert (
        f"{values[3]:.1f} for FineTune (suggestion 3, after 4 of 4); n = 2 search seeds, 4 suggestions, 1 pruned"
        in (result.finding)
    )
    line = result.figure.axes[0].lines[0]
    assert line.get_xdata()[-1] == 4
    assert list(line.get_ydata()) == pytest.approx([values[0], values[1], values[1], values[3], values[3]])
    seconds = result.figure.axes[1].lines[0].get_xdata()
    assert list(seconds[:4]) == pytest.approx(outcomes(frames(rows, suggestions))["seconds"].cumsum().tolist())


@pytest.mark.parametrize("name", ["lr", "retain_weight"])
def test_importance_finds_the_hyperparameter_that_the_value_follows(name):
    draw = np.random.default_rng(0)
    rows, suggestions = references(), []
    for number in range(40):
        params = {
            "retain_weight": draw.uniform(),
            "lr": 10 ** draw.uniform(-4, -1),
            "epochs": int(draw.integers(1, 21)),
        }
        place = params["retain_weight"] if name == "retain_weight" else (np.log10(params["lr"]) + 4) / 3
        trials = [trial("neggrad", seed, params, study="neggrad-12345678", off=2 + 8 * place) for seed in SEARCH_SEEDS]
        rows += trials
        suggestions.append(suggestion("neggrad", number, params, trials))
    result = drawn(importance.draw(frames(rows, suggestions)))
    assert f"from 40 complete suggestions (n = 2 search seeds each), the average gap depends most on {name} for" in (
        result.finding
    )
    assert "estimate" in result.finding
    shares = [float(width.get_width()) for width in result.figure.axes[0].patches]
    assert shares[0] > 80
    assert sum(shares) == pytest.approx(100)


def test_importance_needs_more_than_a_few_suggestions():
    rows, suggestions = search("finetune", 6)
    assert isinstance(importance.draw(frames(references() + rows, suggestions)), Skipped)


def test_slices_have_a_logarithmic_axis_where_the_space_has():
    rows, suggestions = search("uam", 30)
    result = drawn(slices.draw(frames(references() + rows, suggestions)))
    scales = {panel.get_title(loc="left"): panel.get_xscale() for panel in result.figure.axes}
    assert scales == {"rho": "log", "gamma": "linear", "hessian": "linear", "lr": "log", "epochs": "log"}
    gamma = next(panel for panel in result.figure.axes if panel.get_title(loc="left") == "gamma")
    tried = outcomes(frames(references() + rows, suggestions))
    active = tried[[params["hessian"] == "scalar" for params in tried["params"]]]
    assert len(gamma.lines[0].get_xdata()) == (active["state"] == "complete").sum()
    crosses = next(line for line in gamma.lines if line.get_marker() == "x")
    assert len(crosses.get_xdata()) == (active["state"] == "pruned").sum()
    best = tried.loc[tried["value"].idxmin()]
    assert f"UAM's {best['value']:.1f} at rho = {best['params']['rho']:.4g}" in result.finding


def test_slices_have_room_for_pruned_suggestions_above_values_that_are_all_zero():
    study, rows, suggestions = "finetune-12345678", references(), []
    for number, lr in enumerate((0.001, 0.01, 0.05)):
        params = DEFAULTS["finetune"] | {"lr": lr}
        statuses = ("ok", "ok") if number < 2 else ("ok", "pruned")
        trials = [
            trial("finetune", seed, params, study=study, status=status, off=0.0)
            for seed, status in zip(SEARCH_SEEDS, statuses, strict=True)
        ]
        for one in trials:
            if one["status"] == "ok":
                one |= {"validation_accuracy": RETRAIN[2], "validation_mia": RETRAIN[3]}
        rows += trials
        suggestions.append(suggestion("finetune", number, params, trials))
    found = frames(rows, suggestions)
    assert outcomes(found)["value"].tolist()[:2] == [0.0, 0.0]
    panel = drawn(slices.draw(found)).figure.axes[0]
    crosses = next(line for line in panel.lines if line.get_marker() == "x")
    (line,) = (line for line in panel.lines if line.get_linestyle() == "-")
    assert 0 < line.get_ydata()[0] < crosses.get_ydata()[0] < panel.get_ylim()[1]


def test_pareto_is_over_the_first_two_objectives_or_the_only_one_and_cost():
    one = drawn(pareto.draw(full()))
    assert one.figure.axes[0].get_xlabel() == "time relative to Retrain"
    two = drawn(pareto.draw(frames(*everything(objectives=("forget_gap", "retain_gap"), methods=("uam", "neggrad")))))
    assert two.figure.axes[0].get_xlabel() == "retain-side gap (percentage points)"
    tried = outcomes(frames(*everything(objectives=("forget_gap", "retain_gap"), methods=("uam", "neggrad"))))
    points = np.array([values for values in tried["values"] if values is not None])
    front = [not any((other <= point).all() and (other < point).any() for other in points) for point in points]
    assert (
        f"Of {len(points)} complete suggestions (n = 2 search seeds) nothing beats {sum(front)} in both" in two.finding
    )


@pytest.mark.parametrize("name", ["best_so_far", "slices"])
def test_figures_of_a_searched_gap_show_originals_where_it_was_run_on_the_seeds_of_the_search(name):
    own = [trial("original", seed, {"epochs": 0}, off=8.0) for seed in SEARCH_SEEDS]
    rows, suggestions = everything(methods=("uam",))
    wanted = "Original" if name == "best_so_far" else "Dashed: Original, 8.0."
    assert any(wanted in text for text in texts(drawn(DRAWS[name](frames([*own, *rows], suggestions)))))
    assert not any("Original" in text for text in texts(drawn(DRAWS[name](frames([own[0], *rows], suggestions)))))


@pytest.mark.parametrize("name", DRAWS)
def test_a_figure_of_searches_says_that_code_versions_are_mixed(name):
    rows, suggestions = everything(methods=("uam",))
    last = {SEARCH_SEEDS[1], CONFIRM_SEEDS[2]}
    edited = [one | ({"code_version": "2"} if one["seed"] in last and one["method"] == "uam" else {}) for one in rows]
    result = drawn(DRAWS[name](frames(edited, suggestions)))
    assert "Mixed code: " in result.finding
    assert any("Mixed code: " in text for text in texts(result))


def test_hollow_markers_are_tuned_methods_in_every_figure():
    for name in ("tuned", "tradeoff", "seeds"):
        assert any("Hollow: tuned." in text for text in texts(drawn(FIGURES[name](full()))))
    panel = drawn(tuned.draw(full())).figure.axes[0]
    faces = [line.get_markerfacecolor() for line in panel.lines if line.get_marker() not in ("", "None")]
    assert [face == "white" for face in faces] == [False, True] * 3
    plain = frames(references() + untuned("uam"), [])
    assert not any("Hollow" in text for text in texts(drawn(FIGURES["seeds"](plain))))


def test_the_finding_of_tuned_says_first_that_no_method_is_closer_than_doing_nothing():
    found = before_and_after(uam=([5.0] * 3, [4.0] * 3), original=([1.0] * 3, []))
    result = drawn(tuned.draw(found))
    assert result.finding.startswith("The original is at 1.0: at this setting no method has a lower mean gap")
    assert any("Dashed: Original." in text for text in texts(result))


def test_original_in_tuned_is_that_of_the_seeds_that_are_shown():
    found = before_and_after(uam=([5.0, 5.1, 5.2], [4.0, 4.1]), original=([1.0, 2.0, 30.0], []))
    assert drawn(tuned.draw(found)).finding.startswith("The original is at 1.5: at this setting no method")


def before_and_after(**gaps):
    """Results in which each method has these gaps, untuned and tuned, seed by seed."""
    rows, suggestions = references(), []
    for seed, off in enumerate(gaps.pop("original", ((),))[0]):
        rows.append(trial("original", seed, {"epochs": 0}, off=off))
    for method, (before, after) in gaps.items():
        found = DEFAULTS[method] | {"lr": 0.05}
        rows += [trial(method, seed, DEFAULTS[method], off=off) for seed, off in enumerate(before)]
        confirm = [trial(method, seed, found, study=f"{method}-1", off=off) for seed, off in enumerate(after)]
        rows += confirm
        suggestions.append(suggestion(method, 0, found, [], confirm=confirm, study=f"{method}-1"))
    return frames(rows, suggestions)


def test_tuned_names_the_conclusions_that_change():
    found = before_and_after(uam=([5.0, 5.1, 5.2], [5.0, 5.2, 5.1]), neggrad=([9.0, 9.1, 9.3], [2.0, 2.2, 2.3]))
    result = drawn(tuned.draw(found))
    assert (
        "lowers NegGrad's (-7.0 [-7.1, -6.8], n = 3) and does not clearly change UAM's (+0.0 [-0.2, +0.2], n = 3)"
        in result.finding
    )
    assert (
        "NegGrad instead of UAM has the lowest mean gap once all are tuned; their comparison changes: "
        "NegGrad better than UAM (before: UAM better than NegGrad)."
    ) in result.finding


def test_tuned_counts_every_comparison_that_its_sentences_make():
    # tuning lowers NegGrad's by 2.0, 2.1 and 2.2 points: p = 0.0008; UAM's by 0.525, 0.7 and 0.875: p = 0.02
    clear = {"uam": ([5.0, 5.1, 5.2], [4.475, 4.4, 4.325]), "neggrad": ([9.0, 9.1, 9.2], [7.0, 7.0, 7.0])}
    finding = drawn(tuned.draw(before_and_after(**clear))).finding
    assert "lowers NegGrad's" in finding
    assert "lowers UAM's" in finding
    finding = drawn(tuned.draw(before_and_after(**clear, finetune=([9.0, 9.5, 9.1], [9.2, 9.0, 9.6])))).finding
    assert "lowers NegGrad's" in finding
    assert "does not clearly change UAM's" in finding


def test_tuned_counts_the_confirmed_configurations_among_which_the_gap_chose():
    before = [trial("uam", seed, DEFAULTS["uam"], off=5 + 0.1 * seed) for seed in range(3)]
    confirmed = [(0.05, (4.475, 4.4, 4.325)), (0.06, (9.0, 9.1, 9.3)), (0.07, (9.0, 9.3, 9.1))]
    for count, expected in ((2, "lowers UAM's"), (3, "does not clearly change UAM's")):
        rows, suggestions = references() + before, []
        for number, (lr, gaps) in enumerate(confirmed[:count]):
            params = DEFAULTS["uam"] | {"lr": lr}
            confirm = [trial("uam", seed, params, study="uam-1", off=off) for seed, off in enumerate(gaps)]
            rows += confirm
            suggestions.append(suggestion("uam", number, params, [], confirm=confirm, study="uam-1"))
        assert expected in drawn(tuned.draw(frames(rows, suggestions))).finding


def test_tuned_compares_no_pair_by_differences_without_spread():
    found = before_and_after(uam=([5.0, 5.1, 5.2], [5.0, 5.2, 5.1]), neggrad=([9.0, 9.1, 9.3], [2.0, 2.2, 2.1]))
    assert "no comparison of two methods changes (1 made)" in drawn(tuned.draw(found)).finding


def test_tuned_says_when_no_conclusion_changes():
    result = drawn(tuned.draw(before_and_after(uam=([1.0] * 3, [0.5] * 3), neggrad=([9.0] * 3, [8.0] * 3))))
    assert "UAM has the lowest mean gap before and after tuning; no comparison of two methods changes (1 made)." in (
        result.finding
    )


def test_a_comparison_that_noise_alone_makes_significant_is_no_conclusion_that_changes():
    found = before_and_after(uam=([5.0, 5.1, 5.2], [5.0, 5.4, 4.8]), neggrad=([6.0, 6.1, 6.3], [6.5, 5.2, 7.2]))
    result = drawn(tuned.draw(found))
    assert "UAM has the lowest mean gap before and after tuning; no comparison of two methods changes (1 made)." in (
        result.finding
    )


def test_tuned_passes_over_what_was_confirmed_on_a_lucky_seed_and_says_that_it_chose():
    found, lucky = (DEFAULTS["uam"] | {"lr": lr} for lr in (0.05, 0.06))
    study, rows, suggestions = "uam-1", references(), []
    rows += [trial("uam", seed, DEFAULTS["uam"], off=off) for seed, off in enumerate((5.0, 5.1, 5.2))]
    for number, (params, gaps) in enumerate(((found, (3.0, 3.1, 3.2)), (lucky, (0.5, None, None)))):
        confirm = [
            trial("uam", seed, params, study=study, off=off, status="diverged" if off is None else "ok")
            for seed, off in enumerate(gaps)
        ]
        rows += confirm
        suggestions.append(suggestion("uam", number, params, [], confirm=confirm, study=study))
    result = drawn(tuned.draw(frames(rows, suggestions)))
    assert "changes UAM's by -2.0 in every seed, n = 3" in result.finding
    assert result.finding.endswith(
        "; 2 diverged trials left out. Of each method the tuned configuration is the best of up to 2 confirmed ones, "
        "chosen by the same gap on the same seeds, which favours tuning."
    )
    alone = [one for one in rows if one["params"] != suggestions[1]["params"]]
    assert "favours" not in drawn(tuned.draw(frames(alone, suggestions[:1]))).finding


def test_tuned_compares_shared_seeds_only_and_names_what_was_not_run_untuned():
    rows, suggestions = search("uam", 10)
    more, suggested = search("neggrad", 10)
    found = frames(references() + rows + more + untuned("uam", [0, 1]), suggestions + suggested)
    result = drawn(tuned.draw(found))
    assert "n = 2" in result.finding
    assert any("Tuned, but not run untuned: NegGrad." in text for text in texts(result))


def test_optuna_is_loaded_by_the_figure_that_needs_it_only(tmp_path):
    results = Results(str(tmp_path))
    rows, suggestions = search("finetune", 20)
    for one in references() + rows:
        results.write_trial(one)
    for one in suggestions:
        results.write_suggestion(one)
    script = (
        "import sys\nfrom analysis.figures import FIGURES\nfrom analysis.reading.frames import read_frames\n"
        f"frames = read_frames({str(tmp_path)!r})\nFIGURES['slices'](frames)\nassert 'optuna' not in sys.modules\n"
        "print(FIGURES['importance'](frames).finding)\nassert not {'torch', 'ray'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "complete suggestions" in done.stdout
