"""Fisher forgetting: hide the forget set under noise that the retain set does not feel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from methods.derivatives import all_derivatives
from methods.method import Method, Range, hyperparameter
from methods.task import Samples, Task

GRADIENT_BUDGET = 2**26
"""Numbers that the per-example gradients of one chunk may occupy (256 MiB in float32)."""

GPU_BUDGET, GPU_SHARE = 2**30, 1 / 16
"""The same on a GPU, where a small chunk costs as much time as a large one, but no more than this share of its memory:
of all of it, not of what is free, so that a trial run again sums in the same order."""


@dataclass(frozen=True)
class Fisher(Method):
    """Add Gaussian noise of variance alpha / F to each weight, F the diagonal Fisher information on the retain set.

        F = E_x E_{y ~ p(y|x)} [(d log p(y|x) / d w)^2],    variance = min(alpha / F, max_variance)

    From per-example gradients, in evaluation mode. Public code squares gradients of batch means instead, which is not
    the Fisher information. Needs a classifier: the model's outputs are logits.
    """

    name: ClassVar[str] = "fisher"
    source: ClassVar[str] = "Golatkar et al., CVPR 2020"
    kinds: ClassVar[tuple[str, ...]] = ("classification",)
    family: ClassVar[str] = "second order"
    needs: ClassVar[str] = "retain"
    cost: ClassVar[str] = '(classes if expectation == "exact" else 1) * (samples or n_r)'

    alpha: float = hyperparameter(1e-7, "strength of the noise", search=Range(1e-10, 1e-4, log=True), ge=0)
    max_variance: float = hyperparameter(1e-3, "largest variance of a weight's noise", ge=0)
    samples: int | None = hyperparameter(None, "retain samples that F is estimated on; all if null", ge=1)
    expectation: Literal["exact", "sampled"] = hyperparameter(
        "exact", "over y: the sum over all classes, or one draw per sample"
    )

    def unlearn(self, task: Task) -> nn.Module:
        model = task.model.eval()
        retain = random_subset(task.retain, self.samples, task.generator("fisher samples"))
        draws = task.generator("fisher labels") if self.expectation == "sampled" else None
        information = diagonal_fisher(model, retain, draws)
        noise = task.generator("fisher noise")
        task.recorder.count(len(retain) * (task.class_count if draws is None else 1))
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if name in information:
                    positive = information[name].clamp(min=torch.finfo(weight.dtype).tiny)
                    variance = (self.alpha / positive).clamp(max=self.max_variance)
                    drawn = torch.randn(weight.shape, generator=noise, dtype=weight.dtype).to(weight.device)
                    weight.add_(variance.sqrt() * drawn)
        return model


def diagonal_fisher(model: nn.Module, samples: Samples, draws: torch.Generator | None = None) -> dict[str, Tensor]:
    """The diagonal Fisher information of each trainable parameter, shaped like it.

    Args:
        model: a classifier in evaluation mode, inputs [B, ...] -> logits [B, C].
        samples: D; F is a mean over it.
        draws: with a generator, one class per sample is drawn from p(y|x) in place of the sum over all classes.
    """

    def log_probability(logits: Tensor, label: Tensor) -> Tensor:
        log_probabilities: Tensor = logits.log_softmax(dim=1)[0]
        return log_probabilities.gather(0, label)[0]

    def labels(inputs: Tensor, targets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        with torch.no_grad():
            probabilities = model(inputs).softmax(dim=1)
        return _labels(probabilities, draws)

    return mean_over_gradients(model, samples, log_probability, torch.square, labels)


def mean_over_gradients(
    model: nn.Module,
    samples: Samples,
    scalar: Callable[[Tensor, Tensor], Tensor],
    measure: Callable[[Tensor], Tensor],
    labels: Callable[[Tensor, Tensor], Iterable[tuple[Tensor, Tensor]]] | None = None,
) -> dict[str, Tensor]:
    """Mean over samples of a measure of each sample's own gradient, for each trainable parameter and shaped like it.

    Args:
        model: in evaluation mode.
        samples: those that the mean is over; of none it is 0.
        scalar: (outputs [1, ...], target [1, ...]) -> what is differentiated, a scalar tensor.
        measure: of a gradient, entry by entry.
        labels: (inputs, targets) of a batch -> pairs of targets [B, ...] and weights [B]: a sample's measure is the
            weighted sum over the pairs. None: the samples' own targets.
    """
    weights = {name: weight.detach() for name, weight in model.named_parameters() if weight.requires_grad}
    total = {name: torch.zeros_like(weight) for name, weight in weights.items()}

    def of_example(weights: dict[str, Tensor], example: Tensor, target: Tensor) -> Tensor:
        return scalar(functional_call(model, weights, (example.unsqueeze(0),)), target.unsqueeze(0))

    per_example = vmap(grad(of_example), in_dims=(None, 0, 0))
    chunk = max(1, gradient_budget(samples.index.device) // sum(weight.numel() for weight in weights.values()))
    for inputs, targets in samples.in_order(min(chunk, 256)):
        for label, importance in [(targets, None)] if labels is None else labels(inputs, targets):
            with all_derivatives():
                gradients = per_example(weights, inputs, label)
            for name, gradient in gradients.items():
                if importance is None:
                    total[name] += measure(gradient).sum(dim=0)
                else:
                    total[name] += torch.einsum("b,b...->...", importance, measure(gradient))
    return {name: value / max(1, len(samples)) for name, value in total.items()}


def gradient_budget(device: torch.device) -> int:
    """Numbers that the per-example gradients of one chunk may occupy on a device."""
    if device.type != "cuda":
        return GRADIENT_BUDGET
    share = int(GPU_SHARE * torch.cuda.get_device_properties(device).total_memory) // 4  # bytes of float32
    return max(GRADIENT_BUDGET, min(GPU_BUDGET, share))


def _labels(probabilities: Tensor, draws: torch.Generator | None) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs of labels [B] and weights [B] whose weighted sum is E_{y ~ p}: every class, or a single draw."""
    if draws is not None:
        drawn = torch.multinomial(probabilities.cpu(), 1, generator=draws)[:, 0].to(probabilities.device)
        yield drawn, torch.ones_like(probabilities[:, 0])
        return
    for label in range(probabilities.shape[1]):
        column = probabilities[:, label]
        yield torch.full_like(column, label, dtype=torch.long), column


def random_subset(samples: Samples, count: int | None, generator: torch.Generator) -> Samples:
    """`count` of the samples without replacement; all of them if `count` is None or not smaller."""
    if count is None or count >= len(samples):
        return samples
    return samples.subset(torch.randperm(len(samples), generator=generator)[:count])
