from __future__ import annotations

import torch

from methods.problems import Problem
from methods.untrained import Untrained


def test_it_is_the_network_that_retrain_starts_from_and_nothing_is_computed() -> None:
    problem = Problem(seed=3)
    task = problem.task(Untrained())
    built = problem.build().state_dict()
    found = Untrained().unlearn(task)
    assert found is not task.model
    assert all(torch.equal(value, built[name]) for name, value in found.state_dict().items())
    assert task.recorder.samples_processed == 0
    assert not Untrained.needs_original
