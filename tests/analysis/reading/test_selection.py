"""Methods that are their own reference: `from_scratch` trials stand in tables and win no comparison."""

import pytest
from made_sweeps import frames, methods, row

from analysis import forget_ratio, tradeoff
from analysis.comparison import comparisons
from analysis.methods_table import methods_table
from analysis.reading.selection import choices, is_reference, own_reference, representatives
from analysis.wording.doing_nothing import doing_nothing

CUT = {"shards": 5, "slices": 2}
NEAR, FAR = (100.0, 80.0, 90.0, 40.5), (90.0, 85.0, 80.0, 30.0)


def sisa(seed, values, scratch, **given):
    return row("sisa", seed, values, CUT | {"from_scratch": scratch}, **given)


@pytest.fixture
def exact():
    """Both ways give the same numbers, as SISA's do."""
    return frames([*methods(), *(sisa(seed, FAR, scratch) for seed in range(3) for scratch in (True, False))])


@pytest.fixture
def inexact():
    """The method's own reference is closer to Retrain than the method is, and than all others."""
    made = [sisa(seed, NEAR if scratch else FAR, scratch) for seed in range(3) for scratch in (True, False)]
    return frames([*methods(), *made])


def test_trials_are_marked_by_their_hyperparameter(exact):
    marked = exact.trials[own_reference(exact.trials)]
    assert set(marked["trial_id"]) == {name for name in exact.trials["trial_id"] if "true" in name}
    assert set(exact.trials.loc[is_reference(exact.trials), "method"]) == {"original", "retrain", "sisa"}
    assert not own_reference(frames(methods()).trials).any()


def test_both_stand_beside_each_other_in_the_table_with_their_gaps_and_costs(exact):
    table = methods_table(exact.trials)
    places = [place for place, name in enumerate(table["method"]) if name.startswith("sisa")]
    assert table["method"].iloc[places].tolist() == ["sisa (from_scratch=False)", "sisa (from_scratch=True)"]
    assert places[1] == places[0] + 1
    assert table["average_gap"].iloc[places].tolist() == [8.75, 8.75]
    [comparison], _ = comparisons(exact.trials)
    shown = [found.setting for found in comparison.rows if found.method == "SISA"]
    assert sorted(shown) == ["from_scratch=False", "from_scratch=True"]


def test_a_method_is_not_represented_by_its_own_reference(inexact):
    chosen = representatives(inexact.trials)
    assert not own_reference(chosen).any()
    assert "sisa" in set(chosen["method"])
    assert choices(inexact.trials)["sisa"] == 1


def test_unless_it_has_nothing_else():
    alone = frames([*methods(), *(sisa(seed, NEAR, True) for seed in range(3))]).trials
    assert "sisa" in set(representatives(alone)["method"])


def test_a_reference_of_its_own_is_not_the_closest_method(inexact):
    [comparison], _ = comparisons(inexact.trials)
    assert comparison.answer.startswith("UAM") or "of lowest mean gap is UAM" in comparison.answer.lower()
    drawn = tradeoff.draw(inexact)
    assert "from_scratch" not in drawn.finding
    assert "scatter plot of 5 configurations" in drawn.alt.lower()


def test_doing_nothing_is_not_beaten_by_training_anew():
    rows = [kept for kept in methods() if kept["method"] in ("original", "retrain")]
    rows += [
        sisa(seed, NEAR if scratch else (50.0, 50.0, 50.0, 0.0), scratch)
        for seed in range(3)
        for scratch in (True, False)
    ]
    assert doing_nothing(frames(rows).trials).startswith("The original is at")


def test_over_forget_ratios_the_method_is_drawn_and_not_its_reference():
    rows = [
        made
        for ratio in (0.1, 0.5)
        for seed in range(3)
        for made in (
            row("retrain", seed, ratio=ratio),
            sisa(seed, NEAR, True, ratio=ratio),
            sisa(seed, FAR, False, ratio=ratio),
        )
    ]
    drawn = forget_ratio.draw(frames(rows))
    assert "8.8" in drawn.alt or "8.8" in drawn.finding


def test_a_network_that_was_never_trained_is_not_ranked_even_where_it_is_nearest_to_retrain():
    levels = {"retrain": 10.0, "untrained": 10.0, "finetune": 80.0}
    trials = frames([row(name, 0, (90.0, level, 90.0, 50.0)) for name, level in levels.items()]).trials
    assert trials.loc[is_reference(trials), "method"].tolist() == ["retrain", "untrained"]
    (comparison,), _ = comparisons(trials)
    assert comparison.answer.startswith("FineTune, with an average gap of 17.5")
