"""No chunk begins once a run is to end; Ray Tune's controller is made up."""

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
        self._trials = {Trial(name, stands) for name, stands in trials.items()}

    def get_live_trials(self):
        return self._trials

    def stop_trial(self, trial):
        self.ended.append(trial.trial_id)


@pytest.fixture
def schedule():
    return Schedule([])


def test_once_the_schedule_was_stopped_nothing_that_waits_begins(schedule):
    controller, scheduler = Controller(a="running", b="starting", c="waiting"), ChunkScheduler(schedule)
    assert scheduler.on_trial_result(controller, None, {}) == "CONTINUE"
    schedule.stop()
    assert scheduler.choose_trial_to_run(controller) is None
    assert controller.ended == ["b", "c"]
    assert scheduler.on_trial_result(controller, None, {}) == "STOP"
