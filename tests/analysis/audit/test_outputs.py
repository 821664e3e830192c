"""What is derived from stored outputs, against double precision written out sample by sample."""

import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from analysis.audit.outputs import SMALLEST_ERROR, Part


def part(outputs, targets):
    outputs = np.asarray(outputs, dtype=np.float32)
    return Part(np.arange(len(outputs)), np.asarray(targets), outputs)


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("scale", [1, 30, 3000])
def test_margins_are_log_odds_of_the_own_class(classes, scale):
    rng = np.random.default_rng(classes)
    outputs = (scale * rng.normal(size=(40, classes))).astype(np.float32)
    targets = rng.integers(0, classes, size=40)
    found = part(outputs, targets)
    expected = [
        float(row[own]) - logsumexp(np.delete(row.astype(np.float64), own))
        for row, own in zip(outputs, targets, strict=True)
    ]
    np.testing.assert_allclose(found.margins, expected, rtol=1e-9)
    np.testing.assert_allclose(found.probabilities, softmax(outputs.astype(np.float64), axis=1), atol=1e-12)
    if scale == 1:
        own = found.probabilities[np.arange(40), targets]
        np.testing.assert_allclose(found.margins, np.log(own / (1 - own)), rtol=1e-9)


def test_of_numbers_the_margin_falls_with_the_error():
    found = part([[1.5], [3.0], [2.0]], [1.0, 2.0, 2.0])
    np.testing.assert_allclose(found.margins, [np.log(2), 0.0, -np.log(SMALLEST_ERROR)])
    assert found.numbers
    assert not found.choices


def test_of_the_only_candidate_it_is_the_log_odds_of_its_likelihood():
    likely = np.log([0.25, 0.5, 1.0])
    found = part(likely[:, None], [0, 0, 0])
    np.testing.assert_allclose(found.margins[:2], [np.log(1 / 3), 0.0], atol=1e-6)
    assert np.isfinite(found.margins[2])
    assert not found.choices


def test_the_right_answer_is_the_one_preferred():
    found = part([[0, 2, 1], [0, 2, 1], [5, 2, 1]], [1, 2, 0])
    assert found.choices
    assert found.right.tolist() == [True, False, True]


def test_a_subset_keeps_samples_targets_and_outputs_together():
    whole = part(np.arange(12).reshape(4, 3) ** 2, [0, 1, 2, 0])
    found = whole.subset(np.array([False, True, False, True]))
    assert (found.samples.tolist(), found.targets.tolist()) == ([1, 3], [1, 0])
    np.testing.assert_allclose(found.margins, whole.margins[[1, 3]])
