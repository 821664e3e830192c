"""Nothing waits for the device inside an epoch: no value is read, and no shape depends on one."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode

from methods import METHODS, UAM, Descent
from methods.boundary import BoundaryExpand
from methods.problems import problems_for
from methods.scrub import Scrub

WALKING = [method for method in METHODS.values() if issubclass(method, Descent) and method.shapes_training is None]
READING = {"aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::_unique2", "aten::is_nonzero"}


class Reads(TorchDispatchMode):
    """Counts operations whose result the CPU needs before it can go on."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function._schema.name
        masked = name == "aten::index" and any(index is not None and index.dtype == torch.bool for index in args[1])
        self.found.update([name] if masked or name in READING else [])
        return function(*args, **(kwargs or {}))


def reads(method, task):
    """What unlearning reads. Adam counts its steps in tensors that stay on the CPU: reading those waits for nothing."""
    prepared = type(method).prepare(method, task)  # before the first epoch, where it may wait
    object.__setattr__(method, "prepare", lambda task: prepared)
    with Reads() as mode:
        paused = []

        def pause(optimizer, *arguments):
            paused[:] = [mode.found.copy()] if isinstance(optimizer, torch.optim.Adam) else []

        def go_on(*arguments):
            mode.found = paused.pop() if paused else mode.found

        hooks = register_optimizer_step_pre_hook(pause), register_optimizer_step_post_hook(go_on)
        try:
            method.unlearn(task)
        finally:
            for hook in hooks:
                hook.remove()
    return mode.found


def test_a_value_that_is_read_is_noticed():
    with Reads() as mode:
        float(torch.ones(()) + 1)
        _ = torch.arange(3)[torch.tensor([True, False, True])]
    assert mode.found.total() == 2


@pytest.mark.parametrize(
    "method",
    [*(kind() for kind in WALKING), UAM(hessian="exact"), UAM(rho_schedule="constant"), Scrub(rewind=True)],
    ids=repr,
)
def test_an_epoch_of_many_steps_reads_no_more_than_one_of_few(method):
    sizes = {item.name: 4 for item in fields(method) if item.name.endswith("batch_size")}
    method = replace(method, epochs=1, **sizes)
    task = problems_for(type(method))[0][0].task(method)
    few, many = (reads(method, shortened(copy.deepcopy(task), part)) for part in (4, 1))
    assert few == many


def shortened(task, part):
    """The task with one in `part` of its samples."""
    sets = {"retain": task.retain, "forget": task.forget}
    return replace(task, **{name: each.subset(torch.arange(len(each) // part)) for name, each in sets.items()})


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("method", [kind(epochs=1, batch_size=4) for kind in WALKING if kind is not BoundaryExpand])
def test_an_epoch_does_not_wait_for_the_gpu(method):
    """BoundaryExpand, whose labels need the output that only `unlearn` adds, steps as BoundaryShrink does."""
    problem = problems_for(type(method))[0][0]
    task = problem.task(method)
    sets = {
        name: replace(part, inputs=part.inputs.cuda(), targets=part.targets.cuda(), index=part.index.cuda())
        for name, part in (("retain", task.retain), ("forget", task.forget), ("reference", task.reference))
    }
    on_gpu = replace(task, model=task.model.cuda(), build=lambda stream="": problem.build(stream).cuda(), **sets)
    task = method.prepare(on_gpu)
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
