"""Distances of predicted numbers to Retrain's, against independent computations."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.distances import between


def test_the_wasserstein_distance_is_the_area_between_the_distributions():
    random = np.random.default_rng(0)
    one, other = random.normal(size=40), random.normal(1, 2, size=40)
    wasserstein, rms = between(one, other)
    assert wasserstein == pytest.approx(np.abs(np.sort(one) - np.sort(other)).mean())  # of equally many numbers
    assert rms == pytest.approx(np.linalg.norm(one - other) / np.sqrt(40))


def test_the_same_numbers_for_other_samples_are_near_as_a_whole_and_far_one_by_one():
    assert between(np.array([0.0, 1.0]), np.array([1.0, 0.0])) == (0.0, 1.0)
