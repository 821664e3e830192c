"""The probe measures the path of every method, always on the same retain and forget samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from methods import Samples, trainable
from methods.task import Probe, derived_seed
from sweep.tasks.kind import Kind


def make_probe(
    retain: Samples,
    forget: Samples,
    samples: int,
    seed: int,
    kind: Kind,
    autocast: Callable[[], AbstractContextManager[object]],
) -> Probe:
    """A probe of `samples` retain and as many forget samples, the same ones for every method of a seed.

    It returns losses, what the kind of task says of a batch (accuracy, in percent), and the cosine and angle (degrees)
    between the two mean gradients, by the column names of `traces`. It runs the model in evaluation mode, without
    augmentation, and leaves model, gradients and random state as they were.
    """

    def chosen(part: Samples, name: str) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(derived_seed(seed, name))
        subset = part.subset(torch.randperm(len(part), generator=generator)[:samples])
        return next(subset.in_order(samples))

    batches = {"retain": chosen(retain, "probe retain"), "forget": chosen(forget, "probe forget")}

    def probe(model: nn.Module) -> dict[str, float]:
        training = {module: module.training for module in model.modules()}
        model.eval()
        values: dict[str, Tensor] = {}
        gradients = {}
        for name, (inputs, targets) in batches.items():
            with autocast():
                outputs = model(inputs)
            loss = kind.criterion(outputs.float(), targets)
            found = torch.autograd.grad(loss, trainable(model), allow_unused=True, materialize_grads=True)
            gradients[name] = torch.cat([gradient.reshape(-1) for gradient in found])
            values[f"probe_{name}_loss"] = loss.detach()
            values |= {f"probe_{name}_{end}": value for end, value in kind.probe(outputs, targets).items()}
        values["probe_cosine"] = nn.functional.cosine_similarity(gradients["retain"], gradients["forget"], dim=0)
        for module, mode in training.items():
            module.training = mode
        numbers = dict(zip(values, torch.stack([value.float() for value in values.values()]).tolist(), strict=True))
        return numbers | {"probe_degrees": degrees(numbers["probe_cosine"])}

    return probe


def remembered(probe: Probe, start: dict[str, Tensor], values: dict[str, float]) -> Probe:
    """The same probe, but it measures the weights that every path begins with only once.

    Args:
        start: the state dict with those weights, on the CPU.
        values: what the probe returned for them before, or an empty dict, which the first measurement fills.
    """

    def probe_unless_known(model: nn.Module) -> dict[str, float]:
        if not _same(model.state_dict(), start):
            return probe(model)
        if not values:
            values.update(probe(model))
        return dict(values)

    return probe_unless_known


def _same(state: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether two state dicts are equal; stops at their first difference."""
    return state.keys() == other.keys() and all(torch.equal(state[name].cpu(), other[name]) for name in other)


def degrees(cosine: float) -> float:
    """The angle of a cosine, in degrees; NaN for NaN."""
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine)))) if math.isfinite(cosine) else math.nan
