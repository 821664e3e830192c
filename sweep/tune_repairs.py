"""What Ray Tune does to processes that run one thing after another for days, and must not."""

from __future__ import annotations

from typing import Any

from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import RayActorError, RayTaskError

from sweep.deaths import PREEMPTED


def repair_tune() -> None:
    """Make Ray Tune tell every end of a process, and forget what it was told by each step of one."""
    _survive()
    _forget()


def _survive() -> None:
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


def _forget() -> None:
    """Let go of what the steps of a process returned.

    Ray Tune keeps it, 2 kB a step, for as long as the process lives; and here a process may live for 100,000 steps.
    """
    schedule = RayActorManager._schedule_tracked_actor_task

    def scheduled(self: RayActorManager, tracked_actor_task: Any, *arguments: Any, **options: Any) -> Any:
        task = schedule(self, tracked_actor_task, *arguments, **options)
        futures = self._tracked_actors_to_task_futures[tracked_actor_task._tracked_actor]
        futures.intersection_update(self._actor_task_events.get_futures())
        return task

    RayActorManager._schedule_tracked_actor_task = scheduled
