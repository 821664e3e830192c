"""Which chunk gets a process, and that none begins once a run is to end; Ray Tune's controller is made up."""

from types import SimpleNamespace

import pytest

from sweep.ray_executor import ChunkScheduler
from sweep.schedule import Schedule


class Trial:
    """As much of one of Ray Tune's trials as the scheduler uses."""

    PENDING = "PENDING"

    def __init__(self, name, stands):
        self.trial_id = name
        self.status = "RUNNING" if stands == "running" else "PENDING"

    def init_local_path(self):
        pass


class Controller:
    """As much of Ray Tune's controller as the scheduler uses: trials by name, and how each stands."""

    def __init__(self, **trials):
        self.ended = []
        self._tune_controller = self
        self._actor_manager = SimpleNamespace(is_actor_started=lambda actor: actor == "starting")
        self._trial_to_actor = {Trial(name, stands): stands for name, stands in trials.items()}

    def get_live_trials(self):
        return set(self._trial_to_actor)

    def stop_trial(self, trial):
        self.ended.append(trial.trial_id)


@pytest.fixture
def schedule():
    return Schedule([])


def test_a_free_process_gets_the_first_chunk_for_which_none_is_being_started(schedule):
    controller = Controller(a="running", b="starting", c="waiting", d="waiting")
    assert ChunkScheduler(schedule).choose_trial_to_run(controller).trial_id == "c"
    assert ChunkScheduler(schedule).choose_trial_to_run(Controller(a="running", b="starting")) is None


def test_once_the_schedule_was_stopped_nothing_that_waits_begins(schedule):
    controller, scheduler = Controller(a="running", b="starting", c="waiting"), ChunkScheduler(schedule)
    assert scheduler.on_trial_result(controller, None, {}) == "CONTINUE"
    schedule.stop()
    assert scheduler.choose_trial_to_run(controller) is None
    assert controller.ended == ["b", "c"]
    assert scheduler.on_trial_result(controller, None, {}) == "STOP"
