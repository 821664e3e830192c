"""Cohorts, made and read back."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from made_cohorts import drawn, split_rows
from made_results import row

from analysis.audit.cohort import cohorts
from analysis.audit.outputs import read_model
from analysis.reading.frames import read_frames
from sweep.store.columns import PREDICTIONS
from sweep.store.results import Results


def by_method(directory, trials):
    return {each.method: each for each in cohorts(directory, trials)}


@pytest.mark.parametrize("folds", [1, 3])
def test_what_is_stored_is_read_as_it_was(audited, folds):
    made = drawn(0, 4, 12, 1.0, ceiling=2.0, folds=folds, classes=10)
    found = by_method(*audited(made))
    assert [*sorted(found)] == ["finetune", "original", "retrain"]
    for method, who in (("finetune", "unlearned"), ("original", "original"), ("retrain", "retrain")):
        each = found[method]
        assert (each.task_ids, each.seeds, each.crossed) == (made.task_ids, made.seeds, True)
        np.testing.assert_array_equal(each.samples, np.arange(12))
        np.testing.assert_allclose(each.margins("unlearned"), made.margins(who), atol=0.01)  # stored as float16
        np.testing.assert_allclose(each.margins("retrain"), made.margins("retrain"), atol=0.01)
        np.testing.assert_allclose(each.margins("original"), made.margins("original"), atol=0.01)


def test_rows_are_ordered_by_sample(audited):
    made = drawn(0, 3, 9)
    directory, trials = audited(made)
    results = Results(directory)
    for trial in trials["trial_id"]:
        table = results.predictions(trial)
        results.write_trial(results.trial(trial), predictions=table.take(np.random.default_rng(0).permutation(9)))
    found = by_method(directory, trials)["finetune"]
    np.testing.assert_array_equal(found.samples, np.arange(9))
    np.testing.assert_allclose(found.margins("unlearned"), made.margins("unlearned"), atol=0.01)


@pytest.mark.parametrize("lost", ["finetune", "retrain", "original"])
@pytest.mark.parametrize("how", ["failed", "no predictions", "damaged", "not finite"])
def test_a_seed_counts_where_it_is_whole(audited, lost, how):
    made = drawn(0, 4, 8, ceiling=1.0, folds=2)
    directory, trials = audited(made)
    results = Results(directory)
    [one] = trials[(trials["method"] == lost) & (trials["seed"] == 2) & (trials["task_id"] == "task-1")]["trial_id"]
    if how == "failed":
        results.write_row(results.trial(one) | {"status": "failed"})
    elif how == "no predictions":
        results.write_row(results.trial(one) | {"n_predictions": 0})
    elif how == "damaged":
        results.write(f"predictions/{one}.parquet", b"damaged")
    else:
        rows = results.predictions(one).to_pylist()
        rows[3]["logits"][0] = np.float16("nan" if lost == "retrain" else "inf")
        results.write_trial(results.trial(one), predictions=pa.Table.from_pylist(rows, schema=PREDICTIONS))
    unread = []
    assert [*cohorts(directory, read_frames(directory).trials, unread.append)]
    assert set(unread) == ({one} if how in ("damaged", "not finite") else set())
    found = by_method(directory, read_frames(directory).trials)["finetune"]
    assert found.seeds == ((0, 1, 2, 3) if lost == "original" else (0, 1, 3))
    assert (found.sets[0].original is None, found.sets[1].original is None) == (False, lost == "original")


def test_tasks_and_configurations_are_apart(audited):
    one, other = drawn(0, 2, 6), drawn(1, 2, 6, params='{"lr": 0.1}')
    third = drawn(2, 2, 6, task_id="elsewhere")
    found = [each for each in cohorts(*audited(one, other, third)) if each.method == "finetune"]
    apart = [("elsewhere", "{}"), ("task", "{}"), ("task", '{"lr": 0.1}')]
    assert {(each.task_id, each.params) for each in found} == {*apart}
    assert len(found) == 3


def test_a_regression_is_read_too(tmp_path):
    results = Results(str(tmp_path))
    rows = [{"trial_id": "a", "sample_id": k, "split": "forget", "target": 2.0, "outputs": [2.0 + k]} for k in (1, 0)]
    results.write_trial(row("finetune", trial_id="a"), predictions=pa.Table.from_pylist(rows, schema=PREDICTIONS))
    part = read_model(results, "a")["forget"]
    assert (part.numbers, part.samples.tolist(), part.outputs.tolist()) == (True, [0, 1], [[2.0], [3.0]])
    assert read_model(results, "b") is None


@pytest.mark.parametrize("folds", [1, 2])
def test_seeds_and_samples_can_be_chosen(folds):
    made = drawn(0, 5, 10, 1.0, ceiling=2.0, folds=folds)
    chosen = np.arange(10) % 3 == 0
    found = made.take([3, 1]).where(chosen)
    assert found.seeds == (3, 1)
    np.testing.assert_array_equal(found.samples, [0, 3, 6, 9])
    for who in ("unlearned", "retrain", "original"):
        np.testing.assert_array_equal(found.margins(who), made.margins(who)[[3, 1]][:, chosen])
        np.testing.assert_array_equal(made.of(who).margins("unlearned"), made.margins(who))


def test_samples_that_differ_by_seed_are_not_crossed():
    made = drawn(0, 3, 6)
    assert made.crossed
    [beside] = made.sets
    assert made.common() is made
    for who in ("unlearned", "retrain"):
        first, *rest = getattr(beside, who)
        moved = {"forget": replace(first["forget"], samples=first["forget"].samples + 1)}
        apart = replace(made, sets=(replace(beside, **{who: (moved, *rest)}),))
        assert not apart.crossed
        assert apart.common().crossed
        np.testing.assert_array_equal(apart.common().samples, np.arange(1, 6))
        far = {"forget": replace(first["forget"], samples=first["forget"].samples + 6)}
        none_shared = replace(made, sets=(replace(beside, **{who: (far, *rest)}),))
        assert none_shared.common() is none_shared


def test_models_without_a_forget_part_do_not_count(audited):
    made = drawn(0, 2, 4)
    directory, trials = audited(made)
    results = Results(directory)
    [one] = trials[(trials["method"] == "finetune") & (trials["seed"] == 0)]["trial_id"]
    table = split_rows(made, one, 0, "unlearned")
    results.write_trial(results.trial(one), predictions=table.set_column(2, "split", pa.array(["test"] * len(table))))
    assert by_method(directory, trials)["finetune"].seeds == (1,)
