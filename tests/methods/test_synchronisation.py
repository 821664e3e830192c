"""Nothing waits for the device inside an epoch: no value is read, and no shape depends on one."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from methods import METHODS, UAM, BoundaryExpand, Descent

WALKING = [method for method in METHODS.values() if issubclass(method, Descent)]
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
    with Reads() as mode:
        method.unlearn(task)
    return mode.found


def test_a_value_that_is_read_is_noticed():
    with Reads() as mode:
        float(torch.ones(()) + 1)
        _ = torch.arange(3)[torch.tensor([True, False, True])]
    assert mode.found.total() == 2


@pytest.mark.parametrize("method", [*(kind() for kind in WALKING), UAM(hessian="exact"), UAM(rho_schedule="constant")])
def test_an_epoch_of_many_steps_reads_no_more_than_one_of_few(method, network, make_task):
    model = network(batchnorm=True)
    few, many = (
        reads(type(method)(**{**vars(method), "epochs": 1, "batch_size": 4}), make_task(model, retain=size))
        for size in (8, 80)
    )
    assert few == many


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("method", [kind(epochs=1, batch_size=4) for kind in WALKING if kind is not BoundaryExpand])
def test_an_epoch_does_not_wait_for_the_gpu(method, network, make_task):
    """BoundaryExpand, whose labels need the output that only `unlearn` adds, steps as BoundaryShrink does."""
    task = make_task(network(batchnorm=True).cuda(), retain=40)
    parts = {
        name: type(part)(part.inputs.cuda(), part.targets.cuda(), part.index.cuda(), part.prepare)
        for name, part in (("retain", task.retain), ("forget", task.forget))
    }
    task = method.prepare(type(task)(**{**vars(task), **parts}))
    (part,) = method.passes(task)
    part.gradients(task, *next(iter(part.batches())), 0.0)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for batches in part.batches():
            part.gradients(task, *batches, 0.5)
    finally:
        torch.cuda.set_sync_debug_mode("default")
