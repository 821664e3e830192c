import re
import subprocess
import sys
from functools import cache

import numpy as np
import pandas as pd
import pytest
from drawings import drawn, texts
from made_sweeps import UAM, frames, full_rows, methods, path, retrains, row, uam, with_paths

from analysis import comparison, forget_ratio, gamma, gradient_angle, hessian, rho, rho_gamma, seeds, tradeoff
from analysis.drawing.figure import Skipped
from analysis.figures import FIGURES
from analysis.reading.frames import Frames, flatten_params
from sweep.store.columns import TRIALS
from sweep.store.results import Results

PRESETS = {
    "tradeoff": "methods",
    "seeds": "methods",
    "rho": "ablation-rho",
    "gamma": "ablation-gamma",
    "rho_gamma": "ablation-rho-gamma",
    "hessian": "ablation-hessian",
    "gradient_angle": "ablation-angle",
    "forget_ratio": "ablation-ratio",
}


@cache
def full():
    """Results that allow every figure."""
    return with_paths(full_rows())


@cache
def fully_drawn(name):
    return drawn(FIGURES[name](full()))


def test_every_figure_is_registered_with_a_preset():
    of_searches = {"tuned", "best_so_far", "importance", "slices", "pareto"}
    of_audits = {"roc", "samples", "strata", "relearned"}
    assert set(FIGURES) == set(PRESETS) | of_searches | of_audits


@pytest.mark.parametrize("name", PRESETS)
def test_full_results_allow_every_figure(name):
    result = fully_drawn(name)
    assert result.name == name
    assert result.question.endswith("?")
    assert result.finding.endswith(".")
    assert "n = 3" in result.finding
    assert len(result.alt) > 100
    assert "nan" not in (result.finding + result.alt).lower()
    assert any("n = 3 seeds" in text for text in texts(result))


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("rows", [[], retrains(), [row("uam", 0, params=UAM)]], ids=["empty", "retrain", "no-retrain"])
def test_without_its_axis_a_figure_names_the_preset_that_has_it(name, rows):
    result = FIGURES[name](frames(rows))
    assert isinstance(result, Skipped)
    assert result.name == name
    assert result.reason.endswith(f"preset {PRESETS[name]}")
    assert "\n" not in result.reason


@pytest.mark.parametrize("name", PRESETS)
def test_a_single_seed_is_drawn_without_intervals(name):
    whole = full()
    one = Frames(whole.trials[whole.trials["seed"] == 0].reset_index(drop=True), whole.traces, [])
    result = drawn(FIGURES[name](one))
    assert "n = 1" in result.finding
    assert "[" not in result.finding
    assert any("n = 1 seed, so no intervals" in text for text in texts(result))


@pytest.mark.parametrize("name", PRESETS)
def test_trials_that_did_not_end_ok_are_left_out_and_counted(name):
    # where they lie on a configuration that is drawn: the methods', UAM's default
    rows = [uam(7, 0.0, status="diverged"), uam(8, 0.0, status="failed")]
    whole = full()
    more = flatten_params(pd.DataFrame(rows, columns=TRIALS.names))
    result = drawn(FIGURES[name](Frames(pd.concat([whole.trials, more], ignore_index=True), whole.traces, [])))
    assert "1 diverged and 1 failed trials left out" in result.finding
    assert result.finding.split(";")[0] == fully_drawn(name).finding.split(";")[0].rstrip(".")


OF_GAPS = [name for name in PRESETS if name != "gradient_angle"]


def with_original(gap):
    """`full_rows`, in which Original has this average gap to Retrain on every task and seed."""
    values = (100.0, 80.0 + 2 * gap, 90.0, 40.0 - 2 * gap)
    originals = [row("original", seed, values, ratio=ratio) for seed in range(3) for ratio in (0.1, 0.5)]
    return [one for one in full_rows() if one["method"] != "original"] + originals


@pytest.mark.parametrize("name", OF_GAPS)
def test_a_finding_says_first_that_no_method_is_closer_than_doing_nothing(name):
    result = drawn(FIGURES[name](frames(with_original(0.25))))
    assert result.finding.startswith("The original is at 0.2"), result.finding
    assert "a lower mean gap to Retrain than doing nothing" in result.finding
    assert "doing nothing" not in fully_drawn(name).finding


@pytest.mark.parametrize("name", OF_GAPS)
def test_a_figure_of_gaps_shows_originals(name):
    result = drawn(FIGURES[name](frames(with_original(6.0))))
    shown = "Original: 6.0; ↑: not lower." if name == "rho_gamma" else "Original"
    assert any(shown in text for text in texts(result))
    if name in ("rho", "gamma", "hessian"):
        levels = [line for line in result.figure.axes[0].get_lines() if list(line.get_ydata()) == [6.0, 6.0]]
        assert [line.get_linestyle() for line in levels] == ["--"]


@pytest.mark.parametrize("name", PRESETS)
def test_a_figure_says_that_code_versions_are_mixed_and_only_then(name):
    rows = [
        one | ({"code_version": "2"} if one["seed"] == 2 and one["method"] != "retrain" else {}) for one in full_rows()
    ]
    result = drawn(FIGURES[name](with_paths(rows)))
    assert re.search(r"Mixed code: .*(UAM|configurations) averages? trials of 1 and 2; --refresh", result.finding)
    assert any("Mixed code:" in text for text in texts(result))
    assert "Mixed code" not in fully_drawn(name).finding + "".join(texts(fully_drawn(name)))


def test_an_interval_of_most_of_what_is_possible_is_no_finding():
    rows = methods()
    ends = {"uam": (40.0, 90.0, 140.0), "finetune": (20.0, 21.0, 22.0)}
    traces = [p for one in rows if one["method"] in ends for p in path(one, (60.0, ends[one["method"]][one["seed"]]))]
    assert drawn(gradient_angle.draw(frames(rows, traces))).finding == (
        "The seeds do not tell: the angle nearest to 90 degrees is 90.0 [0.0, 180.0], n = 3, which holds most of what "
        "is possible."
    )


def test_rho_finds_the_lowest_gap_and_what_cannot_be_told_from_it():
    rows = retrains()
    for seed, shift in enumerate((0.0, 0.5, 1.6)):
        rows += [uam(seed, 5 + 1.01 * shift, rho=0.5), uam(seed, 1 + shift, rho=2), uam(seed, 2.5 - shift, rho=4)]
    result = drawn(rho.draw(frames(rows)))
    # average gaps at rho 2: 1, 1.5, 2.6; at rho 4: 2.5, 2, 0.9; FA is off by twice the average gap
    assert result.finding == (
        "UAM's mean average gap (percentage points) is lowest at ρ = 2: 1.7 [0.0, 3.7], n = 3, with gaps of 3.4 "
        "in FA, 0.0 in RA and 0.0 in TA; ρ = 4 is not distinguishable from it."
    )
    assert "the average gap is 5.7 at ρ = 0.5, lowest at 2 (1.7) and 1.8 at 4" in result.alt


def test_rho_keeps_the_other_hyperparameters_fixed():
    rows = retrains()
    for seed in range(3):
        rows += [uam(seed, 3.0, rho=value) for value in (1, 2, 4)]
        rows += [uam(seed, 0.1, rho=value, lr=0.5) for value in (1, 2)]  # lower, but fewer values
        rows += [uam(seed, 0.0, rho=8, epochs=99)]  # lowest, but alone
    result = drawn(rho.draw(frames(rows)))
    assert "3.0 in every seed, n = 3" in result.finding
    assert result.alt.count("For γ") == 1


def test_rho_draws_a_line_for_each_of_a_few_gammas():
    rows = retrains() + [
        uam(seed, 9 - g + r, rho=r, gamma=g) for seed in range(3) for r in (1, 2) for g in (0, 1, 2, 3, 4, 5, 6)
    ]
    result = drawn(rho.draw(frames(rows)))
    labels = [text for text in texts(result) if text.startswith("γ = ")]
    assert 2 <= len(set(labels)) <= 4
    assert "γ = 6" in labels
    assert "lowest at ρ = 1, γ = 6: 4.0" in result.finding


def test_gamma_is_drawn_only_where_it_acts():
    rows = retrains() + [uam(seed, 3.0, gamma=g, hessian="none") for seed in range(3) for g in (0, 1, 2)]
    assert isinstance(gamma.draw(frames(rows)), Skipped)
    rows += [uam(seed, 4.0 - g, gamma=g) for seed in range(3) for g in (0, 1)]
    assert "lowest at γ = 1: 3.0 in every seed, n = 3" in drawn(gamma.draw(frames(rows))).finding


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"ascent": "rise"}, "UAM (ascent: rise)"),
        ({"ascent": "rosu"}, "UAM (ascent: rosu)"),
        ({"hessian": "scalar"}, "UAM (hessian: scalar)"),
        ({}, "UAM"),
    ],
)
def test_ablations_are_of_the_usual_rule_where_it_was_run_and_name_another(changed, words):
    grid = [(r, g) for r in (1, 2, 4) for g in (0, 1)]
    others = [uam(seed, 1.0 + r + seed, rho=r, gamma=g, **changed) for seed in range(3) for r, g in grid]
    for figure in (rho, rho_gamma):
        result = drawn(figure.draw(frames([*retrains(), *others])))
        assert result.finding.startswith(f"{words}'s mean average gap")
        assert result.figure.get_supxlabel().startswith(f"{words} on")
        if changed:
            usual = [uam(seed, 8.0 + r + seed, rho=r, gamma=g) for seed in range(3) for r, g in grid[:4]]
            result = drawn(figure.draw(frames([*retrains(), *others, *usual])))
            assert result.finding.startswith("UAM's mean average gap (percentage points) is lowest at ρ = 1")


def test_rho_gamma_marks_the_best_cell_and_its_equals():
    rows = retrains()
    for seed, shift in enumerate((-0.5, 0.0, 0.5)):
        rows += [uam(seed, 36.0, rho=1, gamma=0), uam(seed, 34.0, rho=1, gamma=2)]
        rows += [uam(seed, 2.0 + shift, rho=3, gamma=0), uam(seed, 2.1 - shift, rho=3, gamma=2)]
    result = drawn(rho_gamma.draw(frames(rows)))
    assert result.finding == (
        "UAM's mean average gap (percentage points) is lowest at ρ = 3, γ = 0: 2.0 [0.8, 3.2], n = 3; "
        "ρ = 3, γ = 2 is not distinguishable from it."
    )
    assert {"36.0", "34.0", "★2.0", "≈2.1"} <= set(texts(result))


def test_lines_of_values_run_beside_a_grid_do_not_hide_it():
    rows = retrains()
    for seed in range(3):
        rows += [uam(seed, 5.0, rho=r, gamma=g) for r in (1, 2) for g in (0, 1)]
        rows += [uam(seed, 1.0, rho=r, gamma=1) for r in (4, 8, 16, 32)]
        rows += [uam(seed, 1.0, rho=1, gamma=g) for g in (2, 3, 4, 5)]
    assert set(texts(drawn(rho_gamma.draw(frames(rows))))) >= {"1", "2", "0"}


def test_scattered_values_are_no_grid():
    rows = retrains() + [uam(seed, 1.0, rho=r, gamma=r) for seed in range(3) for r in (1, 2, 3, 4, 5)]
    assert isinstance(rho_gamma.draw(frames(rows)), Skipped)


def test_hessian_compares_treatments_by_epochs_and_seconds():
    rows = retrains()
    for seed in range(3):
        for epochs in (5, 10):
            noise = 0.01 * seed / epochs
            rows.append(uam(seed, 40 / epochs + 3 * noise, hessian="none", epochs=epochs, seconds=epochs * 1.0))
            rows.append(uam(seed, 20 / epochs - noise, hessian="projection", epochs=epochs, seconds=epochs * 1.0))
            rows.append(uam(seed, 30 / epochs - 4 * noise, hessian="scalar", epochs=epochs, seconds=epochs * 1.0))
            rows.append(uam(seed, 10 / epochs + 2 * noise, hessian="exact", epochs=epochs, seconds=epochs * 2.0))
    result = drawn(hessian.draw(frames(rows)))
    assert "lowest with hessian: exact at 10 epochs: 1.0 [1.0, 1.0], n = 3" in result.finding
    bests = "none at best 4.0 at 10 epochs and projection at best 2.0 at 10 epochs and scalar at best 3.0 at 10 epochs"
    assert bests in result.finding
    assert "exact it goes from 2.0 at 5 epochs (10 seconds) to 1.0 at 10 (20 seconds)" in result.alt
    assert "Steps of scalar" in result.figure.get_supxlabel()
    few = drawn(hessian.draw(frames([one for one in rows if '"scalar"' not in one["params"]])))
    assert "Steps of scalar" not in few.figure.get_supxlabel()
    assert isinstance(hessian.draw(frames([one for one in rows if '"exact"' not in one["params"]][:3])), Skipped)


def test_gradient_angle_follows_each_method_to_its_end():
    rows = methods()
    ends = {"uam": (88.0, 89.0, 90.0), "finetune": (70.0, 71.1, 72.0), "neggrad": (120.0, 121.0, 122.0)}
    traces = [
        point
        for one in rows
        if one["method"] in ends
        for point in path(one, (60.0, 75.0, ends[one["method"]][one["seed"]]))
    ]
    result = drawn(gradient_angle.draw(frames(rows, traces)))
    assert result.finding == (
        "UAM ends nearest to a right angle between retain and forget gradients, at 89.0 [86.5, 91.5], n = 3 (degrees); "
        "all others are distinguishable from it."
    )
    assert "UAM from 60 degrees at epoch 0 to 89 at epoch 2" in result.alt


def steps(trial, degrees):
    """Traces of a trial of UAM: for each epoch the angle between the gradients of its steps, and the probe's."""
    return [
        {"trial_id": trial["trial_id"], "epoch": epoch, "gradient_degrees": angle, "probe_degrees": 80.0}
        for epoch, angle in enumerate(degrees, start=1)
    ]


@pytest.mark.parametrize(("constant", "follows"), [((80.0, 81.0), True), ((80.0, 89.0), False)])
def test_the_angle_of_uams_steps_stands_beside_gamma_zero_and_a_constant_radius(constant, follows):
    rows, traces = retrains(), []
    for seed in range(3):
        for g, gap in ((0.0, 8.0), (0.5, 6.0), (1.7, 1.0)):
            for schedule, more, degrees in (("cosine", 0.0, (79.0, 90.0)), ("constant", 0.5, constant)):
                rows.append(uam(seed, gap + more, gamma=g, rho_schedule=schedule))
                traces += steps(rows[-1], degrees)
        for alone in ({"gamma": 2.5}, {"epochs": 20}):  # closer to Retrain, with nothing beside them
            rows.append(uam(seed, 0.5, rho_schedule="cosine", **alone))
            traces += steps(rows[-1], (70.0, 71.0))
    result = drawn(gradient_angle.draw(frames(rows, traces)))
    one, other = "from 79 to 90", f"from {constant[0]:.0f} to {constant[1]:.0f}"
    reason = ": it follows the annealing of ρ, at any γ, and says nothing about γ" if follows else ""
    assert result.finding.endswith(
        f" Along UAM's path the angle between its two gradients goes {other} with γ = 0, ρ constant, "
        f"{other} with γ = 1.7, ρ constant, {one} with γ = 0, ρ annealed and {one} with γ = 1.7, ρ annealed{reason}."
    )
    assert {"γ = 0, ρ annealed", "γ = 1.7, ρ constant"} <= set(texts(result))
    for fewer in ('"gamma": 1.7', '"gamma": 0.0'):  # of one gamma nothing is said of any
        single = [row for row in rows if row["method"] == "retrain" or fewer in row["params"]]
        assert "any γ" not in drawn(gradient_angle.draw(frames(single, traces))).finding
    inert = [row | {"params": row["params"].replace("projection", "none")} for row in rows]
    assert "Along UAM's path" not in drawn(gradient_angle.draw(frames(inert, traces))).finding
    alone = [row for row in rows if row["method"] == "retrain" or '"gamma": 1.7' in row["params"]]
    alone = [row for row in alone if "constant" not in row["params"]]
    assert "Along UAM's path" not in drawn(gradient_angle.draw(frames(alone, traces))).finding


def test_forget_ratio_follows_methods_over_tasks_that_differ_only_in_the_forget_set():
    rows = []
    for seed in range(3):
        for ratio, gap in ((0.01, 1.0), (0.1, 2.0), (0.5, 4.0)):
            rows.append(row("retrain", seed, ratio=ratio))
            rows.append(uam(seed, gap + 0.01 * seed, ratio=ratio))
            rows.append(row("finetune", seed, (100.0, 86.0, 90.0, 34.0), {"lr": 0.1}, ratio=ratio))
        rows += [row("retrain", seed, dataset="cifar10"), uam(seed, 50.0, dataset="cifar10")]
    result = drawn(forget_ratio.draw(frames(rows)))
    assert result.finding == (
        "The lowest mean average gap (percentage points) is UAM's at 1 % and 10 % "
        "(1 %: 1.0 [1.0, 1.0], n = 3 and 10 %: 2.0 [2.0, 2.0], n = 3), FineTune's at 50 % "
        "(50 %: 3.0 in every seed, n = 3); distinguishable from all others at 3 of 3."
    )
    assert "UAM from 1.0 at 1 % to 4.0 at 50 %" in result.alt


def test_forget_ratio_shows_no_configuration_of_few_seeds():
    rows = [
        one
        for ratio in (0.1, 0.5)
        for seed in range(3)
        for one in (row("retrain", seed, ratio=ratio), uam(seed, 2.0 + 0.01 * seed, ratio=ratio))
    ]
    rows += [uam(0, 0.5, rho=8.0, ratio=ratio) for ratio in (0.1, 0.5)]
    assert "(10 %: 2.0 [2.0, 2.0], n = 3 and" in drawn(forget_ratio.draw(frames(rows))).finding


def test_a_method_without_rivals_is_distinguishable_from_nothing():
    rows = []
    for seed in range(3):
        for ratio, gap in ((0.1, 2.0), (0.5, 4.0)):
            rows += [row("retrain", seed, ratio=ratio), uam(seed, gap + 0.01 * seed, ratio=ratio)]
    result = drawn(forget_ratio.draw(frames(rows)))
    assert result.finding == (
        "The lowest mean average gap (percentage points) is UAM's at every ratio "
        "(10 %: 2.0 [2.0, 2.0], n = 3 and 50 %: 4.0 [4.0, 4.0], n = 3)."
    )
    for seed in range(3):
        for ratio in (0.01, 0.1):
            rows.append(row("finetune", seed, (100.0, 86.0, 90.0, 34.0), {"lr": 0.1}, ratio=ratio))
        rows.append(row("retrain", seed, ratio=0.01))
    result = drawn(forget_ratio.draw(frames(rows)))
    assert result.finding.endswith("; distinguishable from all others at 1 of 1 ratio with several methods.")


def test_tradeoff_names_the_pareto_front():
    result = drawn(tradeoff.draw(frames(methods())))
    # uam: gaps FA 2, 4, 6 and MIA the same: forget side 4, retain side 0; finetune is dominated, neggrad has FA gap 0
    assert "lowest for UAM: 2.0 [0.0, 4.5], n = 3" in result.finding
    assert result.finding.endswith("the Pareto front of retain- and forget-side gap: NegGrad and UAM.")
    assert "UAM (retain side 0.0, forget side 4.0, 0.5 times Retrain's time)" in result.alt
    assert "NegGrad (retain side 8.0, forget side 0.0, 0.1 times Retrain's time)" in result.alt


def test_a_method_that_is_original_with_noise_is_on_no_front_that_original_is_on():
    rows = [*retrains(), *(uam(seed, 9.0) for seed in range(3))]
    for seed in range(3):
        rows.append(row("original", seed, (100.0, 84.0, 90.0, 36.0)))
        rows.append(row("fisher", seed, (99.0, 84.0 + seed / 2, 89.5, 36.0)))
    result = drawn(tradeoff.draw(frames(rows)))
    assert result.finding.endswith("the Pareto front of retain- and forget-side gap: Original.")
    assert result.finding.startswith("The original is at 2.0: at this setting no method has a lower mean gap")


def test_tradeoff_names_no_method_at_a_configuration_of_one_lucky_seed():
    rows = retrains() + [uam(seed, 2.0, rho=2) for seed in range(3)] + [uam(0, 0.5, rho=4)]
    rows += [row("original", 0, (100.0, 100.0, 90.0, 0.0)), row("finetune", 0, (100.0, 90.0, 90.0, 20.0))]
    result = drawn(tradeoff.draw(frames(rows)))
    assert "UAM (retain side 0.0, forget side 4.0, 0.5 times Retrain's time)" in result.alt
    assert "FineTune (retain side 0.0, forget side 15.0" in result.alt  # it has no other


def test_tradeoff_says_which_configurations_have_no_name():
    rows = retrains() + [uam(seed, gap, rho=gap) for seed in range(3) for gap in (1, 2, 3)]
    rows += [row("finetune", seed, (100.0, 90.0, 90.0, 20.0)) for seed in range(3)]
    said = " ".join(texts(drawn(tradeoff.draw(frames(rows)))))
    assert "its other configurations (2 of UAM) have its mark alone." in said
    assert "its mark alone" not in " ".join(texts(drawn(tradeoff.draw(frames(methods())))))


def test_tradeoff_draws_only_so_many_configurations():
    rows = retrains(1) + [uam(0, 1 + place / 10, lr=0.001 * (place + 1)) for place in range(300)]
    result = drawn(tradeoff.draw(frames(rows)))
    assert "Not drawn: 150 of 300 configurations" in " ".join(texts(result))


def test_seeds_are_paired_with_retrain_of_the_same_seed():
    rows = [row("retrain", seed, (100.0, 80.0 + 5 * seed, 90.0, 40.0)) for seed in range(3)]
    rows += [row("uam", seed, (99.0, 81.0 + 6 * seed, 90.0, 40.0), UAM) for seed in range(3)]
    result = drawn(seeds.draw(frames(rows)))
    assert result.finding == (
        "UAM, of lowest mean average gap, differs from Retrain (percentage points) by RA -1.0 in every seed, "
        "FA +2.0 [-0.5, +4.5], TA +0.0 in every seed and MIA +0.0 in every seed, n = 3; "
        "with 4 comparisons counted, its FA, TA and MIA cannot be told from Retrain's and its RA not judged, every "
        "seed showing the same difference."
    )


CLOSE = (1.525, 1.7, 1.875)
"""Gaps by seed of which one comparison with 1 has p = 0.0202: two comparisons find them higher, three do not."""


def finetune(seed, gap, lr=0.1, ratio=0.1):
    return row("finetune", seed, (100.0, 80.0 + 2 * gap, 90.0, 40.0 - 2 * gap), {"lr": lr}, ratio=ratio)


def test_the_best_configuration_of_a_method_is_compared_as_one_of_all_that_it_was_chosen_from():
    rows = retrains() + [uam(seed, 1.0) for seed in range(3)] + [finetune(seed, CLOSE[seed]) for seed in range(3)]
    others = [finetune(seed, 30.0 + seed, lr) for seed in range(3) for lr in (0.2, 0.3)]
    paths = {"uam": lambda seed: 91.0, "finetune": lambda seed: 90 + CLOSE[seed]}
    traces = [point for one in rows[3:] + others for point in path(one, (50.0, paths[one["method"]](one["seed"])))]
    for given, expected in ((rows, "the other is"), (rows + others, "FineTune is not")):
        (found,), _ = comparison.comparisons(frames(given).trials)
        assert f"over 3 seeds; {expected} distinguishable from it." in found.answer
        angle = drawn(gradient_angle.draw(frames(given, traces)))
        assert f"(degrees); {expected} distinguishable from it." in angle.finding


def test_forget_ratio_counts_the_comparisons_at_all_ratios_and_of_all_configurations():
    ratios = (0.01, 0.1, 0.5)
    at = {
        ratio: [
            one
            for seed in range(3)
            for one in (
                row("retrain", seed, ratio=ratio),
                uam(seed, 1.0, ratio=ratio),
                finetune(seed, CLOSE[seed], ratio=ratio),
            )
        ]
        for ratio in ratios
    }
    two = [*at[0.01], *at[0.1]]
    others = [finetune(seed, 30.0 + seed, 0.2, ratio) for seed in range(3) for ratio in ratios[:2]]
    for given, expected in ((two, "2 of 2"), ([*two, *at[0.5]], "0 of 3"), ([*two, *others], "0 of 2")):
        finding = drawn(forget_ratio.draw(frames(given))).finding
        assert finding.endswith(f"; distinguishable from all others at {expected}.")


def test_hessian_counts_the_gammas_among_which_the_gap_chose():
    rows = retrains()
    for seed in range(3):
        rows += [uam(seed, 1.0, epochs=10), uam(seed, 30.0 + seed, epochs=5)]  # of UAM: scalar
        rows += [uam(seed, 2.0 + 0.14 * seed, hessian="none", epochs=10)]  # p = 0.005: 6 comparisons, but not 13
        rows += [uam(seed, 40.0 - seed, hessian="none", epochs=5)]
    finding = drawn(hessian.draw(frames(rows))).finding
    assert "none at 10 epochs is not" not in finding
    rows += [uam(seed, 31.0, gamma=0.5, epochs=epochs) for seed in range(3) for epochs in (5, 10)]
    assert "none at 10 epochs is not" in drawn(hessian.draw(frames(rows))).finding


def test_of_four_metrics_of_the_best_of_several_methods_a_few_differ_from_retrain_by_chance():
    # RA: t = 3 with nine degrees of freedom, p = 0.015: with eight comparisons nothing; FA: p < 0.0001
    noise = np.array([-1.5, -1, -0.5, -0.5, -0.2, 0.2, 0.5, 0.5, 1, 1.5])
    noise = noise / np.std(noise, ddof=1)
    rows = retrains(10)
    for seed, error in enumerate(noise):
        values = (97.0 + error * np.sqrt(10), 75.0 + error, 90.0, 40.0 + 3 * error)
        rows += [row("uam", seed, values, UAM), row("finetune", seed, (90.0, 95.0 + error, 80.0, 0.0), {"lr": 0.1})]
    finding = drawn(seeds.draw(frames(rows))).finding
    assert "RA -3.0 [-5.3, -0.7], FA -5.0 [-5.7, -4.3], TA +0.0 in every seed" in finding
    assert finding.endswith("; with 8 comparisons counted, its RA, TA and MIA cannot be told from Retrain's.")


def test_tasks_are_never_averaged():
    rows = retrains() + [uam(seed, 2.0, rho=r) for seed in range(3) for r in (1, 2, 4)]
    rows += retrains(dataset="other") + [uam(seed, 9.0, rho=r, dataset="other") for seed in range(3) for r in (1, 2)]
    result = drawn(rho.draw(frames(rows)))
    assert "2.0 in every seed, n = 3" in result.finding
    assert any("one of 2 tasks here" in text for text in texts(result))


def test_command_writes_three_files_without_torch_or_ray(tmp_path):
    results = Results(str(tmp_path))
    for one in [*retrains(1), uam(0, 1.0, rho=1), uam(0, 2.0, rho=2)]:
        results.write_trial(one)
    script = (
        "import runpy, sys\n"
        f"sys.argv = ['rho', {str(tmp_path)!r}]\n"
        "try:\n"
        "    runpy.run_module('analysis.rho', run_name='__main__')\n"
        "finally:\n"
        "    assert not {'torch', 'ray', 'matplotlib.pyplot'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "lowest at ρ = 1: 1.0, n = 1" in done.stdout
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == ["rho.pdf", "rho.png", "rho.svg"]
