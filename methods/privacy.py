"""Gaussian noise and what it certifies: (epsilon, delta) of the Gaussian mechanism, and of concentrated privacy."""

from __future__ import annotations

import math


def gaussian_sigma(sensitivity: float, epsilon: float, delta: float) -> float:
    """The smallest standard deviation with which the Gaussian mechanism is (epsilon, delta)-private.

    Balle & Wang, ICML 2018, theorem 8, solved by bisection; rounded up.
    """
    low, high = 0.0, 1.0  # of sensitivity / sigma
    while gaussian_delta(high, epsilon) <= delta:
        low, high = high, 2 * high
    while True:
        middle = (low + high) / 2
        if not low < middle < high:
            return sensitivity / low
        if gaussian_delta(middle, epsilon) <= delta:
            low = middle
        else:
            high = middle


def gaussian_delta(ratio: float, epsilon: float) -> float:
    """The delta of the Gaussian mechanism at `epsilon`; `ratio` is sensitivity / sigma."""
    below = _normal(ratio / 2 - epsilon / ratio)
    above = _normal(-ratio / 2 - epsilon / ratio)
    return below - math.exp(epsilon) * above if above > 0 else below


def concentrated_rho(epsilon: float, delta: float) -> float:
    """The rho for which rho-zCDP implies (epsilon, delta): rho + 2 sqrt(rho ln(1/delta)) = epsilon.

    Bun & Steinke, TCC 2016, proposition 1.3. A Renyi divergence of at most a rho at every order a is rho-zCDP.
    """
    logarithm = math.log(1 / delta)
    return (epsilon / (math.sqrt(logarithm + epsilon) + math.sqrt(logarithm))) ** 2


def _normal(value: float) -> float:
    """Distribution function of the standard normal distribution."""
    return math.erfc(-value / math.sqrt(2)) / 2
