"""Shards: the parts of a sweep that commands run which know nothing of each other, as the tasks of a job array do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sweep.plan.trials import Trial


@dataclass(frozen=True)
class Shard:
    """Shard `number`, counted from 1, of `count`."""

    number: int
    count: int

    def of(self, trials: Sequence[Trial], whole_originals: bool = False) -> list[Trial]:
        """The shard's trials: every trial is in exactly one shard, whatever is stored already.

        Trials are put in the order of their seeds, of their originals and of the plan, and cut into `count` runs whose
        lengths differ by at most one. So an original is needed by one shard or by neighbours.

        Args:
            trials: the plan of the whole sweep.
            whole_originals: whether the trials of one original all go to the shard of the first of them. Then a shard
                may have none.
        """
        seeds = {seed: place for place, seed in enumerate(dict.fromkeys(trial.seed for trial in trials))}
        originals = {name: place for place, name in enumerate(dict.fromkeys(trial.original_id for trial in trials))}
        ordered = sorted(trials, key=lambda trial: (seeds[trial.seed], originals[trial.original_id]))
        places: dict[str, int] = {}
        chosen = []
        for place, trial in enumerate(ordered):
            if whole_originals and trial.original_id is not None:
                place = places.setdefault(trial.original_id, place)
            if place * self.count // len(ordered) == self.number - 1:
                chosen.append(trial)
        return chosen
