"""Jobs: what is run, what all jobs of a run share, and how a job can end. Plain data that any process can be sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sweep.plan.trials import Trial
from sweep.store.relearning import Relearning
from sweep.tasks.kind import Wanted

Status = Literal["ok", "diverged", "failed", "pruned"]


@dataclass(frozen=True)
class Context:
    """What all jobs of a run share.

    Attributes:
        sweep: the sweep's name.
        out: the results directory.
        location, model_location: the dataset's and the network's options that say where they lie.
        threads: torch threads.
        gpu: whether to compute on a GPU.
        max_retries: how often a trial that raised is run again.
        predictions: which predictions to keep, as in `Spec`.
        forget_information: whether to measure it.
        relearning: what to teach a copy of each unlearned model; None: nothing.
        probe_every, probe_samples: as in `ProbeSpec`.
        trial_timeout: seconds that an attempt may take; None: no limit.
        expendable: whether this process may be ended, as Ray's processes may.
        refresh: whether an original that another code version trained counts as missing.
        plugins: the folder that every process searches last for plugins.
    """

    sweep: str
    out: str
    location: dict[str, Any]
    threads: int
    gpu: bool
    max_retries: int
    predictions: Wanted
    probe_every: int = 0
    probe_samples: int = 64
    trial_timeout: float | None = None
    expendable: bool = False
    refresh: bool = False
    plugins: str = ""
    forget_information: bool = False
    relearning: Relearning | None = None
    model_location: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        status: as in the column.
        error: why it failed, diverged, or was pruned.
        device: where a worker computed it; None if no worker did, or its process died.
        metrics: the trial's metrics and cost, as in its row.
    """

    status: Status
    error: str | None = None
    device: str | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if self.error is not None:  # what UTF-8 cannot hold, as a file's name in a message may have, is spelled out
            object.__setattr__(self, "error", self.error.encode(errors="backslashreplace").decode())


@dataclass(frozen=True)
class Job:
    """A unit of scheduling: run `trial`, or, if `original_only`, train the original it starts from."""

    trial: Trial
    original_only: bool = False
