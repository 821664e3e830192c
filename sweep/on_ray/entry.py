"""The way into this room: Ray Tune as an executor. It imports Ray only when there is something to run."""

from __future__ import annotations

from collections.abc import Callable

from sweep.engine.driver import Driver, Executor
from sweep.engine.schedule import Schedule


def _load() -> Callable[[Driver, Schedule], object]:
    from sweep.on_ray.executor import run_ray

    return run_ray


RAY = Executor("ray", _load, own_processes=True)
"""Ray Tune, on this machine or on a cluster."""
