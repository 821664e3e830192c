"""What determines a study: one method's search on one task. Known before its first suggestion, without Optuna."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sweep.plan.trials import Trial, describe, trial_for
from sweep.spec.plugins import find_method
from sweep.spec.search_section import SearchSpec
from sweep.spec.space import Space, identifying, make_space
from sweep.store.content_ids import canonical_json, content_id
from sweep.words import counted


@dataclass(frozen=True)
class Definition:
    """What determines a study.

    Attributes:
        method: the method's name.
        task_id: the task (dataset, model, training, forget set) that the method is tuned on.
        space: what the sampler draws from.
        retrain: for each search seed the trial of Retrain that objectives are measured against.
        objectives: what is minimised.
        search: the spec's section, with sampler, pruner and budget.
    """

    method: str
    task_id: str
    space: Space
    retrain: tuple[Trial, ...]
    objectives: tuple[str, ...]
    search: SearchSpec

    @property
    def budget(self) -> int:
        """How many suggestions the study makes at most."""
        return self.search.trials

    @property
    def least(self) -> int:
        """How many suggestions the study makes at least."""
        return self.search.trials if self.search.compute is None else 1

    @property
    def amount(self) -> str:
        """The budget in words."""
        if self.search.compute is None:
            return counted(self.search.trials, "suggestion")
        return f"the passes of {self.search.compute:g} Retrains"

    @cached_property
    def name(self) -> str:
        """`<method>-<hash>`: 8 hexadecimal digits of everything that determines the suggestions and their values."""
        method = find_method(self.method)
        identity = {
            "task_id": self.task_id,
            "method": {"name": self.method, "version": method.version},
            "fixed": identifying(method, self.space.fixed),
            "space": self.space.description(),
            "seeds": [trial.seed for trial in self.retrain],
            "objectives": list(self.objectives),
            "sampler": self.search.sampler,
            "sampler_seed": self.search.sampler_seed,
        }
        return f"{re.sub(r'[^A-Za-z0-9._-]', '-', self.method)}-{content_id(canonical_json(identity))[:8]}"

    def trials(self, params: Mapping[str, Any], seeds: Sequence[Trial]) -> tuple[Trial, ...]:
        """The trials of a configuration, one for each Retrain trial in `seeds`, with that trial's seed and task."""
        kind = find_method(self.method)
        method = {"name": self.method, "version": kind.version, "params": identifying(kind, params)}
        return tuple(trial_for(describe(trial) | {"method": method}, self.name) for trial in seeds)


def define_studies(search: SearchSpec, retrain: Mapping[str, tuple[Trial, ...]]) -> list[Definition]:
    """The studies of a spec's search, each once: every method on every task.

    Args:
        retrain: by task id, the trials of Retrain on the search seeds, in their order.
    """
    found: dict[str, Definition] = {}
    for entry in search.methods:
        space = make_space(entry.name, find_method(entry.name), entry.own_options)
        for task_id, trials in retrain.items():
            definition = Definition(entry.name, task_id, space, trials, tuple(search.objective), search)
            found.setdefault(definition.name, definition)
    return list(found.values())
