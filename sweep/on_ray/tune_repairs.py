"""The one repair of Ray Tune: how it handles the end of a process."""

from __future__ import annotations

from typing import Any

from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import RayActorError, RayTaskError

from sweep.on_ray.process_deaths import PREEMPTED


def repair_tune() -> None:
    """Let Ray Tune report every end of a process as an error of its tune_trial.

    Unrepaired, Ray Tune ends the whole run at an exception that is neither a task's nor an actor's, such as Ray raises
    for a process that its memory monitor killed. And it restarts, without limit, what ran on a node that was preempted.
    """
    known = RayActorManager._actor_task_failed

    def failed(self: RayActorManager, tracked_actor_task: Any, exception: Exception) -> None:
        if not isinstance(exception, RayTaskError):
            preempted = f"\n{PREEMPTED}" if getattr(exception, "preempted", False) else ""
            exception = RayActorError(error_msg=f"{exception}{preempted}")
        known(self, tracked_actor_task, exception)

    RayActorManager._actor_task_failed = failed
