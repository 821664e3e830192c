"""Nothing waits for the device inside an epoch: no value is read or sent, and no shape depends on one."""

from __future__ import annotations

import copy
from dataclasses import fields, replace

import pytest
import torch
from other_device import THERE, OtherDevice, moved

from methods import METHODS, UAM, Descent
from methods.boundary import BoundaryExpand
from methods.problems import problems_for
from methods.scrub import Scrub

WALKING = [method for method in METHODS.values() if issubclass(method, Descent) and method.shapes_training is None]


def waits(method, task):
    """How often what unlearning does waits for the device, by operation."""
    with OtherDevice() as device:
        task = moved(task, THERE)
        prepared = type(method).prepare(method, task)  # before the first epoch, where it may wait
        object.__setattr__(method, "prepare", lambda task: prepared)
        device.waits.clear()
        method.unlearn(task)
    return device.waits


@pytest.mark.parametrize(
    "wait",
    [
        lambda there: float(there.sum()),
        lambda there: there.tolist(),
        lambda there: there.cpu(),
        lambda there: torch.ones(3).to(there),
        lambda there: there.copy_(torch.ones(3)),
        lambda there: there[torch.tensor([0, 1])],
        lambda there: there[there > 0],
        lambda there: there.nonzero(),
    ],
)
def test_what_waits_for_the_device_is_noticed(wait):
    with OtherDevice() as device:
        there = torch.ones(3).to(THERE)
        device.waits.clear()
        (2 * there + torch.ones(3).to(THERE, non_blocking=True)).sum()
        assert not device.waits
        wait(there)
    assert device.waits


@pytest.mark.parametrize(
    "method",
    [*(kind() for kind in WALKING), UAM(hessian="exact"), UAM(rho_schedule="constant"), Scrub(rewind=True)],
    ids=repr,
)
def test_an_epoch_of_many_steps_waits_no_more_than_one_of_few(method):
    sizes = {item.name: 4 for item in fields(method) if item.name.endswith("batch_size")}
    method = replace(method, epochs=1, **sizes)
    task = problems_for(type(method))[0][0].task(method)
    few, many = (waits(method, shortened(copy.deepcopy(task), part)) for part in (4, 1))
    assert few == many


def shortened(task, part):
    """The task with one in `part` of its samples."""
    sets = {"retain": task.retain, "forget": task.forget}
    return replace(task, **{name: each.subset(torch.arange(len(each) // part)) for name, each in sets.items()})


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("method", [kind(epochs=1, batch_size=4) for kind in WALKING if kind is not BoundaryExpand])
def test_an_epoch_does_not_wait_for_the_gpu(method):
    """BoundaryExpand, whose labels need the output that only `unlearn` adds, steps as BoundaryShrink does."""
    task = moved(problems_for(type(method))[0][0].task(method), torch.device("cuda"))
    task = method.prepare(task)
    passes = method.passes(task)
    for part in passes:
        batches = iter(part.batches())
        part.gradients(task, *next(batches), 0.0)  # what comes before an epoch's first step may wait, as LoTUS does
        torch.cuda.set_sync_debug_mode("error")
        try:
            for following in batches:
                part.gradients(task, *following, 0.5)
        finally:
            torch.cuda.set_sync_debug_mode("default")
