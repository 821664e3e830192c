"""What the row of Retrain of another seed is, and which methods are said to be as good."""

import numpy as np
import pandas as pd
import pytest
from made_results import TWO_SEEDS, row

from analysis.comparison import comparisons
from analysis.methods_table import display_rows, methods_table
from analysis.reading.equivalences import equivalences
from analysis.reading.frames import read_frames
from analysis.reading.selection import ANOTHER_SEED
from analysis.statistics.equivalence import equivalence
from analysis.wording.floor import floor_words

RETRAIN = [(100.0, 80.0, 92.0, 50.0), (98.0, 86.0, 90.0, 40.0), (99.0, 85.0, 95.0, 47.0)]


@pytest.fixture
def trials_of(directory):
    return lambda rows: read_frames(directory(rows)).trials


def noisy(method, seeds, off=0.0, deviation=1.0, draw=None, **columns):
    """A method whose metrics are 50 but for noise, and FA off by so much."""
    draw = draw or np.random.default_rng(len(method))
    values = 50 + deviation * draw.normal(size=(seeds, 4)) + [0, off, 0, 0]
    return [row(method, seed, metrics=tuple(map(float, one)), **columns) for seed, one in enumerate(values)]


def test_gaps_of_retrain_of_another_seed_are_to_that_of_the_next(trials_of):
    rows = [row("retrain", seed, metrics=metrics) for seed, metrics in zip((4, 7, 9), RETRAIN, strict=True)]
    table = methods_table(trials_of(rows[::-1])).set_index("method")
    another, retrain = table.loc[ANOTHER_SEED], table.loc["retrain"]
    apart = np.abs(np.array(RETRAIN) - np.roll(RETRAIN, -1, axis=0))
    assert [another[f"{label}.gap"] for label in ("RA", "FA", "TA", "MIA")] == pytest.approx(apart.mean(axis=0))
    assert another["average_gap"] == pytest.approx(apart.mean())
    assert another["average_gap.std"] == pytest.approx(apart.mean(axis=1).std(ddof=1))
    for label in ("RA", "FA", "TA", "MIA"):
        assert another[f"{label}.mean"] == retrain[f"{label}.mean"]


def test_it_stands_under_retrain_and_answers_no_question(trials_of):
    rows = [*TWO_SEEDS, row("original", metrics=(100.0, 100.0, 90.0, 0.0))]
    far = [row("uam", seed, metrics=(10.0, 10.0, 10.0, 10.0)) for seed in (0, 1)]
    trials = trials_of([*rows, *far])
    assert methods_table(trials)["method"].tolist() == ["original", "retrain", ANOTHER_SEED, "finetune", "uam"]
    [comparison], _ = comparisons(trials)
    assert [one.method for one in comparison.rows][:3] == ["Original", "Retrain", "Retrain, another seed"]
    assert "FineTune, with an average gap of 6.2" in comparison.answer  # that of Retrain's next seed is 4.5
    assert comparison.floor == floor_words(trials)


def test_it_stands_above_methods_that_are_closer_and_above_what_was_never_trained(trials_of):
    near = [one | {"method": "uam", "trial_id": f"uam-{place}"} for place, one in enumerate(TWO_SEEDS[:2])]
    untrained = [row("untrained", seed, metrics=(10.0, 10.0, 10.0, 10.0)) for seed in (0, 1)]
    table = methods_table(trials_of([*TWO_SEEDS, *near, *untrained]))
    assert table["method"].tolist() == ["retrain", ANOTHER_SEED, "untrained", "uam", "finetune"]


def test_of_one_seed_and_of_tasks_without_retrain_there_is_no_such_row(trials_of):
    assert ANOTHER_SEED not in set(methods_table(trials_of([TWO_SEEDS[0], *TWO_SEEDS[2:]]))["method"])
    table = methods_table(trials_of([*TWO_SEEDS, row("uam", task="other", forget_ratio=0.5)]))
    assert table.loc[table["task"].str.contains("50 %"), "floor"].tolist() == [""]
    assert display_rows(table[table["task"].str.contains("10 %")])[1][1][0] == ANOTHER_SEED


def test_p_values_are_of_the_seeds_that_both_have(trials_of):
    rows = [*noisy("retrain", 9), *noisy("finetune", 7), *noisy("uam", 9, off=3), row("uam", 20), *noisy("scrub", 2)]
    trials = trials_of(rows)
    found = equivalences(trials)
    columns = ["retain_accuracy", "forget_accuracy", "test_accuracy", "mia"]
    values = {name: rows[columns].to_numpy().T for name, rows in trials.dropna(subset=columns).groupby("method")}
    own = values["retrain"]
    for method, seeds in (("finetune", 7), ("uam", 9)):
        p = found.p.loc[(method, "{}")]
        assert p["average_gap"] == pytest.approx(equivalence(values[method] - own[:, :seeds], own[:, :seeds]))
        assert p["mia"] == pytest.approx(equivalence(values[method][3:] - own[3:, :seeds], own[3:, :seeds]))
    assert [*found.p.index] == [("finetune", "{}"), ("uam", "{}")]  # scrub: too few seeds
    table = methods_table(trials).set_index("method")
    assert table.loc["uam", "FA.equivalence"] == found.p.loc[("uam", "{}"), "forget_accuracy"]
    assert pd.isna(table.loc["retrain", "average_gap.equivalence"])


def test_methods_within_the_floor_are_named_and_those_beyond_it_are_not(trials_of):
    words = floor_words(trials_of([*noisy("retrain", 20), *noisy("finetune", 20), *noisy("uam", 20, off=9.0)]))
    assert words == (
        "Retrain, another seed: each Retrain beside that of the next seed, whose forget set is another one; so much "
        "seeds alone make. As good as Retrain within that floor (equivalence test, 20 seeds, 2 comparisons counted): "
        "finetune; its mean differences to Retrain are, averaged over RA, FA, TA and MIA, smaller than those of two "
        "Retrains."
    )


@pytest.mark.parametrize(
    ("seeds", "told"),
    [
        (
            20,
            "No method is shown to be as good as Retrain within that floor (equivalence test, 20 seeds, 1 comparison "
            "counted).",
        ),
        (
            3,
            "3 seeds cannot show that a method is as good as Retrain within that floor: Retrain itself would not pass "
            "the equivalence test.",
        ),
    ],
)
def test_what_cannot_be_shown_is_told_from_what_is_not_so(trials_of, seeds, told):
    assert floor_words(trials_of([*noisy("retrain", seeds), *noisy("uam", 20, off=9.0)])).endswith(told)


def test_every_comparison_counts(trials_of):
    rows = [*noisy("retrain", 8), *noisy("finetune", 8, deviation=0.6)]
    p = float(equivalences(trials_of(rows)).p["average_gap"].iloc[0])
    assert p < 0.05
    many = int(0.05 / p) + 1
    grid = [one for place in range(many) for one in noisy("uam", 8, off=30.0, params={"rho": place})]
    assert "finetune" in floor_words(trials_of(rows))
    assert "finetune" not in floor_words(trials_of([*rows, *grid]))


@pytest.mark.parametrize(
    ("columns", "other"),
    [
        ({}, True),
        ({"config": '{"forget": {"ratio": 0.1, "fold": 1}}'}, False),
        ({"scenario": "class", "forget_ratio": None, "forget_class": 3}, False),
    ],
)
def test_where_seeds_forget_other_samples_it_is_said(trials_of, columns, other):
    words = floor_words(trials_of(noisy("retrain", 2, **columns)))
    assert words.endswith("so much seeds alone make.")
    assert ("whose forget set is another one" in words) == other
