"""A device that is not the CPU, where there is no other: torch's `meta`, whose tensors have values here."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from methods.task import Samples, Task

THERE = torch.device("meta")

MIXING = {"aten::_to_copy", "aten::copy_", "aten::index", "aten::index_put_", "aten::_index_put_impl_"}
"""What a GPU allows to have tensors of the CPU's beside its own; any operation may have their scalars."""

READING = {"aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::_unique2", "aten::is_nonzero"}
"""What the CPU needs the result of before it can go on."""


class Elsewhere(Tensor):
    """A tensor of the other device.

    Attributes:
        values: on the CPU.
    """

    values: Tensor

    @staticmethod
    def __new__(cls, values: Tensor) -> Elsewhere:
        layout = {"strides": values.stride(), "storage_offset": values.storage_offset()}
        made = Tensor._make_wrapper_subclass(cls, values.shape, dtype=values.dtype, device=THERE, **layout)
        made.values = values
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{function} outside of `OtherDevice`")

    def tolist(self) -> Any:
        return self.cpu().tolist()


class OtherDevice(TorchDispatchMode):
    """In the body the other device can compute, and refuses what a GPU refuses.

    That is tensors of two devices in one operation, and numbers drawn there by a generator of the CPU's.

    Attributes:
        waits: how often each operation made the CPU wait for the device.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name, leaves = function._schema.name, tree_leaves((args, kwargs))
        there = [leaf for leaf in leaves if isinstance(leaf, Elsewhere)]
        here = [leaf for leaf in leaves if isinstance(leaf, Tensor) and not isinstance(leaf, Elsewhere)]
        given = kwargs.get("device")
        stays = bool(there) if given is None else torch.device(given) == THERE
        if not there and not stays:
            return function(*args, **kwargs)
        if there and name not in MIXING and any(tensor.dim() for tensor in here):
            raise RuntimeError(f"{name}: tensors of two devices")
        if any(isinstance(leaf, torch.Generator) for leaf in leaves):
            raise RuntimeError(f"{name}: a generator of the CPU's draws numbers on another device")
        crossing = name in MIXING and (bool(here) or not stays) and not kwargs.get("non_blocking")
        masked = name == "aten::index" and any(index is not None and index.dtype == torch.bool for index in args[1])
        self.waits.update([name] if crossing or masked or name in READING else [])
        if given is not None:
            kwargs = kwargs | {"device": torch.device("cpu"), "pin_memory": False}
        found = function(*tree_map_only(Elsewhere, lambda tensor: tensor.values, args), **kwargs)
        known = {id(tensor.values): tensor for tensor in there}

        def back(tensor: Tensor) -> Tensor:
            if tensor._is_zerotensor():  # which stands for zeros that nobody has written
                tensor = torch.zeros(tensor.shape, dtype=tensor.dtype)
            return known[id(tensor)] if id(tensor) in known else Elsewhere(tensor)

        return tree_map_only(Tensor, back, found) if stays else found


def moved(task: Task, device: torch.device) -> Task:
    """The task with all that it holds on a device."""
    sets = {name: samples_moved(getattr(task, name), device) for name in ("retain", "forget", "reference")}
    return replace(task, model=task.model.to(device), build=lambda stream="": task.build(stream).to(device), **sets)


def samples_moved(samples: Samples, device: torch.device) -> Samples:
    """The samples on a device."""
    lowest, highest = samples.bounds or (None, None)
    return replace(
        samples,
        inputs=samples.inputs.to(device),
        targets=samples.targets.to(device),
        index=samples.index.to(device),
        bounds=None if lowest is None or highest is None else (lowest.to(device), highest.to(device)),
    )
