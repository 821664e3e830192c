"""What this machine takes for a pass, and how many trials it runs at once, before anything has run."""

from __future__ import annotations

import os
import time

import torch

from methods.task import Recorder, Samples
from sweep.engine.forecast import Forecast
from sweep.plan.check import Checked
from sweep.spec.plugins import find_model
from sweep.spec.sweep_spec import Spec
from sweep.tasks.models import Files
from sweep.trial.device import set_arithmetic, synchronise
from sweep.trial.training import autocast_context, train

TIMED_SECONDS = 0.2
"""About how long batches are timed: at least one, after a first one that is not timed."""
MOST_BATCHES = 20
"""How many batches are timed at most."""

SHARED_GPU = 0.25
"""Share of a GPU that a trial takes where there is a GPU and the spec does not say how much."""


def timed_pace(spec: Spec, checked: Checked) -> float | None:
    """Seconds of a pass in training, measured on a few batches on the device that trials have here; None where the
    network must not be built for that.

    Takes about `TIMED_SECONDS`, or as long as two batches.
    """
    builder = find_model(spec.model.name)
    if isinstance(builder, Files):  # which may be large
        return None
    device = torch.device("cuda" if computes_on_gpu(spec) else "cpu")
    recipe, threads = spec.training, torch.get_num_threads()
    size = min(recipe.batch_size, checked.typical[0])
    made = checked.kind.examples(checked.outline, size)
    inputs, targets, index = (each.to(device) for each in (made.inputs, made.targets, made.index))
    samples = Samples(inputs, targets, index, made.prepare)
    torch.set_num_threads(max(1, min(int(spec.resources.cpus), os.cpu_count() or 1)))
    set_arithmetic(recipe.precision)
    try:
        with torch.random.fork_rng(devices=[]):
            network = builder(checked.outline.outputs, checked.outline.inputs, **spec.model.own_options)
            network = network.to(device).to(memory_format=torch.channels_last)

            def seconds(batches: int) -> float:
                started = time.perf_counter()
                train(
                    network,
                    samples,
                    recipe,
                    seed=0,
                    criterion=checked.kind.criterion,
                    autocast=autocast_context(recipe.precision, device),
                    recorder=Recorder(),
                    epochs=batches,
                )
                synchronise(device)
                return time.perf_counter() - started

            seconds(1)
            first = seconds(1)
            batches = min(MOST_BATCHES, int(TIMED_SECONDS / max(first, 1e-6)))
            return (seconds(batches) / batches if batches > 1 else first) / size
    except Exception:  # nothing depends on it, and the trials will say what is wrong
        return None
    finally:
        torch.set_num_threads(threads)


def slots_here(spec: Spec) -> int:
    """How many trials run at once on this machine."""
    count = max(1, int((os.cpu_count() or 1) / spec.resources.cpus))
    gpus = torch.cuda.device_count()
    share = spec.resources.gpus if spec.resources.gpus is not None else SHARED_GPU if gpus else 0
    return min(count, max(1, int(gpus / share))) if share else count


def computes_on_gpu(spec: Spec) -> bool:
    """Whether trials of a spec would compute on a GPU of this machine."""
    return spec.resources.gpus != 0 and torch.cuda.is_available()


def here(spec: Spec, checked: Checked) -> Forecast:
    """A forecast for this machine that expects nothing yet. Times a few batches."""
    forecast = Forecast(checked, spec.training.epochs, timed_pace(spec, checked))
    forecast.slots = slots_here(spec)
    return forecast
