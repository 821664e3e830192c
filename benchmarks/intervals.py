"""How often 95 % intervals of a mean over few seeds hold the true mean: python benchmarks/intervals.py.

Draws groups of n values from distributions whose mean is known, and counts for Student's t (what the reports use) and
for scipy's percentile bootstrap.
"""

import numpy as np
from scipy import stats

from analysis.intervals import mean_intervals

GROUPS = 20_000
SIZES = (2, 3, 5, 10, 20)
DISTRIBUTIONS = {
    "normal": stats.norm(),
    "uniform": stats.uniform(),
    "distance to a reference, |N(1, 1)|": stats.foldnorm(1),
    "exponential": stats.expon(),
}


def main() -> None:
    print(f"share of {GROUPS} intervals that hold the true mean, and their median width")
    for name, distribution in DISTRIBUTIONS.items():
        print(name)
        for size in SIZES:
            groups = distribution.rvs((GROUPS, size), random_state=size)
            print(f"  n = {size:2d}: {measure('t', student(groups), distribution.mean())}", end=", ")
            print(measure("percentile bootstrap", bootstrap(groups), distribution.mean()))


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
