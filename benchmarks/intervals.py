"""What the reports' statistics are worth with few seeds: python benchmarks/intervals.py.

How often 95 % intervals of a mean hold the true mean: draws groups of n values from distributions whose mean is known,
and counts for Student's t (what the reports use) and for scipy's percentile bootstrap.

How often a method that is equal to the best is called worse: draws sweeps of methods whose true means are equal, and
counts those with an error, for one comparison alone (a 95 % interval that leaves out 0) and with all pairs counted
(what the reports use); and how often a method that is worse is called so.

How often a method is called as good as Retrain: one that differs from it by exactly the margin, which must not be, and
one that differs by nothing.
"""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from scipy import optimize, stats

from analysis.statistics.equivalence import equivalence
from analysis.statistics.intervals import mean_intervals
from analysis.statistics.ranking import compare_to_lowest, pairs

GROUPS = 20_000
SIZES = (2, 3, 5, 10, 20)
DISTRIBUTIONS = {
    "normal": stats.norm(),
    "uniform": stats.uniform(),
    "distance to a reference, |N(1, 1)|": stats.foldnorm(1),
    "exponential": stats.expon(),
}

SWEEPS = 20_000
SHAPES = ((7, 2), (7, 3), (7, 5), (20, 3), (20, 10), (43, 3), (43, 10))
"""Methods (or configurations) and seeds."""
METRICS = 4
"""An average gap is a mean over so many distances."""
BEST_OF = (36, 1, 1, 1, 1, 1, 1)
"""Configurations of each method; of each only the one of lowest mean is compared."""


def main() -> None:
    coverage()
    errors()
    power()
    equivalences()


def coverage() -> None:
    print(f"share of {GROUPS} intervals that hold the true mean, and their median width")
    for name, distribution in DISTRIBUTIONS.items():
        print(name)
        for size in SIZES:
            groups = distribution.rvs((GROUPS, size), random_state=size)
            print(f"  n = {size:2d}: {measure('t', student(groups), distribution.mean())}", end=", ")
            print(measure("percentile bootstrap", bootstrap(groups), distribution.mean()))


def errors() -> None:
    print(f"\nshare of {SWEEPS} sweeps with equal methods that call one worse than the best")
    for name, draw in LAWS.items():
        print(name)
        for methods, seeds in SHAPES:
            values = draw(np.random.default_rng([methods, seeds]), methods, seeds)
            alone, counted = share(values, 1), share(values)
            print(f"  {methods:2d} methods, {seeds:2d} seeds: one comparison {alone}, all pairs {counted}")
    print(f"equal variances, each method the best of {', '.join(map(str, BEST_OF))} configurations")
    for seeds in (3, 5, 10):
        values = best_of(np.random.default_rng(seeds), seeds)
        rates = f"one comparison {share(values, 1)}, pairs of methods {share(values)}"
        print(f"   7 methods, {seeds:2d} seeds: {rates}, pairs of configurations {share(values, pairs(BEST_OF))}")


def power() -> None:
    print(f"\nshare of {SWEEPS} sweeps in which the one method that is worse by so many deviations is called so")
    for methods, seeds in SHAPES:
        values = equal_variances(np.random.default_rng([methods, seeds]), methods, seeds)
        found = []
        for distance in (2, 5, 10, 20, 50):
            worse = values + distance * (np.arange(methods) == 0)[:, None]
            found.append(f"{distance}: {100 * (compare_to_lowest(worse)[1][:, 0] > 0).mean():.0f} %")
        print(f"  {methods:2d} methods, {seeds:2d} seeds: {', '.join(found)}")


def equivalences() -> None:
    print(f"\nshare of {SWEEPS} sweeps in which a method is called as good as Retrain, of 1 (of 8) methods tested")
    for (law, draw), metrics in product(RETRAINS.items(), (1, METRICS)):
        print(f"{law}, {metrics} metric{'s' if metrics > 1 else ''}")
        for name, own in SPREADS.items():
            for off, words in ((1, "differs by the margin"), (0, "differs by nothing")):
                found = []
                for seeds in (3, 5, 10, 20):
                    p = tested(np.random.default_rng([metrics, seeds]), draw, (metrics, seeds), own, off)
                    found.append(f"n = {seeds}: {100 * (p < 0.05).mean():.1f} % ({100 * (8 * p < 0.05).mean():.1f} %)")
                print(f"  {name}, {words}: {', '.join(found)}")


def tested(rng: np.random.Generator, law: Any, shape: tuple[int, int], own: float | None, off: float) -> np.ndarray:
    """p-values of methods that differ from Retrain by so many margins, all of it in the first metric: the worst case.

    `own`: the deviation of method less Retrain, in Retrain's; None: independent runs of Retrain's own law.
    """
    margin = law.expect(lambda x: 2 * x * (2 * law.cdf(x) - 1))  # Gini's mean difference
    retrain, method = (law.rvs((SWEEPS, *shape), random_state=rng) - law.mean() for _ in range(2))
    differences = method - retrain if own is None else own * method
    differences[:, 0] += off * margin * shape[0]
    parts = (np.array_split(each, 20) for each in (differences, retrain))
    return np.concatenate([equivalence(*pair) for pair in zip(*parts, strict=True)])


def share(values: np.ndarray, comparisons: int | None = None) -> str:
    parts = [compare_to_lowest(part, comparisons)[1] for part in np.array_split(values, 20)]
    return f"{100 * (np.concatenate(parts) > 0).any(axis=1).mean():.1f} %"


def normal(rng: np.random.Generator, deviations: np.ndarray, seeds: int) -> np.ndarray:
    """Sweeps whose methods have these deviations, and in each seed a deviation of 1 in common."""
    shared = rng.normal(size=(SWEEPS, 1, seeds))
    return 5 + shared + deviations[:, None] * rng.normal(size=(SWEEPS, len(deviations), seeds))


def equal_variances(rng: np.random.Generator, methods: int, seeds: int) -> np.ndarray:
    return normal(rng, np.ones(methods), seeds)


def unequal_variances(rng: np.random.Generator, methods: int, seeds: int) -> np.ndarray:
    return normal(rng, np.linspace(0.2, 3, methods), seeds)


def one_unstable(rng: np.random.Generator, methods: int, seeds: int) -> np.ndarray:
    return normal(rng, np.where(np.arange(methods) == 0, 3, 0.1), seeds)


def average_gaps(rng: np.random.Generator, methods: int, seeds: int) -> np.ndarray:
    """Means of distances |N(a, s)|, which are 3 on average: of methods that are steadily off, and of noisy ones."""
    spreads = np.linspace(0.2, 3.7, methods)
    offs = [optimize.brentq(lambda off, s=s: s * stats.foldnorm(off / s).mean() - 3, 0, 5) for s in spreads]
    total = np.zeros((SWEEPS, methods, seeds))
    for _ in range(METRICS):
        total += np.abs(np.array(offs)[:, None] + spreads[:, None] * rng.normal(size=total.shape))
    return total / METRICS


def coarse(rng: np.random.Generator, methods: int, seeds: int) -> np.ndarray:
    return np.round(equal_variances(rng, methods, seeds))


def skewed(rng: np.random.Generator, methods: int, seeds: int) -> np.ndarray:
    spreads = np.linspace(0.2, 3, methods)
    return 5 + spreads[:, None] * (rng.exponential(size=(SWEEPS, methods, seeds)) - 1)


LAWS: dict[str, Callable[[np.random.Generator, int, int], np.ndarray]] = {
    "normal, equal variances": equal_variances,
    "normal, deviations from 0.2 to 3": unequal_variances,
    "normal, one deviation of 3, all others 0.1": one_unstable,
    "average gaps of one mean, from steady to noisy": average_gaps,
    "normal of deviation 1, measured in steps of 1": coarse,
    "exponential, deviations from 0.2 to 3": skewed,
}


RETRAINS = {"normal": stats.norm(), "uniform": stats.uniform(), "exponential": stats.expon()}
SPREADS = {"independent of Retrain": None, "0.3 of Retrain's deviation": 0.3, "a constant": 0.0}
"""How a method's difference to Retrain of the same seed spreads."""


def best_of(rng: np.random.Generator, seeds: int) -> np.ndarray:
    columns = []
    for configurations in BEST_OF:
        values = rng.normal(size=(SWEEPS, configurations, seeds))
        columns.append(values[np.arange(SWEEPS), values.mean(axis=2).argmin(axis=1)])
    return np.stack(columns, axis=1)


def student(groups: np.ndarray) -> np.ndarray:
    return np.array([(found.low, found.high) for found in mean_intervals(list(groups))])


def bootstrap(groups: np.ndarray) -> np.ndarray:
    ends = []
    for part in np.array_split(groups, 40):
        found = stats.bootstrap((part,), np.mean, axis=1, n_resamples=1000, method="percentile", rng=0)
        ends.append(np.column_stack(found.confidence_interval))
    return np.concatenate(ends)


def measure(name: str, ends: np.ndarray, mean: float) -> str:
    held = ((ends[:, 0] <= mean) & (mean <= ends[:, 1])).mean()
    return f"{name} {100 * held:.1f} % (width {np.median(ends[:, 1] - ends[:, 0]):.2f})"


if __name__ == "__main__":
    main()
