"""What of Ray Tune is replaced: how it hears that a process ended."""

from __future__ import annotations

from typing import Any

from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import RayActorError, RayTaskError

from sweep.on_ray.process_deaths import PREEMPTED


def repair_tune() -> None:
    """Make every end of a process one that Ray Tune tells.

    It gives up a whole run for an exception that is neither a task's nor an actor's, as Ray raises one for a process
    that its memory monitor killed; and it runs again, as often as it happens, what was on a node that was preempted.
    """
    known = RayActorManager._actor_task_failed

    def failed(self: RayActorManager, tracked_actor_task: Any, exception: Exception) -> None:
        if not isinstance(exception, RayTaskError):
            preempted = f"\n{PREEMPTED}" if getattr(exception, "preempted", False) else ""
            exception = RayActorError(error_msg=f"{exception}{preempted}")
        known(self, tracked_actor_task, exception)

    RayActorManager._actor_task_failed = failed
