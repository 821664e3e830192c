"""The executor without Ray: this process runs one job after another."""

from __future__ import annotations

import os
import time

import torch

from sweep.engine.driver import Driver, Executor
from sweep.engine.schedule import Schedule
from sweep.engine.shared_grid import PAUSE
from sweep.errors import InputError
from sweep.spec.sweep_spec import Spec
from sweep.trial.worker import Worker


def run_inline(driver: Driver, schedule: Schedule) -> None:
    """Run a schedule's jobs in this process, one after another.

    Raises:
        InputError: the spec wants more CPUs or GPUs than there are, or another command is running the same.
        OSError: results cannot be stored.
    """
    with driver.described(_gpus(driver.request.spec)):
        worker = Worker(driver.context)
        while not schedule.ended:
            job = schedule.next()
            if job is None:  # another command trains the original that is left
                time.sleep(PAUSE)
                continue
            driver.started(job)
            driver.ended(schedule, job, worker.run(job))


def _gpus(spec: Spec) -> float:
    """GPUs per trial where trials run in this process.

    Raises:
        InputError: the spec wants more of them, or more CPUs, than there are.
    """
    if spec.resources.cpus > (cpus := os.cpu_count() or 1):
        raise InputError(f"resources.cpus: {spec.resources.cpus:g} wanted, and this machine has {cpus}")
    wanted, found = spec.resources.gpus, torch.cuda.device_count()
    if wanted and wanted > found:
        raise InputError(f"resources.gpus: {wanted:g} wanted, and torch finds {found} on this machine")
    return found if wanted is None else wanted


INLINE = Executor("inline", lambda: run_inline)
"""Runs jobs in this process."""
