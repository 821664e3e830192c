"""Truth ratios, forget quality and utility, against independent computations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.forget_quality import Answers, answers, quality, utility


def test_a_right_answer_far_less_likely_than_wrong_ones_has_a_finite_truth_ratio():
    found = answers(np.array([[-40.0, 0.0, -1.0]]), np.array([0]))
    assert found.ratios == pytest.approx([(np.exp(40) + np.exp(39)) / 2], rel=1e-12)


def test_the_truth_ratio_is_how_likely_wrong_answers_are_as_a_multiple_of_the_right_one():
    scores = np.log([[0.5, 0.25, 0.125], [0.2, 0.1, 0.4]])
    found = answers(scores, np.array([0, 1]))
    assert found.ratios.tolist() == pytest.approx([(0.25 + 0.125) / 2 / 0.5, (0.2 + 0.4) / 2 / 0.1])
    assert found.probabilities.tolist() == pytest.approx([0.5, 0.1])


def test_forget_quality_is_the_exact_law_of_the_largest_difference_of_two_distributions():
    assert quality(np.arange(8.0), np.arange(8.0)) == 1
    apart = quality(np.arange(8.0), np.arange(8.0) + 100)
    assert apart == pytest.approx(2 / math.comb(16, 8))  # two of all orders of 16 numbers are as far apart


def test_utility_is_a_harmonic_mean_and_is_0_where_a_part_is():
    ratios, probabilities = np.array([0.5, 1.5]), np.array([0.8, 0.4])
    assert utility([Answers(ratios, probabilities)]) == pytest.approx(2 / (1 / 0.6 + 1 / 0.25))
    assert utility([Answers(np.array([2.0]), np.array([0.9]))]) == 0
