"""Optuna's samplers and pruners, by the names that a spec gives them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from sweep.spec.search_section import PrunerName, SamplerName

POPULATION = 10
"""Suggestions per generation of NSGA-II: Optuna's own 50 would leave a usual budget in the first, random one."""

SAMPLERS: dict[SamplerName, Callable[[int], BaseSampler]] = {
    "tpe": lambda seed: TPESampler(seed=seed, constant_liar=True),
    "gp": lambda seed: GPSampler(seed=seed),
    "nsga2": lambda seed: NSGAIISampler(seed=seed, population_size=POPULATION),
    "random": lambda seed: RandomSampler(seed=seed),
}
"""Samplers that read what they know from the study: each is made anew for every suggestion (`NumberedSampler`)."""

PRUNERS: dict[PrunerName, Callable[[], BasePruner]] = {
    "median": lambda: MedianPruner(n_startup_trials=5),
    "asha": lambda: SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
    "none": NopPruner,
}
"""A pruner is told the mean after each seed: its steps, or its resource, are seeds."""


class NumberedSampler(BaseSampler):
    """A sampler whose random numbers follow from the suggestion's number, however often the search was interrupted.

    For every suggestion it makes Optuna's sampler anew, seeded by the study, the study's seed and the number. So a
    resumed search draws what an uninterrupted one would have drawn, and never repeats the first random numbers.
    Everything else that Optuna's samplers know is in the study. While `replaying` is set, suggestions have their values
    already, and nothing is drawn.

    Args:
        name: which sampler.
        seed: text that, with the suggestion's number, determines the random numbers.
        number: returns the number of the suggestion that an Optuna trial is.
    """

    def __init__(self, name: SamplerName, seed: str, number: Callable[[FrozenTrial], int]) -> None:
        self._make = SAMPLERS[name]
        self._seed = seed
        self._number = number
        self._sampler = self._make(0)
        self.replaying = False

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Optuna's hook: make the sampler of a suggestion that begins."""
        digest = hashlib.sha256(f"{self._seed} {self._number(trial)}".encode()).digest()
        self._sampler = self._make(int.from_bytes(digest[:4], "little"))
        self._sampler.before_trial(study, trial)
        if isinstance(self._sampler, NSGAIISampler):  # stores generation and parents in the study, always in this order
            generation = self._sampler.get_trial_generation(study, trial)
            self._sampler.get_parent_population(study, generation)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Optuna's hook."""
        return {} if self.replaying else self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Optuna's hook."""
        return {} if self.replaying else self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Optuna's hook."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Optuna's hook."""
        self._sampler.after_trial(study, trial, state, values)


optuna.logging.set_verbosity(optuna.logging.ERROR)
