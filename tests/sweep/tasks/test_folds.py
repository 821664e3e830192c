"""Folds: which samples each has, for every kind of task."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sweep.errors import InputError
from sweep.tasks.class_splits import class_splits
from sweep.tasks.language.group_splits import GroupSplits
from sweep.tasks.splits import fold_count, fold_of
from sweep.tasks.value_splits import strata, value_splits


def of_classes(**options):
    labels = np.random.default_rng(0).choice(4, size=403, p=[0.5, 0.3, 0.15, 0.05])
    return class_splits(labels, labels[:40], 4, None, {"limit": None, "label_noise": 0.2, "validation": 0.0} | options)


def of_numbers(**options):
    targets = np.random.default_rng(0).exponential(size=403)
    return value_splits(targets, targets[:40], {"limit": None, "validation": 0.0} | options)


def of_groups(**options):
    groups = np.repeat(np.arange(30), np.random.default_rng(0).integers(1, 6, size=30))
    names, eligible = tuple(map(str, range(30))), np.arange(30) % 3 > 0
    return GroupSplits(
        np.arange(len(groups)), len(groups), names, groups, eligible, 10, 0, False, options.get("validation", 0.0)
    )


def random(ratio, fold):
    return {"scenario": "random", "ratio": ratio, "fold": fold}


@given(st.integers(1, 500), st.integers(2, 60).map(lambda percent: percent / 100))
def test_folds_of_an_order_are_disjoint_equally_large_and_all_there(count, ratio):
    order = np.random.default_rng(0).permutation(count)
    folds = [fold_of(order, ratio, fold) for fold in range(fold_count(ratio))]
    assert {len(fold) for fold in folds} == {round(100 * ratio) * count // 100}
    assert len(set(np.concatenate(folds))) == len(folds) * len(folds[0])


@pytest.mark.parametrize(
    ("ratio", "count"), [(0.5, 2), (0.2, 5), (0.1, 10), (0.05, 20), (0.3, 3), (0.6, 1), (1 / 3, 3), (0.01, 100)]
)
def test_as_many_folds_as_the_whole_part_of_one_over_the_ratio(ratio, count):
    assert fold_count(ratio) == count


@pytest.mark.parametrize("make", [of_classes, of_numbers, of_groups])
@pytest.mark.parametrize("ratio", [0.1, 0.2, 0.3])
def test_folds_are_disjoint_and_the_same_for_every_seed(make, ratio):
    splits, again = make(), make()
    seen = []
    for fold in range(fold_count(ratio)):
        parts = splits.split(0, random(ratio, fold))
        np.testing.assert_array_equal(parts.forget, again.split(7, random(ratio, fold)).forget)
        np.testing.assert_array_equal(np.sort([*parts.retain, *parts.forget]), np.arange(len(splits.rows)))
        seen.append(parts.forget)
    assert len(np.unique(np.concatenate(seen))) == sum(map(len, seen))
    if make is not of_groups:
        assert sum(map(len, seen)) == int(1 / ratio) * int(ratio * 403)


@pytest.mark.parametrize("make", [of_classes, of_numbers])
def test_every_fold_has_its_share_of_each_stratum_to_within_two_samples(make):
    splits = make()
    labels = splits.trained if make is of_classes else strata(splits.targets)
    for fold in range(10):
        forgotten = splits.split(0, random(0.1, fold)).forget
        share = np.bincount(labels) * len(forgotten) / len(labels)
        assert np.abs(np.bincount(labels[forgotten], minlength=len(share)) - share).max() < 2


@pytest.mark.parametrize("make", [of_classes, of_numbers])
def test_of_a_fold_only_what_the_seed_trains_on_is_forgotten(make):
    splits, whole = make(validation=0.1, reference=0.1), make()
    for seed in range(3):
        parts, fold = splits.split(seed, random(0.2, 1)), whole.split(0, random(0.2, 1)).forget
        held_out = np.concatenate([parts.validation, parts.reference])
        assert len(held_out) == 80
        np.testing.assert_array_equal(parts.forget, np.setdiff1d(fold, held_out))
        np.testing.assert_array_equal(parts.training, np.setdiff1d(np.arange(403), held_out))
    assert splits.may_run_short(random(0.2, 1), 2)
    assert not whole.may_run_short(random(0.2, 1), 2)


def test_folds_of_texts_are_of_whole_groups_that_may_be_forgotten():
    splits = of_groups()
    forgotten = [np.unique(splits.groups[splits.split(0, random(0.2, fold)).forget]) for fold in range(5)]
    assert [len(groups) for groups in forgotten] == [4] * 5
    np.testing.assert_array_equal(np.sort(np.concatenate(forgotten)), np.flatnonzero(splits.eligible))
    for fold, groups in enumerate(forgotten):
        retained = splits.groups[splits.split(0, random(0.2, fold)).retain]
        assert not np.isin(groups, retained).any()


@pytest.mark.parametrize("make", [of_classes, of_numbers, of_groups])
def test_the_order_of_folds_has_every_sample_once(make):
    splits = make()
    np.testing.assert_array_equal(np.sort(splits.order), np.arange(len(splits.rows)))


def test_the_order_of_texts_has_the_groups_of_each_fold_together():
    splits = of_groups()
    forgotten = [splits.split(0, random(0.2, fold)).forget for fold in range(5)]
    place = np.argsort(splits.order)
    ends = [(place[rows].min(), place[rows].max() + 1) for rows in forgotten]
    assert ends == [(start, start + len(rows)) for (start, _), rows in zip(ends, forgotten, strict=True)]
    assert ends[0][0] == 0
    assert all(one[1] == other[0] for one, other in pairwise(ends))


@pytest.mark.parametrize("make", [of_classes, of_numbers, of_groups])
def test_a_fold_without_a_sample_is_bad_input(make):
    with pytest.raises(InputError, match=r"fold 0 of ratio 0\.001 leaves no .* to forget"):
        make().split(0, random(0.001, 0))


@pytest.mark.parametrize("make", [of_classes, of_numbers, of_groups])
@given(rows=st.lists(st.integers(0, 79), min_size=1, max_size=60, unique=True))
def test_a_list_of_rows_is_forgotten_as_it_is(make, rows):
    splits = make()
    assume(len(rows) < len(splits.rows))
    parts = splits.split(3, {"scenario": "rows", "rows": "id", "listed": np.sort(rows)})
    np.testing.assert_array_equal(parts.forget, np.sort(rows))
    np.testing.assert_array_equal(parts.retain, np.setdiff1d(np.arange(len(splits.rows)), rows))


@pytest.mark.parametrize("make", [of_classes, of_numbers])
def test_listed_rows_are_those_of_the_datasets_own_data(make):
    splits = make(limit=100, validation=0.2)
    listed = np.arange(0, 403, 2)
    parts = splits.split(0, {"scenario": "rows", "rows": "id", "listed": listed})
    expected = np.setdiff1d(np.intersect1d(splits.rows, listed), splits.rows[parts.validation])
    np.testing.assert_array_equal(splits.rows[parts.forget], expected)
    assert 0 < len(expected) < len(np.intersect1d(splits.rows, listed))


@pytest.mark.parametrize("make", [of_classes, of_numbers, of_groups])
@pytest.mark.parametrize(
    ("rows", "words"), [([-1, 3], "the list has row -1"), ([3, 5000, 6000], "the list has row 5000 and 1 more")]
)
def test_listed_rows_that_are_no_training_rows_are_bad_input(make, rows, words):
    splits = make()
    with pytest.raises(InputError, match=f"^forget: {words}; training rows are 0 to {len(splits.rows) - 1}$"):
        splits.split(0, {"scenario": "rows", "rows": "id", "listed": np.array(rows)})
