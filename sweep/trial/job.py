"""Jobs: what is run, with what, and how it can end. Plain data, so that it reaches any process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sweep.plan.trials import Trial

Status = Literal["ok", "diverged", "failed", "pruned"]


@dataclass(frozen=True)
class Context:
    """What all jobs of a run share; plain data, so that it reaches any process.

    Attributes:
        sweep: the sweep's name.
        out: the results directory.
        location: the dataset's options that say where it lies.
        threads: torch threads.
        gpu: whether to compute on a GPU.
        max_retries: times that a trial that raised is run again.
        predictions: whether to keep logits per sample.
        probe_every, probe_samples: as in `ProbeSpec`.
        trial_timeout: seconds that an attempt may take; None: any.
        expendable: whether the process may be ended for that, as Ray's are.
        refresh: whether an original that another code version trained counts as missing.
        plugins: the folder that is searched last for plugins, in Ray's processes too; none: this process's own.
    """

    sweep: str
    out: str
    location: dict[str, Any]
    threads: int
    gpu: bool
    max_retries: int
    predictions: bool
    probe_every: int = 0
    probe_samples: int = 64
    trial_timeout: float | None = None
    expendable: bool = False
    refresh: bool = False
    plugins: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        status: in a word.
        error: why it failed or diverged, or is not run.
        device: that a worker computed it on; None where none did, or none could say.
        metrics: what the trial's row says of its metrics and cost.
    """

    status: Status
    error: str | None = None
    device: str | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Job:
    """A unit of scheduling: run `trial`, or, if `original_only`, train the original it starts from."""

    trial: Trial
    original_only: bool = False
