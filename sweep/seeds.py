"""The seeds of one suggestion, run one after another in this process, with the running mean of the objectives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sweep.objective import Row, ended, running_means, seed_values
from sweep.plan import Trial
from sweep.results import Results
from sweep.trial import Job, Worker


@dataclass(frozen=True)
class SeedEnd:
    """A seed's trial has a row.

    Attributes:
        step: how many seeds have ended, this one included.
        status: how it ended.
        ran: whether it was run now; else its row was there.
        means: the mean of each objective over the seeds so far; none if the trial failed.
    """

    step: int
    status: str
    ran: bool
    means: tuple[float, ...] | None


def run_seeds(
    worker: Worker,
    trials: Sequence[Trial],
    known: Sequence[Row | None],
    retrain: Sequence[Row],
    objectives: Sequence[str],
) -> Iterator[SeedEnd]:
    """Run the trials that have no row; ends after one that failed.

    Args:
        known: for each trial its row, where there is one.
        retrain: for each trial the row of its seed's Retrain.

    Raises:
        OSError: results cannot be read or stored.
    """
    results = Results(worker.context.out)
    values = []
    for step, (trial, row, reference) in enumerate(zip(trials, known, retrain, strict=True), start=1):
        found = row if ended(row) else results.trial(trial.id, everywhere=False)  # of an attempt whose process died
        ran = not ended(found)
        if ran:
            worker.run(Job(trial))
            found = results.trial(trial.id)
        if found is None:
            raise OSError(f"{results.location}: the row of trial {trial.id} cannot be read")
        if found["status"] == "failed":
            yield SeedEnd(step, "failed", ran, None)
            return
        values.append(seed_values(found, reference, objectives))
        yield SeedEnd(step, found["status"], ran, running_means(values)[-1])
