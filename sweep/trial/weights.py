"""What is measured of an unlearned model's weights: how far they moved, and what they still say of the forget set."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from methods import Recorder, Samples
from methods.fisher import GRADIENT_BUDGET, gradient_budget
from sweep.errors import first_line
from sweep.trial.device import lost, out_of_memory

GRADIENT_BYTES = 2**28
"""Memory that the gradients of the samples that are taken together may need; on a GPU more, see `gradient_budget`."""

MOST_TOGETHER = 64
"""Samples whose gradients are taken together at most."""


def of_weights(
    model: nn.Module,
    original: Mapping[str, Tensor] | None,
    forget: Samples | None,
    criterion: Callable[[Tensor, Tensor], Tensor],
    recorder: Recorder,
) -> dict[str, float | None]:
    """The columns of `sweep.store.metrics.OF_WEIGHTS`. Of what cannot be measured the recorder's notes say why.

    Args:
        original: its state dict; None: there is none to compare with.
        forget: None: `forget_information` is not asked for.
    """
    found: dict[str, float | None] = {}
    if original is not None:
        found["weight_distance"] = weight_distance(model, original)
        if found["weight_distance"] is None:
            recorder.note(weight_distance="none: the model has other parameters than the original")
    if forget is not None:
        try:
            found["forget_information"] = forget_information(model, forget, criterion)
        except Exception as error:
            if out_of_memory(error) or lost(forget.index.device):
                raise
            recorder.note(forget_information=f"none: no gradient per sample: {first_line(error)}")
    return found


def weight_distance(model: nn.Module, original: Mapping[str, Tensor]) -> float | None:
    """||theta - theta_0|| / ||theta_0|| over all parameters, in float64; None if the two have not the same ones.

    Args:
        original: a state dict, on the CPU.
    """
    weights = dict(model.named_parameters())
    if any(name not in original or original[name].shape != weight.shape for name, weight in weights.items()):
        return None
    moved = length = 0.0
    for name, weight in weights.items():
        before = original[name].double().flatten()  # sums must not depend on how tensors lie in memory
        moved += (weight.detach().cpu().double().flatten() - before).square().sum().item()
        length += before.square().sum().item()
    return (moved / length) ** 0.5 if length else None


def forget_information(model: nn.Module, forget: Samples, criterion: Callable[[Tensor, Tensor], Tensor]) -> float:
    """The mean over the forget set of the squared length of a sample's loss gradient, in evaluation mode.

    For classes it is iota of Becker and Liebig 2022 (arXiv 2208.10836), the trace of the empirical Fisher information:
    the mean of ||grad log p(y | x)||^2. A memorised sample has none, so that a low value is no sign of forgetting by
    itself: compare it with Retrain's. For numbers log p is that of a normal law of variance 1/2; for texts it is the
    mean over an answer's tokens.

    Raises:
        RuntimeError, or what else the network raises: it cannot be differentiated sample by sample.
    """
    model.eval()
    every = {name: weight.detach() for name, weight in model.named_parameters()}
    learning = {name: every[name] for name, weight in model.named_parameters() if weight.requires_grad}
    fixed = {name: weight for name, weight in every.items() if name not in learning} | dict(model.named_buffers())
    if not learning:
        raise RuntimeError("no parameter requires a gradient")

    def loss(weights: dict[str, Tensor], sample: Tensor, target: Tensor) -> Tensor:
        outputs = torch.func.functional_call(model, weights | fixed, (sample[None],))
        return criterion(outputs if outputs.dtype == torch.float64 else outputs.float(), target[None])

    def squared_length(weights: dict[str, Tensor], sample: Tensor, target: Tensor) -> Tensor:
        gradients = torch.func.grad(loss)(weights, sample, target)
        return torch.stack([gradient.double().square().sum() for gradient in gradients.values()]).sum()

    of_batch = torch.func.vmap(squared_length, in_dims=(None, 0, 0))
    size = sum(weight.numel() * weight.element_size() for weight in learning.values())
    batches = forget.in_order(taken_together(size, forget.index.device))
    total = sum(of_batch(learning, *batch).sum().item() for batch in batches)
    return float(total) / len(forget)


def taken_together(size: int, device: torch.device) -> int:
    """How many samples' gradients are taken together on a device; each has so many bytes."""
    room = GRADIENT_BYTES * gradient_budget(device) // GRADIENT_BUDGET
    return max(1, min(MOST_TOGETHER, room // (2 * size)))
