"""Which samples are forgotten, held out, kept and mislabelled."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sweep.errors import InputError
from sweep.tasks.class_splits import ClassSplits, class_may_run_short
from sweep.tasks.datasets import Digits
from sweep.tasks.splits import Drawing, limited, noisy, stratified_order

some_labels = st.lists(st.integers(0, 6), min_size=10, max_size=80).map(np.array)
seeds = st.integers(0, 2**31 - 1)


@pytest.fixture(scope="module")
def labels():
    return Digits().load().train_labels


def shares_kept(labels, rows) -> bool:
    """Whether each class has its share of `rows`, to within one sample."""
    shares = np.bincount(labels) * len(rows) / len(labels)
    return bool((np.abs(np.bincount(labels[rows], minlength=len(shares)) - shares) < 1).all())


@given(some_labels, seeds)
def test_every_prefix_of_a_stratified_order_keeps_the_classes_shares(labels, seed):
    order = stratified_order(labels, np.random.default_rng(seed))
    assert sorted(order) == list(range(len(labels)))
    assert all(shares_kept(labels, order[:count]) for count in range(len(labels) + 1))


def test_every_sample_is_as_likely_as_any_other_to_come_early():
    labels = np.repeat([0, 1, 2], [6, 3, 3])
    early = np.zeros(12)
    for seed in range(2000):
        early[stratified_order(labels, np.random.default_rng(seed))[:4]] += 1
    np.testing.assert_allclose(early / 2000, 4 / 12, atol=0.05)


@given(some_labels, seeds, st.floats(0.1, 0.5), st.floats(0.5, 0.8), st.sampled_from([0.0, 0.2]))
def test_a_smaller_forget_set_is_within_a_larger_one(labels, seed, small, large, validation):
    smaller = Drawing(labels, seed, validation).split(ratio=small)
    larger = Drawing(labels, seed, validation).split(ratio=large)
    assert set(smaller.forget) <= set(larger.forget)
    np.testing.assert_array_equal(smaller.validation, larger.validation)


@given(some_labels, seeds, st.floats(0.1, 0.9), st.sampled_from([0.0, 0.1, 0.3]))
def test_the_parts_divide_the_training_set(labels, seed, ratio, validation):
    parts = Drawing(labels, seed, validation).split(ratio=ratio)
    everything = np.concatenate([parts.retain, parts.forget, parts.validation])
    np.testing.assert_array_equal(np.sort(everything), np.arange(len(labels)))
    np.testing.assert_array_equal(parts.training, np.sort(np.concatenate([parts.retain, parts.forget])))
    assert len(parts.validation) == round(validation * len(labels))
    assert len(parts.forget) == round(ratio * (len(labels) - len(parts.validation)))


@pytest.mark.parametrize("ratio", [0.01, 0.05, 0.1, 0.5])
def test_the_forget_set_is_stratified(labels, ratio):
    for seed in range(5):
        assert shares_kept(labels, Drawing(labels, seed, 0).split(ratio=ratio).forget)


def test_the_validation_part_is_stratified(labels):
    assert shares_kept(labels, Drawing(labels, 0, 0.2).split(ratio=0.1).validation)


@pytest.mark.parametrize("validation", [0, 0.1])
def test_a_seed_gives_the_same_parts_again_and_another_seed_others(labels, validation):
    one, again, other = (Drawing(labels, seed, validation).split(ratio=0.1) for seed in (0, 0, 1))
    for part in ("retain", "forget", "validation") if validation else ("retain", "forget"):
        np.testing.assert_array_equal(getattr(one, part), getattr(again, part))
        assert set(getattr(one, part)) != set(getattr(other, part))
    assert len(set(one.forget) & set(other.forget)) < 0.3 * len(one.forget)


def of_class(trained, true, seed, validation, label):
    """The split that forgets a class."""
    drawing = partial(Drawing, trained, validation=validation)
    splits = ClassSplits(np.arange(len(true)), len(true), trained, true, true, None, validation, 0.0, drawing)
    return splits.split(seed, {"scenario": "class", "class": int(label)})


@given(some_labels, seeds, st.data())
def test_a_class_is_its_true_samples_whatever_label_is_trained_on(true, seed, data):
    assume(len(set(true)) > 1)
    forgotten = data.draw(st.sampled_from(sorted(set(true))))
    trained = np.array(data.draw(st.lists(st.integers(0, 6), min_size=len(true), max_size=len(true))))
    parts = of_class(trained, true, seed, 0, forgotten)
    np.testing.assert_array_equal(parts.forget, np.flatnonzero(true == forgotten))


def test_a_whole_class_is_forgotten_but_for_its_validation_samples(labels):
    parts = of_class(noisy(labels, 0.2, 10), labels, 0, 0.1, 3)
    assert set(labels[parts.forget]) == {3}
    assert 3 not in labels[parts.retain]
    assert 3 in labels[parts.validation]


@given(some_labels, seeds, st.sampled_from([0.0, 0.1, 0.5]), st.sampled_from([0.0, 0.4]), st.integers(1, 8))
def test_where_a_class_cannot_run_short_no_seed_lets_it(true, seed, validation, noise, fewest):
    trained = noisy(true, noise, 7)
    for label in set(true):
        if not validation:
            assert not class_may_run_short(trained, true, validation, label, fewest)
        elif not class_may_run_short(trained, true, validation, label, fewest):
            parts = of_class(trained, true, seed, validation, label)
            others = int((true[parts.validation] != label).sum())
            assert min(len(parts.forget), len(parts.retain), others) >= fewest


def test_reference_samples_are_held_out_beside_validation_samples(labels):
    without = Drawing(labels, 0, 0.1).split(ratio=0.2)
    parts = Drawing(labels, 0, 0.1, 0.2).split(ratio=0.2)
    np.testing.assert_array_equal(parts.validation, without.validation)
    assert len(parts.reference) == round(0.2 * len(labels))
    assert shares_kept(labels, parts.reference)
    everyone = np.concatenate([parts.validation, parts.reference, parts.retain, parts.forget])
    np.testing.assert_array_equal(np.sort(everyone), np.arange(len(labels)))
    assert len(Drawing(labels, 0, 0.1).split(ratio=0.2).reference) == 0


@pytest.mark.parametrize("noise", [0.0, 0.4])
def test_a_class_runs_short_only_where_little_of_it_is_left(labels, noise):
    trained = noisy(labels, noise, 10)
    assert not any(class_may_run_short(trained, labels, 0.1, label, 50) for label in range(10))
    assert all(class_may_run_short(trained, labels, 0.1, label, 150) for label in range(10))


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (lambda labels: of_class(labels, labels, 0, 0, 10), "class 10 leaves no sample to forget of 1437"),
        (lambda labels: Drawing(labels, 0, 0).split(1e-4), "ratio 0.0001 leaves no sample to forget of 1437"),
        (lambda labels: Drawing(labels, 0, 0).split(0.9999), "ratio 0.9999 leaves no sample to retain of 1437"),
        (lambda labels: of_class(0 * labels, 0 * labels, 0, 0, 0), "class 0 leaves no sample to retain of 1437"),
    ],
)
def test_a_split_that_leaves_nothing_is_refused(labels, split, message):
    with pytest.raises(InputError, match=message):
        split(labels)


@given(st.integers(1, 300), st.floats(0, 1))
def test_the_share_of_labels_asked_for_is_drawn_anew(count, share):
    nobody = np.full(count, -1)
    changed = noisy(nobody, share, classes=5)
    assert (changed >= 0).sum() == round(share * count)
    assert set(changed) <= {-1, 0, 1, 2, 3, 4}
    assert (nobody == -1).all()


def test_noisy_labels_are_uniform_over_all_classes():
    drawn = noisy(np.zeros(10_000, dtype=np.int64), 1.0, classes=4)
    np.testing.assert_allclose(np.bincount(drawn) / 10_000, 0.25, atol=0.02)


def test_label_noise_is_always_the_same_and_more_of_it_includes_less(labels):
    np.testing.assert_array_equal(noisy(labels, 0.2, 10), noisy(labels, 0.2, 10))
    untouched = np.full(100, -1)
    assert set(np.flatnonzero(noisy(untouched, 0.1, 10) >= 0)) <= set(np.flatnonzero(noisy(untouched, 0.2, 10) >= 0))


def test_a_limited_training_set_is_stratified_sorted_and_nested(labels):
    some, more = limited(labels, 100), limited(labels, 500)
    assert len(some) == 100
    assert shares_kept(labels, some)
    assert (np.diff(some) > 0).all()
    assert set(some) <= set(more)


@pytest.mark.parametrize("limit", [None, 1437, 5000])
def test_a_limit_that_is_not_below_the_size_keeps_everything(labels, limit):
    np.testing.assert_array_equal(limited(labels, limit), np.arange(1437))
