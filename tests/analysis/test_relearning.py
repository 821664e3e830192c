"""Tables and the figure of what relearning brought back."""

from __future__ import annotations

import json
import math

import pandas as pd
import pytest
from drawings import drawn, texts
from made_relearnings import FORGET, RETAIN, THREE_SEEDS, path, relearned
from made_sweeps import retrains
from scipy import stats

from analysis import relearned as figure
from analysis.drawing.figure import Skipped
from analysis.reading.frames import Frames, read_frames
from analysis.reading.relearned import quality_column, relearned_trials
from analysis.relearning_tables import relearn_time, relearning, steps_to
from sweep.store.metrics import Metric
from sweep.store.results import Relearned, Results


def by_method(table):
    return table.table.set_index("method")


def test_the_difference_is_to_retrains_after_with_its_interval_paired_by_seed():
    made = relearning(relearned(THREE_SEEDS))
    found = by_method(made)
    assert found.index.tolist() == ["original", "retrain", "neggrad", "finetune"]
    names = ["before.mean", "after.mean", "Retrain before.mean", "Retrain after.mean", "difference.mean"]
    assert found.loc["finetune", names].tolist() == pytest.approx([60, 91.1, 80, 79, 12.1])
    low, high = stats.t.interval(0.95, 2, 12.1, stats.sem([12.0, 12.1, 12.2]))
    assert found.loc["finetune", ["difference.low", "difference.high"]].tolist() == pytest.approx([low, high])
    assert found.loc["original", ["difference.low", "difference.high"]].isna().all()  # the same in every seed
    line = next(line for line in made.markdown.splitlines() if line.startswith("| finetune"))
    assert line == f"| finetune | 3 | 60 ± 0 | 91.1 ± 1.1 | 80 ± 0 | 79 ± 1 | 12.1 [{low:.3g}, {high:.3g}] |"
    assert "2 epochs on the retain set, lr 0.01, batches of 64" in made.markdown
    assert "FA (accuracy on the forget data, percent)" in made.markdown


def test_each_is_compared_with_the_retrain_of_its_own_seed_and_recipe():
    other = type(RETAIN)("retain", 5, 0.01, 64)
    made = relearning(
        relearned(
            [
                *[("retrain", 0, RETAIN, (80.0, 70.0)), ("retrain", 1, RETAIN, (80.0, 60.0))],
                *[("retrain", 0, other, (80.0, 50.0)), ("finetune", 0, other, (60.0, 90.0))],
                *[("finetune", 1, RETAIN, (60.0, 90.0)), ("finetune", 2, RETAIN, (60.0, 90.0))],
            ]
        )
    )
    rows = made.table[made.table["method"] == "finetune"]
    assert sorted(rows["difference.mean"]) == [30, 40]
    assert rows["seeds"].tolist() == [1, 1]  # none of seed 2, where there is no Retrain


def test_without_retrain_or_relearning_there_is_no_table_and_the_figure_names_its_preset():
    for found in (Frames(relearned(THREE_SEEDS).trials, pd.DataFrame(), []), relearned([THREE_SEEDS[0]])):
        assert relearning(found) is None
        assert relearn_time(found) is None
        assert isinstance(figure.draw(found), Skipped)
    assert figure.draw(relearned([THREE_SEEDS[3]])).reason.endswith("preset relearning")


def test_what_diverged_as_it_was_relearned_is_left_out():
    frames = relearned(THREE_SEEDS)
    frames.relearned.loc[frames.relearned["trial_id"].str.startswith("finetune-0"), "status"] = "diverged"
    assert by_method(relearning(frames)).loc["finetune", "seeds"] == 2


def test_the_index_is_the_steps_over_retrains_and_what_is_never_reached_is_counted_apart():
    paths = [
        *[("original", seed, FORGET, (100.0, 100.0, 100.0, 100.0)) for seed in range(3)],
        *[("retrain", seed, FORGET, (70.0, 80.0, 91.0, 95.0)) for seed in range(3)],
        *[("finetune", seed, FORGET, (80.0, (94.9, 95.0, 80.0)[seed], 94.0, 94.0)) for seed in range(3)],
        *[("neggrad", seed, FORGET, (0.0, 1.0, 2.0, 95.0 if seed else 3.0)) for seed in range(3)],
    ]
    made = relearn_time(relearned(paths))
    found = by_method(made)
    # original 100: 95 and 90; Retrain needs 3 and 2 steps
    assert found.loc["retrain", ["steps 5 %.mean", "AIN 5 %.mean", "AIN 10 %.mean"]].tolist() == [3, 1, 1]
    assert found.loc["original", ["steps 5 %.mean", "AIN 5 %.mean", "not reached.mean"]].tolist() == [0, 0, 0]
    assert found.loc["finetune", "steps 5 %.mean"] == 1  # of seed 1 alone
    assert found.loc["finetune", "AIN 5 %.mean"] == pytest.approx(1 / 3)
    assert found.loc["finetune", "AIN 10 %.mean"] == pytest.approx((1 + 1 + 2) / 3 / 2)
    assert found.loc["finetune", "not reached.mean"] == pytest.approx(200 / 3)
    assert found.loc["neggrad", ["AIN 5 %.mean", "AIN 10 %.mean"]].tolist() == [1, 1.5]
    assert found.loc["neggrad", "not reached.mean"] == pytest.approx(100 / 3)
    assert found.index.tolist() == ["original", "retrain", "neggrad", "finetune"]
    assert "the last step (3) was not enough" in made.meaning


def test_without_an_original_there_are_no_steps_and_a_retrain_that_needs_none_is_no_measure():
    rows = [("retrain", 0, FORGET, (70.0, 80.0)), ("finetune", 0, FORGET, (80.0, 95.0))]
    assert math.isnan(by_method(relearn_time(relearned(rows))).loc["finetune", "steps 5 %.mean"])
    known = relearned([*rows, ("original", 0, FORGET, (70.0, 70.0))])
    found = by_method(relearn_time(known)).loc["finetune"]
    assert found["steps 5 %.mean"] == 0
    assert math.isnan(found["AIN 5 %.mean"])


@pytest.mark.parametrize(
    ("values", "goal", "margin", "lower", "steps"),
    [
        ([3.0, 2.0, 1.05, 0.5], 1.0, 0.05, True, 2),
        ([3.0, 2.0, 1.06, 1.0], 1.0, 0.05, True, 3),
        ([3.0, 2.0, 1.06, 1.0], 1.0, 0.1, True, 2),
        ([3.0, 2.0], 1.0, 0.05, True, math.inf),
        ([10.0, 95.0, 20.0], 100.0, 0.05, False, 1),
        ([100.0], 100.0, 0.05, False, 0),
    ],
)
def test_steps_are_counted_to_the_first_that_is_near_enough(values, goal, margin, lower, steps):
    assert steps_to(pd.Series(values), goal, margin, lower) == steps


def test_what_is_known_of_the_forget_set_is_the_first_metric_of_it_that_was_always_measured():
    points = pd.DataFrame({"forget_accuracy": [None, None], "forget_likelihood": [1.0, 2.0], "forget_error": [1, None]})
    assert quality_column("language", points) == "forget_likelihood"
    assert quality_column("language", points.assign(forget_accuracy=1.0)) == "forget_accuracy"
    assert quality_column("regression", points) is None
    assert quality_column("unheard-of", points) is None


def test_the_figure_says_who_is_beyond_retrain():
    result = drawn(figure.draw(relearned(THREE_SEEDS)))
    assert "Retrain's FA goes from 80.0 to 79.0; clearly beyond that" in result.finding
    assert "FineTune (+12.1 [" in result.finding
    assert "NegGrad (" not in result.finding
    assert "n = 3" in result.finding
    assert "FineTune from 60.0 to 91.1" in result.alt
    levels, differences = result.figure.axes
    assert [label.get_text() for label in levels.get_yticklabels()] == ["Original", "FineTune", "NegGrad"]
    assert any("Mean and 95 % interval over n = 3 seeds" in text for text in texts(result))
    assert levels.patches  # Retrain's band
    zero = [line for line in differences.lines if len(set(line.get_xdata())) == 1 and line.get_xdata()[0] == 0]
    assert zero


def test_one_seed_is_drawn_without_intervals():
    result = drawn(figure.draw(relearned([line for line in THREE_SEEDS if line[1] == 0])))
    assert "n = 1" in result.finding
    assert "[" not in result.finding
    assert "nan" not in (result.finding + result.alt).lower()


def test_errors_that_fall_below_retrains_are_what_was_kept():
    frames = relearned(THREE_SEEDS)
    frames.trials["kind"] = "regression"
    points = frames.relearned
    points["forget_error"], points["forget_accuracy"] = 100 - points["forget_accuracy"], None
    result = drawn(figure.draw(frames))
    assert "Retrain's FE goes from 20.0 to 21.0; clearly beyond that" in result.finding
    assert "FineTune (-12.1 [" in result.finding


def test_frames_have_only_what_is_of_the_model_of_the_trials_row_and_metrics_of_plugins(directory):
    trial = retrains(1)[0] | {"model_sha256": "a", "kind": "made-up"}
    where = directory([])
    results = Results(where)
    results.write_metrics("made-up", [Metric("forget_made_up", "FM", "made up")])
    points = path(trial, RETAIN, (None, None))
    points = [point | {"other": json.dumps({"forget_made_up": 5.0 + point["step"]})} for point in points]
    shared = ("trial_id", "relearning_id", "recipe", "model_sha256", "n_predictions")
    given = [{key: value for key, value in point.items() if key not in shared} | {"seconds": 0.0} for point in points]
    results.write_trial(trial, relearned=Relearned(RETAIN, given, None))
    found = relearned_trials(read_frames(where), "retain")
    assert found[["quality", "before", "after"]].to_numpy().tolist() == [["forget_made_up", 5, 6]]
    results.write_row(trial | {"model_sha256": "b"})
    assert read_frames(where).relearned.empty
