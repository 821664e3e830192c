"""What of Ray Tune is replaced, and that Ray still needs it."""

import importlib.util
from unittest.mock import Mock

import pytest
from ray.air.execution import ResourceManager, ResourceRequest
from ray.exceptions import OutOfMemoryError, RayActorError

KILLED = OutOfMemoryError("Task was killed due to the node running low on memory.")


def manager_of(module):
    """A manager of actors, and a task of one of them that notes how it fails."""
    manager = module.RayActorManager(resource_manager=Mock(ResourceManager))  # Ray's own start a Ray for the process
    actor = manager.add_actor(cls=object, kwargs={}, resource_request=ResourceRequest([{"CPU": 1}]))
    failures = []
    task = module.TrackedActorTask(actor, on_error=lambda tracked, exception: failures.append(exception))
    return manager, task, failures


def test_ray_tune_as_it_comes_gives_up_a_run_when_the_memory_monitor_kills_a_process():
    """Once this fails, `sweep.on_ray.tune_repairs` is to go."""
    spec = importlib.util.find_spec("ray.air.execution._internal.actor_manager")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    manager, task, _ = manager_of(module)
    with pytest.raises(RuntimeError, match="unexpected exception"):
        manager._actor_task_failed(task, KILLED)


def test_the_repaired_one_tells_that_the_process_died_and_whether_its_node_was_preempted(monkeypatch):
    from ray.air.execution._internal import actor_manager

    import sweep.on_ray.executor  # noqa: F401

    manager, task, failures = manager_of(actor_manager)
    monkeypatch.setattr(manager, "_cleanup_actor", lambda tracked_actor: None)  # it was never started
    manager._actor_task_failed(task, KILLED)
    manager._actor_task_failed(task, RayActorError(error_msg="The actor died.", preempted=True))
    assert [type(failure) for failure in failures] == [RayActorError, RayActorError]
    assert "running low on memory" in str(failures[0])
    assert str(failures[1]).endswith("its node was preempted")
