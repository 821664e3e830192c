from __future__ import annotations

import math

import pytest
from scipy import stats
from scipy.optimize import brentq

from methods.privacy import concentrated_rho, gaussian_delta, gaussian_sigma

CLAIMS = [(0.1, 1e-5), (1.0, 1e-5), (1.0, 0.1), (8.0, 1e-9), (90.0, 1e-6)]


@pytest.mark.parametrize(("epsilon", "delta"), CLAIMS)
def test_delta_is_the_hockey_stick_divergence_of_two_gaussians(epsilon: float, delta: float) -> None:
    ratio = 1 / gaussian_sigma(1.0, epsilon, delta)
    threshold = epsilon / ratio + ratio / 2  # N(ratio, 1) is e^epsilon times as likely as N(0, 1)
    expected = stats.norm.sf(threshold, loc=ratio) - math.exp(epsilon + stats.norm.logsf(threshold))
    assert gaussian_delta(ratio, epsilon) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("epsilon", "delta"), CLAIMS)
def test_sigma_is_the_smallest_that_keeps_delta(epsilon: float, delta: float) -> None:
    sigma = gaussian_sigma(3.0, epsilon, delta)
    assert gaussian_delta(3.0 / sigma, epsilon) <= delta
    assert gaussian_delta(3.0 / sigma * (1 + 1e-9), epsilon) > delta


@pytest.mark.parametrize(("epsilon", "delta"), CLAIMS)
def test_rho_solves_the_equation_of_concentrated_privacy(epsilon: float, delta: float) -> None:
    rho = brentq(lambda rho: rho + 2 * math.sqrt(rho * math.log(1 / delta)) - epsilon, 0, epsilon, xtol=1e-15)
    assert concentrated_rho(epsilon, delta) == pytest.approx(rho, rel=1e-9)


@pytest.mark.parametrize(("epsilon", "delta"), CLAIMS)
def test_the_exact_analysis_needs_no_more_noise(epsilon: float, delta: float) -> None:
    assert gaussian_sigma(1.0, epsilon, delta) < 1 / math.sqrt(2 * concentrated_rho(epsilon, delta))
